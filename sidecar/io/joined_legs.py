"""The legs of streams, the one that a stream was opened with, and others that join it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import assert_never

from sidecar.core.bridge import Bridge
from sidecar.core.legs import Legs
from sidecar.core.link import (
    ChangeLeg,
    FromWorker,
    JoinStream,
    LeaveStream,
    LegChange,
    LegChanged,
    LegJoined,
    LegLeft,
    LegRefused,
    SendDigits,
    StartMedia,
    StreamRefused,
)
from sidecar.core.media_leg import MediaLeg
from sidecar.core.stream_tally import StreamTally
from sidecar.io.bot_stream import BotStream
from sidecar.io.media_sockets import MediaSockets


def address_taken(leg: MediaLeg | None) -> str:
    """Say why there is no row for a leg."""
    return f"no room, or {leg.host}:{leg.port} is in another call" if leg else "no room"


@dataclass(frozen=True, slots=True)
class JoinedLeg:
    """A leg with a row of its own, and the stream that it belongs to."""

    name: str
    row: int
    port: int | None
    stream: BotStream


@dataclass(slots=True)
class JoinedLegs:
    """Opens and closes the legs that join; does to each leg what control wants.

    `on_input` is called where a stream's player has something to say.
    """

    legs: Legs
    bridge: Bridge
    sockets: MediaSockets
    say: Callable[[FromWorker], None]
    on_input: Callable[[BotStream], None]
    tally: StreamTally
    _by_name: dict[str, JoinedLeg] = field(default_factory=dict)

    @property
    def names(self) -> Iterable[str]:
        """The legs that there are."""
        return self._by_name.keys()

    def get(self, name: str) -> JoinedLeg | None:
        """Return the leg of this name."""
        return self._by_name.get(name)

    def join(self, message: JoinStream, stream: BotStream | None) -> None:
        """Take a row for a leg, and tell."""
        if stream is None:
            self.say(StreamRefused(message.stream, "the stream is over"))
            return
        try:
            unknown = self.sockets.open_leg(message.port, message.leg)
        except OSError as error:
            self.say(StreamRefused(message.stream, f"port {message.port}: {error.strerror}"))
            return
        row = self.legs.open(message.stream, message.leg, port=message.port, unknown=unknown)
        if row is None:
            self.sockets.close_leg(message.port)
            self.say(StreamRefused(message.stream, address_taken(message.leg)))
            return
        self.bridge.join(row, stream.row, message.track, stream.options)
        self._by_name[message.stream] = JoinedLeg(message.stream, row, message.port, stream)
        self.say(LegJoined(message.stream))

    def handle(self, leg: BotStream | JoinedLeg, message: LegChange, *, now: float) -> None:
        """Do what is asked of a leg; the first of a stream is the `BotStream` itself."""
        match message:
            case StartMedia(_, sends, receives):
                self.legs.start(leg.row, receives=receives, now=now)
                self.bridge.start(leg.row, sends=sends)
            case ChangeLeg(_, media):
                self._change(leg, media, now=now)
            case SendDigits(_, digits, duration_ms):
                if not self.legs.dial(leg.row, digits, duration_ms=duration_ms):
                    stream = leg.stream if isinstance(leg, JoinedLeg) else leg
                    stream.player.fail("dtmf: too many digits wait to be sent")
                    self.on_input(stream)
            case LeaveStream():
                if isinstance(leg, JoinedLeg):
                    self._leave(leg, now=now)
                else:
                    self._leave_first(leg, now=now)
            case _:
                assert_never(message)

    def _change(self, of: BotStream | JoinedLeg, leg: MediaLeg, *, now: float) -> None:
        """Let a leg be another, and tell whether it is."""
        done = self.legs.change(of.row, leg, now=now)
        if done:
            self.sockets.change_leg(of.port, leg)
        self.bridge.change(of.row)
        self.say(LegChanged(of.name) if done else LegRefused(of.name, f"{leg.host}:{leg.port} is in another call"))

    def _leave(self, leg: JoinedLeg, *, now: float) -> None:
        """Give the row of a leg back, and tell what passed through it."""
        del self._by_name[leg.name]
        self.bridge.leave(leg.row)
        stats = self.legs.close(leg.row, now=now, wall_clock=time.time())
        self.tally.end(leg.name, stats)
        for report in self.legs.reports_to_send():
            self.sockets.send_report(report)
        self.sockets.close_leg(leg.port)
        self.say(LegLeft(leg.name, stats))

    def _leave_first(self, stream: BotStream, *, now: float) -> None:
        """The leg that a stream was opened with is over; its row is kept, for its bot."""
        stream.has_left = True
        self.bridge.leave(stream.row)
        self.legs.leave(stream.row, now=now)
        self.sockets.close_leg(stream.port)

    def close(self, stream: BotStream, *, now: float) -> None:
        """A stream is over: so are its legs."""
        for leg in [leg for leg in self._by_name.values() if leg.stream is stream]:
            self._leave(leg, now=now)
