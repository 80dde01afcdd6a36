"""The leg that a worker has, and those that it has been asked to have instead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.core.media_leg import MediaLeg
from sidecar.core.media_negotiation import Terms

_MOST = 8  # that wait: a caller may withdraw one offer and make the next


@dataclass(slots=True)
class LegChange:
    """Terms that hold once the worker has agreed."""

    terms: Terms
    answers_offer: bool  # their offer waits for it; otherwise it was their answer
    is_withdrawn: bool = False


class LegChanges:
    """The changes that a worker has yet to answer, which it does in order."""

    def __init__(self, leg: MediaLeg | None, ask: Callable[[MediaLeg], None]) -> None:
        """`leg` is the one that the worker has, if it has one yet; `ask` it to have another."""
        self.leg = leg
        self._ask = ask
        self._waiting: deque[LegChange] = deque()

    @property
    def are_done(self) -> bool:
        """Whether none waits."""
        return not self._waiting

    @property
    def is_full(self) -> bool:
        """Whether no other may be asked for now."""
        return len(self._waiting) >= _MOST

    def begin(self, change: LegChange) -> bool:
        """Ask for a change, and return True, if the worker has to agree to it."""
        leg = change.terms.leg
        if leg is None or (leg == self.leg and self.are_done):
            return False
        self._waiting.append(change)
        self._ask(leg)
        return True

    def withdraw_offer(self) -> None:
        """Their offer was cancelled, or refused because the worker took too long."""
        for change in self._waiting:
            change.is_withdrawn |= change.answers_offer

    def agreed(self) -> LegChange:
        """Return the change that the worker has made."""
        change = self._waiting.popleft()
        self.leg = change.terms.leg
        return change

    def refused(self) -> LegChange:
        """Return the change that the worker cannot make."""
        return self._waiting.popleft()

    def undo_withdrawn(self, terms: Terms | None) -> None:
        """Let the worker go back to the `terms` that hold, if it has the leg of an offer withdrawn since."""
        if self.are_done and terms is not None:
            self.begin(LegChange(terms, answers_offer=False))
