"""Why a call is refused or ended, in the words of SIP headers."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from sip import ReasonHeader

Headers = Sequence[tuple[str, str]]

RETRY_AFTER: Headers = (("Retry-After", "5"),)  # seconds

_NORMAL_CLOSES = (1000, 1001, 1005)  # RFC 6455, section 7.4.1: normal, going away, and a close frame without a code


class Cause(IntEnum):
    """Causes of ITU-T Q.850; FreeSWITCH makes its hang-up causes of them."""

    UNALLOCATED_NUMBER = 1
    NORMAL_CLEARING = 16
    USER_BUSY = 17
    NO_USER_RESPONSE = 18
    NO_ANSWER = 19
    SUBSCRIBER_ABSENT = 20
    CALL_REJECTED = 21
    DESTINATION_OUT_OF_ORDER = 27
    NORMAL_UNSPECIFIED = 31
    NORMAL_CIRCUIT_CONGESTION = 34
    NETWORK_OUT_OF_ORDER = 38
    TEMPORARY_FAILURE = 41
    SWITCH_CONGESTION = 42
    INCOMPATIBLE_DESTINATION = 88
    RECOVERY_ON_TIMER_EXPIRE = 102


_STATUS: dict[int, int] = {
    Cause.UNALLOCATED_NUMBER: 404,
    Cause.USER_BUSY: 486,
    Cause.CALL_REJECTED: 603,
    Cause.NORMAL_CIRCUIT_CONGESTION: 503,
    Cause.TEMPORARY_FAILURE: 503,
    Cause.SWITCH_CONGESTION: 503,
}


def parse_cause(given: int | str | None) -> int:
    """Return a cause that was given by number or name; raise ValueError if there is none of that name."""
    if isinstance(given, int):
        return given
    try:
        return Cause[given.upper()] if given is not None else Cause.NORMAL_CLEARING
    except KeyError:
        raise ValueError(f"cause: not 1 to 127, nor one of {', '.join(Cause.__members__)}") from None


def refusal_status(cause: int) -> int:
    """Return the SIP status of a call that is refused for that cause (RFC 3398, section 7.2.4.1)."""
    return _STATUS.get(cause, 480)


def cause_of_close(code: int, reason: str) -> tuple[Cause, str]:
    """Return what the close code of a bot's WebSocket means for its call."""
    if code in _NORMAL_CLOSES:
        return Cause.NORMAL_CLEARING, "the bot has closed"
    return Cause.TEMPORARY_FAILURE, f"the bot has closed: {code} {reason}".rstrip()


def reason_headers(cause: int, text: str) -> Headers:
    """Make a Reason header (RFC 3326); the text may hold what a bot has said."""
    return [("Reason", str(ReasonHeader("Q.850", int(cause), _quotable(text))))]


def warning_headers(host: str, text: str) -> Headers:
    """Make a Warning header for people to read. See RFC 3261, section 20.43."""
    return [("Warning", f'399 {host} "{_quotable(text)}"')]


def _quotable(text: str) -> str:
    """Make a text of ours fit into a header: printable ASCII without quotes, of bounded length."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "'" for c in text)[:200]
