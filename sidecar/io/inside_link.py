"""The link between control and worker where both live in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from sidecar.core.link import FromWorker, ToWorker


class InProcessLink:
    """Delivers each message in a later turn of the loop, encoded and decoded, as a wire would.

    So nothing that only works within one process can slip in, and neither side ever calls into the other.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._encoder = msgspec.msgpack.Encoder()
        self._to_worker = msgspec.msgpack.Decoder(ToWorker)
        self._from_worker = msgspec.msgpack.Decoder(FromWorker)
        self.on_worker: Callable[[ToWorker], None]
        self.on_control: Callable[[FromWorker], None]

    def to_worker(self, message: ToWorker) -> None:
        """Send a message to the worker."""
        received: ToWorker = self._to_worker.decode(self._encoder.encode(message))
        self._loop.call_soon(lambda: self.on_worker(received))

    def to_control(self, message: FromWorker) -> None:
        """Send a message to the control side."""
        received: FromWorker = self._from_worker.decode(self._encoder.encode(message))
        self._loop.call_soon(lambda: self.on_control(received))
