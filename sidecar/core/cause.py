"""Why a call is refused or ended, in the words of SIP headers."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from sip import ReasonHeader

Headers = Sequence[tuple[str, str]]

RETRY_AFTER: Headers = (("Retry-After", "5"),)  # seconds

_NORMAL_CLOSES = (1000, 1001, 1005)  # RFC 6455, section 7.4.1: normal, going away, and a close frame without a code


class Cause(IntEnum):
    """Causes of ITU-T Q.850, by the names that FreeSWITCH has for them."""

    UNALLOCATED_NUMBER = 1
    NO_ROUTE_TRANSIT_NET = 2
    NO_ROUTE_DESTINATION = 3
    CHANNEL_UNACCEPTABLE = 6
    CALL_AWARDED_DELIVERED = 7
    NORMAL_CLEARING = 16
    USER_BUSY = 17
    NO_USER_RESPONSE = 18
    NO_ANSWER = 19
    SUBSCRIBER_ABSENT = 20
    CALL_REJECTED = 21
    NUMBER_CHANGED = 22
    REDIRECTION_TO_NEW_DESTINATION = 23
    EXCHANGE_ROUTING_ERROR = 25
    DESTINATION_OUT_OF_ORDER = 27
    INVALID_NUMBER_FORMAT = 28
    FACILITY_REJECTED = 29
    RESPONSE_TO_STATUS_ENQUIRY = 30
    NORMAL_UNSPECIFIED = 31
    NORMAL_CIRCUIT_CONGESTION = 34
    NETWORK_OUT_OF_ORDER = 38
    NORMAL_TEMPORARY_FAILURE = 41
    SWITCH_CONGESTION = 42
    ACCESS_INFO_DISCARDED = 43
    REQUESTED_CHAN_UNAVAIL = 44
    PRE_EMPTED = 45
    FACILITY_NOT_SUBSCRIBED = 50
    OUTGOING_CALL_BARRED = 52
    INCOMING_CALL_BARRED = 54
    BEARERCAPABILITY_NOTAUTH = 57
    BEARERCAPABILITY_NOTAVAIL = 58
    SERVICE_UNAVAILABLE = 63
    BEARERCAPABILITY_NOTIMPL = 65
    CHAN_NOT_IMPLEMENTED = 66
    FACILITY_NOT_IMPLEMENTED = 69
    SERVICE_NOT_IMPLEMENTED = 79
    INVALID_CALL_REFERENCE = 81
    INCOMPATIBLE_DESTINATION = 88
    INVALID_MSG_UNSPECIFIED = 95
    MANDATORY_IE_MISSING = 96
    MESSAGE_TYPE_NONEXIST = 97
    WRONG_MESSAGE = 98
    IE_NONEXIST = 99
    INVALID_IE_CONTENTS = 100
    WRONG_CALL_STATE = 101
    RECOVERY_ON_TIMER_EXPIRE = 102
    MANDATORY_IE_LENGTH_ERROR = 103
    PROTOCOL_ERROR = 111
    INTERWORKING = 127


_BY_TEXT: dict[str, int] = {**Cause.__members__, **{str(number): number for number in range(1, 128)}}

_STATUS: dict[int, int] = {
    Cause.UNALLOCATED_NUMBER: 404,
    Cause.USER_BUSY: 486,
    Cause.CALL_REJECTED: 603,
    Cause.NORMAL_CIRCUIT_CONGESTION: 503,
    Cause.NORMAL_TEMPORARY_FAILURE: 503,
    Cause.SWITCH_CONGESTION: 503,
}


def parse_cause(given: int | str | None) -> int:
    """Return a cause that was given by number, in digits too, or by name; raise ValueError if it is none."""
    if given is None:
        return Cause.NORMAL_CLEARING
    try:
        return _BY_TEXT[str(given).upper()]
    except KeyError:
        raise ValueError("cause: not 1 to 127, nor a name of Q.850 such as USER_BUSY") from None


def refusal_status(cause: int) -> int:
    """Return the SIP status of a call that is refused for that cause (RFC 3398, section 7.2.4.1)."""
    return _STATUS.get(cause, 480)


def cause_of_close(code: int, reason: str) -> tuple[Cause, str]:
    """Return what the close code of a bot's WebSocket means for its call."""
    if code in _NORMAL_CLOSES:
        return Cause.NORMAL_CLEARING, "the bot has closed"
    return Cause.NORMAL_TEMPORARY_FAILURE, f"the bot has closed: {code} {reason}".rstrip()


def reason_headers(cause: int, text: str) -> Headers:
    """Make a Reason header (RFC 3326); the text may hold what a bot has said."""
    return [("Reason", str(ReasonHeader("Q.850", int(cause), _quotable(text))))]


def warning_headers(host: str, text: str) -> Headers:
    """Make a Warning header for people to read. See RFC 3261, section 20.43."""
    return [("Warning", f'399 {host} "{_quotable(text)}"')]


def _quotable(text: str) -> str:
    """Make a text of ours fit into a header: printable ASCII without quotes, of bounded length."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "'" for c in text)[:200]
