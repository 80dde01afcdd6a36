"""The beginning of a call as the leg of a stream: a port of its own, if calls have such, and media both sides know."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from rtp import PortAllocator
from sidecar.core.link import ToWorker
from sidecar.core.media_negotiation import MediaNegotiation
from sidecar.core.media_policy import MediaPolicy
from sidecar.core.options import Track
from sidecar.core.stream_leg import StreamLeg
from sip import CallReceived, ServiceUnavailable, SipError, UserAgent


class NewLegs:
    """Makes legs of calls, or raises `SipError`."""

    def __init__(
        self,
        agent: UserAgent,
        *,
        random: Random,
        media_address: Callable[[str], str],
        media: MediaPolicy,
        ports: PortAllocator | None,
        tells_by_info: bool,
        say: Callable[[ToWorker], None],
    ) -> None:
        """What all legs have in common: see `CallControl`."""
        self._agent = agent
        self._random = random
        self._media_address = media_address
        self._media = media
        self._ports = ports
        self._tells_by_info = tells_by_info
        self._say = say

    @property
    def ports_refused(self) -> int:
        """How many calls found no RTP port."""
        return 0 if self._ports is None else self._ports.refused

    def make(self, name: str, track: Track, event: CallReceived, shared_port: int, *, now: float) -> StreamLeg:
        """Return the leg of a call; `shared_port` is that of the worker, which all calls have that have none."""
        port = self._take_port(now=now)
        try:
            negotiation = self._negotiate(event, port or shared_port)
        except SipError:
            self.give_back(port, now=now)
            raise
        return StreamLeg(
            name,
            track,
            event,
            negotiation,
            agent=self._agent,
            say=self._say,
            port=port,
            tells_by_info=self._tells_by_info,
            now=now,
        )

    def give_back(self, port: int | None, *, now: float) -> None:
        """Let another call have the port of one that is over."""
        if self._ports is not None and port is not None:
            self._ports.give_back(port, now=now)

    def _take_port(self, *, now: float) -> int | None:
        """Return the port of a new call; None if all calls have the same."""
        if self._ports is None:
            return None
        port = self._ports.take(now=now)
        if port is None:
            raise ServiceUnavailable("No RTP Port Is Free")
        return port

    def _negotiate(self, event: CallReceived, port: int) -> MediaNegotiation:
        host = event.source[0]
        negotiation = MediaNegotiation(
            address=self._media_address(host), port=port, source=host, random=self._random, policy=self._media
        )
        if event.request.body:
            negotiation.settle(negotiation.answer(event.request.body))
        return negotiation
