"""The link as a stream of bytes: each message with its length before it, and as many in one write as there are."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from sidecar.core.link import BotText, FromWorker, PlayClip, SendText, StreamTold, TextUnsent, ToWorker

LENGTH_BYTES = 4

SOFT_BOUND = 16 << 20
"""Bytes that wait for the other side; beyond them texts and clips are dropped, on which no state depends."""

HARD_BOUND = 64 << 20
"""Bytes that wait for the other side; beyond them it is given up."""

_MAY_BE_DROPPED = (BotText, StreamTold, TextUnsent, SendText, PlayClip)

_M = TypeVar("_M")


class LinkBroken(Exception):
    """The other side does not read, or says what is no message."""


class LinkWriter:
    """What is to be written. `dropped` counts the texts and clips that the other side will never see."""

    def __init__(self, *, soft_bound: int = SOFT_BOUND, hard_bound: int = HARD_BOUND) -> None:
        self.messages = 0
        self.dropped = 0
        self._soft_bound = soft_bound
        self._hard_bound = hard_bound
        self._encoder = msgspec.msgpack.Encoder()
        self._waiting = bytearray()

    @property
    def waiting(self) -> int:
        """How many bytes wait."""
        return len(self._waiting)

    def put(self, message: ToWorker | FromWorker | msgspec.Struct) -> bool:
        """Add a message, or drop it; raise `LinkBroken` if there is too much already."""
        if len(self._waiting) > self._soft_bound:
            if isinstance(message, _MAY_BE_DROPPED):
                self.dropped += 1
                return False
            if len(self._waiting) > self._hard_bound:
                raise LinkBroken(f"{len(self._waiting)} bytes are not read")
        data = self._encoder.encode(message)
        self._waiting += len(data).to_bytes(LENGTH_BYTES)
        self._waiting += data
        self.messages += 1
        return True

    def view(self) -> memoryview:
        """Return what waits; release it before anything else is done."""
        return memoryview(self._waiting)

    def written(self, count: int) -> None:
        """Forget what has been written."""
        del self._waiting[:count]


class LinkReader(Generic[_M]):
    """Makes messages of what is read."""

    def __init__(self, kind: Any) -> None:
        """`kind` is the type of the messages, such as `ToWorker`."""
        self.messages = 0
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[_M]:
        """Return the messages that are complete; raise `LinkBroken` for what is none."""
        self._rest += data
        found, at = list[_M](), 0
        with memoryview(self._rest) as rest:
            while len(rest) - at >= LENGTH_BYTES:
                end = at + LENGTH_BYTES + int.from_bytes(rest[at : at + LENGTH_BYTES])
                if end > len(rest):
                    break
                found.append(self._decode(rest[at + LENGTH_BYTES : end]))
                at = end
        del self._rest[:at]
        self.messages += len(found)
        return found

    def _decode(self, data: memoryview) -> _M:
        try:
            message: _M = self._decoder.decode(data)
        except msgspec.MsgspecError as error:
            raise LinkBroken(str(error)) from None
        return message
