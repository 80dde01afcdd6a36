"""Whether a bot that is gone may be asked again."""

from __future__ import annotations

from websockets.frames import CloseCode

from sidecar.core.bot_connection import Closed, Failed
from sidecar.core.errors import ErrorCode

ABNORMAL = int(CloseCode.ABNORMAL_CLOSURE)
"""The code of a connection that ended without a close frame. See RFC 6455, section 7.1.5."""

# The bot's machine is in trouble, or makes room for another: RFC 6455, section 7.4.1, and IANA's registry.
_COMES_BACK = (
    CloseCode.GOING_AWAY,
    CloseCode.INTERNAL_ERROR,
    CloseCode.SERVICE_RESTART,
    CloseCode.TRY_AGAIN_LATER,
    CloseCode.BAD_GATEWAY,
)
# It would break again for the same reason.
_HOPELESS = (
    ErrorCode.SERVER_MASKED,
    ErrorCode.NOT_SUPPORTED,
    ErrorCode.TLS_INIT_FAILED,
    ErrorCode.SSL_ERROR,
    ErrorCode.PROTOCOL,
)


def is_loss(end: Closed | Failed) -> bool:
    """Return whether a bot is lost that did not mean to go; after all other ends it is ON_BOT_CLOSE that counts."""
    return isinstance(end, Failed) or closes_for_now(end.code)


def closes_for_now(code: int) -> bool:
    """Return whether who closes with this code would go on if it could."""
    return code in _COMES_BACK


def may_reconnect(end: Closed | Failed) -> bool:
    """Return whether it is worth trying: never after a normal close, nor where the bot has sent us away."""
    if isinstance(end, Closed):
        return closes_for_now(end.code)
    return end.code not in _HOPELESS and not end.forbidden
