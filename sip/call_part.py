from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from .response import Response

if TYPE_CHECKING:
    from .call import Call
    from .transaction_layer import AnyClientTransaction


class CallPart(ABC):
    """One thing that a call does besides being set up and ended, with the requests of ours that it takes."""

    def __init__(self, call: Call) -> None:
        self._call = call

    @abstractmethod
    def receive_response(self, transaction: AnyClientTransaction, response: Response, *, now: float) -> None:
        """A response to a request of this part came."""

    @abstractmethod
    def handle_no_response(self, transaction: AnyClientTransaction, *, now: float) -> None:
        """A request of this part was never answered."""
