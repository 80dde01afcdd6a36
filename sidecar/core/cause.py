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

    NORMAL_CLEARING = 16
    CALL_REJECTED = 21
    TEMPORARY_FAILURE = 41
    INCOMPATIBLE_DESTINATION = 88


def cause_of_close(code: int, reason: str) -> tuple[Cause, str]:
    """Return what the close code of a bot's WebSocket means for its call."""
    if code in _NORMAL_CLOSES:
        return Cause.NORMAL_CLEARING, "the bot has closed"
    return Cause.TEMPORARY_FAILURE, f"the bot has closed: {code} {reason}".rstrip()


def reason_headers(cause: Cause, text: str) -> Headers:
    """Make a Reason header (RFC 3326); the text may hold what a bot has said."""
    return [("Reason", str(ReasonHeader("Q.850", int(cause), _quotable(text))))]


def warning_headers(host: str, text: str) -> Headers:
    """Make a Warning header for people to read. See RFC 3261, section 20.43."""
    return [("Warning", f'399 {host} "{_quotable(text)}"')]


def _quotable(text: str) -> str:
    """Make a text of ours fit into a header: printable ASCII without quotes, of bounded length."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "'" for c in text)[:200]
