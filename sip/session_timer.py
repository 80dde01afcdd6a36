from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .deadline import Deadline
from .error import IntervalTooSmall, SipError
from .event import EndCause
from .message import Message
from .parameters import Parameters
from .request import Request
from .response import Response

if TYPE_CHECKING:
    from .call import Call

_INTERVAL_MAX = 2**31


@dataclass(frozen=True, slots=True)
class SessionExpires:
    """How long a session lasts if nobody refreshes it, and who is to. See RFC 4028, section 4."""

    interval: int  # seconds
    refresher: str | None = None  # "uac" or "uas", of the transaction it is said in

    @classmethod
    def parse(cls, value: str) -> SessionExpires:
        """Parse the value of a Session-Expires header."""
        number, _, rest = value.partition(";")
        if not re.fullmatch(r"[0-9]{1,10}", number.strip()):
            raise SipError("Malformed Session-Expires")
        refresher = (Parameters.parse(rest).get("refresher") or "").lower()
        return cls(min(int(number), _INTERVAL_MAX), refresher if refresher in ("uac", "uas") else None)

    @classmethod
    def of(cls, message: Message) -> SessionExpires | None:
        """Return what a message says of it, if anything."""
        value = message.headers.get("Session-Expires")
        return None if value is None else cls.parse(value)

    def __str__(self) -> str:
        return f"{self.interval}" if self.refresher is None else f"{self.interval};refresher={self.refresher}"


def check_session_expires(request: Request, *, min_se: int) -> None:
    """Refuse an interval that is too small for us. See RFC 4028, section 9."""
    asked = SessionExpires.of(request)
    if asked is not None and asked.interval < min_se and _supports_timer(request):
        raise IntervalTooSmall("Session Interval Too Small", headers=[("Min-SE", str(min_se))])


class SessionTimer:
    """Ends a call whose other side is gone, and keeps one alive whose sides are there. See RFC 4028."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._interval = call.endpoint.timers.session_expires  # 0: none
        self._min_se = call.endpoint.timers.min_se
        self._is_on = False
        self._we_refresh = True

    def check(self, request: Request) -> None:
        """Refuse an interval that is too small for us."""
        check_session_expires(request, min_se=self._call.endpoint.timers.min_se)

    def request_headers(self) -> list[tuple[str, str]]:
        """Return what our INVITE or UPDATE says of the timer (section 7.1)."""
        if not self._interval:
            return []
        refresher = None if not self._is_on else "uac" if self._we_refresh else "uas"
        expires = ("Session-Expires", str(SessionExpires(self._interval, refresher)))
        return [expires, ("Min-SE", str(self._min_se))]

    def answer(self, request: Request, *, now: float) -> list[tuple[str, str]]:
        """Decide what holds from now on, and return what our 2xx says of it (section 9)."""
        asked, able = SessionExpires.of(request), _supports_timer(request)
        if asked is None and not self._interval:
            return []
        if asked is None:
            # We may choose either side (table 2); FreeSWITCH 1.10 does not refresh where it asked for no timer.
            interval, refresher = max(self._interval, _min_se(request)), "uas"
        else:
            interval = max(asked.interval, self._call.endpoint.timers.min_se)
            refresher = (asked.refresher or "uac") if able else "uas"
        self._start(interval, refresher == "uas", now)
        headers = [("Session-Expires", str(SessionExpires(interval, refresher)))]
        return [("Require", "timer"), *headers] if able and refresher == "uac" else headers

    def take_response(self, response: Response, *, now: float) -> None:
        """Take what the 2xx to our INVITE or UPDATE says (section 7.2)."""
        try:
            said = SessionExpires.of(response)
        except SipError:
            said = None
        if said is not None and said.interval:
            self._start(said.interval, said.refresher != "uas", now)
        elif self._interval:
            self._start(self._interval, True, now)  # they know no timers: we refresh alone

    def raise_interval(self, response: Response) -> bool:
        """Take the 422 to our request; return whether to ask again (section 7.3)."""
        least = _min_se(response)
        if least <= self._interval or not self._interval:
            return False
        self._interval = self._min_se = least
        return True

    def handle_deadline(self, deadline: Deadline, *, now: float) -> None:
        """Refresh the session, or end it."""
        call = self._call
        del call.deadlines[deadline]
        if deadline is Deadline.EXPIRY:
            call.end_broken(EndCause.EXPIRED, 408, now=now)
        elif "UPDATE" in call.peer_allows or not call.our_description:
            call.outgoing_offer.offer(b"", method="UPDATE", headers=(), is_refresh=True, now=now)
        else:
            call.outgoing_offer.offer(call.our_description, method="INVITE", headers=(), is_refresh=True, now=now)

    def _start(self, interval: int, we_refresh: bool, now: float) -> None:
        """Begin the interval anew; end the session a little before its end (section 10)."""
        self._interval, self._we_refresh, self._is_on = interval, we_refresh, True
        deadlines = self._call.deadlines
        deadlines[Deadline.EXPIRY] = now + interval - min(32.0, interval / 3)
        deadlines.pop(Deadline.REFRESH, None)
        if we_refresh:
            deadlines[Deadline.REFRESH] = now + interval / 2


def _supports_timer(message: Message) -> bool:
    names = (*message.headers.get_list("Supported"), *message.headers.get_list("Require"))
    return "timer" in (name.lower() for name in names)


def _min_se(message: Message) -> int:
    value = (message.headers.get("Min-SE") or "").partition(";")[0].strip()
    return int(value) if re.fullmatch(r"[0-9]{1,9}", value) else 0
