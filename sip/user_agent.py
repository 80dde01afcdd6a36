from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random

from .counters import Counters
from .event import CallRef, Event
from .timers import Timers
from .uri import SipUri
from .via import Address


class UserAgent:
    """A SIP endpoint over UDP, both UAS and UAC. See RFC 3261."""

    def __init__(
        self,
        *,
        contact: Address,
        random: Random,
        timers: Timers = Timers(),  # noqa: B008  frozen
        name: str = "audio-stream-sidecar",
        max_calls: int = 10_000,
    ) -> None:
        self.accepting = True
        self.counters = Counters()
        self._events: deque[Event] = deque()

    def receive_datagram(self, data: bytes, addr: Address, *, now: float) -> None:
        """Bytes came in."""
        raise NotImplementedError

    def handle_timeout(self, *, now: float) -> None:
        """A deadline passed; safe to call early or late."""
        raise NotImplementedError

    def next_timeout(self) -> float | None:
        """Return when to be called next."""
        raise NotImplementedError

    def datagrams_to_send(self) -> list[tuple[bytes, Address]]:
        """Return what is to be sent, and forget it."""
        raise NotImplementedError

    def next_event(self) -> Event | None:
        """Return the next thing that the owner should know."""
        return self._events.popleft() if self._events else None

    def respond(
        self,
        call: CallRef,
        status: int,
        *,
        reason: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        now: float,
    ) -> None:
        """Send a provisional response, or refuse the call."""
        raise NotImplementedError

    def answer(self, call: CallRef, body: bytes, *, headers: Sequence[tuple[str, str]] = (), now: float) -> None:
        """Answer the call with a session description."""
        raise NotImplementedError

    def hang_up(self, call: CallRef, *, headers: Sequence[tuple[str, str]] = (), now: float) -> None:
        """End the call in the way that fits its state."""
        raise NotImplementedError

    def invite(
        self,
        target: SipUri,
        *,
        destination: Address,
        from_uri: SipUri,
        body: bytes,
        headers: Sequence[tuple[str, str]] = (),
        now: float,
    ) -> CallRef:
        """Place a call."""
        raise NotImplementedError
