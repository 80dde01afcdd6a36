"""A sender of RTP that does everything a sender or its network may do wrong, one action at a time."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rtp import Codec, RtpPacket

PLAIN = "plain"
ACTIONS = (
    "lose",
    "hold back",
    "release",
    "repeat",
    "jump",
    "stray",
    "new source",
    "short",
    "long",
    "longest",
    "uneven",
    "empty",
    "other type",
    "pause",
    "clock jump",
    "noise",
    "event",
    "marked",
    "with csrc",
    "with extension",
    "with padding",
    "bad padding",
    "cut off",
    "old version",
    "garbage",
    "stranger",
)


class Action(NamedTuple):
    """What call number `call` does next; `argument` says how far, how many or which."""

    call: int
    kind: str
    argument: int = 0


class Batch(NamedTuple):
    """Datagrams as a socket gives them."""

    data: npt.NDArray[np.uint8]
    lengths: npt.NDArray[np.uint32]
    sources: npt.NDArray[np.uint64]


def batch_of(datagrams: Sequence[tuple[bytes, int]], *, width: int = 2048) -> Batch:
    """Lay datagrams with their source keys out as arrays; one longer than `width` is cut off, as by a socket."""
    data = np.full((len(datagrams), width), 0xA5, np.uint8)  # what an earlier batch has left there
    for at, (datagram, _) in enumerate(datagrams):
        cut = datagram[:width]
        data[at, : len(cut)] = np.frombuffer(cut, np.uint8)
    lengths = np.array([min(len(datagram), width) for datagram, _ in datagrams], np.uint32)
    return Batch(data, lengths, np.array([source for _, source in datagrams], np.uint64))


class RtpSender:
    """The far end of one call."""

    def __init__(
        self, random: Random, *, payload_type: int, codec: Codec = Codec.PCMU, sequence_number: int = 65_500
    ) -> None:
        self._random = random
        self._codec = codec
        self._payload_type = payload_type
        self._sequence_number = sequence_number
        self._stray_sequence_number = (sequence_number + 20_000) % (1 << 16)
        self._timestamp = (1 << 32) - 1600
        self._ssrc = random.getrandbits(32)
        self._held_back: list[bytes] = []
        self._sent: list[bytes] = []

    def act(self, kind: str, argument: int = 0) -> list[bytes]:
        """Do one action; return the datagrams that arrive because of it."""
        match kind:
            case "lose":
                for _ in range(1 + argument % 4):
                    self._next()
                return []
            case "hold back":
                self._held_back.append(self._next())
                return []
            case "release":
                at = argument % len(self._held_back) if self._held_back else 0
                arrived, self._held_back[at : at + 1] = self._held_back[at : at + 1], []
                return arrived
            case "repeat":
                return self._sent[-1 - argument % 6 :][:1]
            case "jump":
                self._sequence_number = (self._sequence_number + 101 + 997 * argument) % (1 << 16)
            case "new source":
                self._ssrc = self._random.getrandbits(32)
                self._sequence_number = self._random.getrandbits(16)
            case "stray":  # the next of a sequence of its own
                self._stray_sequence_number = (self._stray_sequence_number + 1) % (1 << 16)
                return [bytes(RtpPacket(self._payload_type, self._stray_sequence_number, 0, self._ssrc, b"stray"))]
            case "pause":
                self._timestamp = (self._timestamp + argument * self._codec.frame_ticks) % (1 << 32)
                return []
            case "clock jump":
                self._timestamp = self._random.getrandbits(32)
                return []
            case "garbage":
                return [self._random.randbytes(argument)]
        datagram = self._next(kind)
        self._sent.append(datagram)
        return [datagram]

    def change(self, payload_type: int, codec: Codec = Codec.PCMU) -> None:
        """Go on with another payload type and codec."""
        self._payload_type, self._codec = payload_type, codec

    def release_all(self) -> list[bytes]:
        """Let all arrive that was held back."""
        arrived, self._held_back = self._held_back, []
        return arrived

    def _next(self, kind: str = PLAIN) -> bytes:
        """Make the next packet, peculiar in the way of `kind`."""
        frame, ticks = self._codec.frame_bytes or 90, self._codec.frame_ticks
        size = {"short": frame // 2, "long": 2 * frame, "longest": 3 * frame, "uneven": 2 * frame + 13, "empty": 0}.get(
            kind, frame
        )
        ticks = ticks * size // frame
        if kind in ("noise", "event"):
            size, ticks = (1, 0) if kind == "noise" else (4, 0)
        packet = RtpPacket(
            payload_type={"other type": 102, "event": 101, "noise": 13}.get(kind, self._payload_type),
            sequence_number=self._sequence_number,
            timestamp=self._timestamp,
            ssrc=self._random.getrandbits(32) if kind == "stranger" else self._ssrc,
            payload=self._random.randbytes(size),
            marker=kind == "marked",
        )
        self._sequence_number = (self._sequence_number + 1) % (1 << 16)
        self._timestamp = (self._timestamp + ticks) % (1 << 32)
        return _peculiar(bytes(packet), kind)


def _peculiar(data: bytes, kind: str) -> bytes:
    """Add to a packet what `kind` says."""
    match kind:
        case "with csrc":
            return b"\x82" + data[1:12] + bytes(range(8)) + data[12:]
        case "with extension":
            return b"\x90" + data[1:12] + b"\xbe\xde\0\1abcd" + data[12:]
        case "with padding":
            return b"\xa0" + data[1:] + b"\0\0\0\4"
        case "bad padding":
            return b"\xa0" + data[1:-1] + b"\xff"
        case "cut off":
            return data[:11]
        case "old version":
            return b"\x40" + data[1:]
    return data
