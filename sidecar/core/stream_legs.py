"""The calls of one stream: the one that it began with, and another that carries the other voice."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sidecar.core.link import JoinStream, LeaveStream, ToWorker
from sidecar.core.options import AnswerMode, Track
from sidecar.core.stream_leg import StreamLeg
from sip import CallRef


class StreamLegs:
    """Lets legs come and go. A leg that joins is answered when the worker has it, and the stream is answered."""

    def __init__(self, stream: str, first: StreamLeg, mode: AnswerMode, *, say: Callable[[ToWorker], None]) -> None:
        self.first = first
        self.is_answered = False  # so each is to be
        self._all = [first]
        self._stream = stream
        self._mode = mode
        self._say = say

    def __iter__(self) -> Iterator[StreamLeg]:
        return iter(self._all)

    @property
    def tracks(self) -> set[Track]:
        """The voices that are there, or have been."""
        return {leg.track for leg in self._all}

    @property
    def are_over(self) -> bool:
        """Whether there is no call any more."""
        return all(leg.is_over for leg in self._all)

    @property
    def live(self) -> list[StreamLeg]:
        """Those that have not begun to end."""
        return [leg for leg in self._all if leg.is_live]

    @property
    def leading(self) -> StreamLeg:
        """The one that is meant where one is: the first that is still there."""
        return next(iter(self.live), self.first)

    def named(self, name: str) -> StreamLeg:
        """Return the leg that the worker calls so."""
        return next(leg for leg in self._all if leg.name == name)

    def of(self, call: CallRef) -> StreamLeg:
        """Return the leg of a SIP call."""
        return next(leg for leg in self._all if leg.call == call)

    def start(self, *, now: float) -> None:
        """The worker has been told of the first."""
        if self._mode is AnswerMode.IMMEDIATE:
            self.answer(now=now)
        self.joined(self.first, now=now)

    def answer(self, *, now: float) -> None:
        """Answer those that the worker has; the others will be."""
        self.is_answered = True
        for leg in self.live:
            if leg.is_joined:
                leg.answer(now=now)

    def add(self, leg: StreamLeg) -> None:
        """Ask the worker to take another leg."""
        self._all.append(leg)
        self._say(JoinStream(leg.name, self._stream, leg.track, leg.media.leg, leg.port))

    def joined(self, leg: StreamLeg, *, now: float) -> None:
        """The worker has a leg."""
        leg.is_joined = True
        if not leg.is_live:
            self.leave(leg)
        elif self.is_answered:
            leg.answer(now=now)
        elif self._mode is AnswerMode.EARLY:
            leg.media.ring(now=now)

    def leave(self, leg: StreamLeg) -> None:
        """Let the stream go on without a leg."""
        if leg.is_joined and not leg.has_left:
            leg.has_left = True
            self._say(LeaveStream(leg.name))

    def end(self, status: int, cause: int, why: str, *, now: float) -> None:
        """Hang up all; refuse with `status` what is not answered yet."""
        for leg in self.live:
            leg.end(status, cause, why, now=now)

    def send_infos(self, *, now: float) -> None:
        """Send what waits to be told by INFO, when it is time."""
        for leg in self._all:
            leg.send_infos(now=now)
