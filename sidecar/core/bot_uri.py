"""The URL of a bot, checked before anything is done with it: it may come from a caller."""

from __future__ import annotations

from websockets.exceptions import InvalidURI
from websockets.uri import WebSocketURI, parse_uri


def parse_bot_uri(url: str) -> WebSocketURI:
    """Parse a ws:// or wss:// URL; raise ValueError if nobody can connect to it.

    The reason does not repeat the URL, which may hold a password.
    """
    try:
        uri = parse_uri(url)
        uri.host.encode("idna")  # as the resolver will do
    except InvalidURI as error:
        raise ValueError(error.msg) from None
    except ValueError:
        raise ValueError("the host, port or user of the URL is not valid") from None
    if ":" in (uri.username or ""):
        raise ValueError("a user name cannot have a colon (RFC 7617, section 2)")
    return uri


def public_url(url: str) -> str:
    """Return the URL of a bot without what may be secret: user, password and query."""
    uri = parse_bot_uri(url)
    scheme = "wss" if uri.secure else "ws"
    host = f"[{uri.host}]" if ":" in uri.host else uri.host
    return f"{scheme}://{host}:{uri.port}{uri.path}"
