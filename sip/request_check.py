"""What a UAS inspects before it takes a request. See RFC 3261, section 8.2."""

from __future__ import annotations

import re

from .endpoint import ACCEPT, ALLOW
from .error import (
    BadExtension,
    MethodNotAllowed,
    MethodUnknown,
    NoSuchCall,
    NothingAcceptable,
    SipError,
    TooManyHops,
    UnsupportedMediaType,
    UnsupportedUriScheme,
)
from .request import Request
from .uri import SipUri

_SERVED = frozenset({"INVITE", "CANCEL", "BYE", "OPTIONS"})
_SERVED_IN_DIALOG = frozenset({"INFO", "NOTIFY", "PRACK", "REFER", "UPDATE"})
_KNOWN = frozenset({"MESSAGE", "PUBLISH", "REFER", "REGISTER", "SUBSCRIBE"})
_EXTENSIONS = frozenset({"100rel", "timer"})  # RFC 3262, RFC 4028


def check_request(request: Request) -> None:
    """Raise the `SipError` that answers the request, if there is one.

    BYE and CANCEL pass: whatever else is odd about them, the call should end.
    """
    if request.method in ("BYE", "CANCEL"):
        return
    scheme_error = _check_uri(request.uri)
    _check_method(request)
    if scheme_error is not None:
        raise scheme_error
    if request.to.tag is None:
        _check_hops(request)
    unknown = [name for name in request.headers.get_list("Require") if name.lower() not in _EXTENSIONS]
    if unknown:
        raise BadExtension("Bad Extension", headers=[("Unsupported", ", ".join(unknown))])
    if request.method in ("INVITE", "UPDATE", "PRACK"):
        _check_body(request)


def _check_uri(uri: str) -> UnsupportedUriScheme | None:
    """Refuse what is malformed; a strange scheme is refused only after a strange method (8.2.1, 8.2.2.1)."""
    try:
        headers = SipUri.parse(uri).headers
    except UnsupportedUriScheme as error:
        return error
    if headers:  # RFC 3261, table 1
        raise SipError("Request-URI Has Headers")
    return None


def _check_method(request: Request) -> None:
    method = request.method
    if method in _SERVED_IN_DIALOG and request.to.tag is not None:
        return
    if method in _SERVED_IN_DIALOG - _KNOWN:
        raise NoSuchCall("Call/Transaction Does Not Exist")
    if method in _KNOWN:
        raise MethodNotAllowed("Method Not Allowed", headers=[("Allow", ALLOW)])
    if method not in _SERVED:
        raise MethodUnknown("Not Implemented", headers=[("Allow", ALLOW)])


def _check_hops(request: Request) -> None:
    """Refuse a request that has gone in circles; OPTIONS may ask just us by Max-Forwards 0 (11.1)."""
    hops = request.headers.get("Max-Forwards")
    if hops is None:
        return
    if not re.fullmatch(r"[0-9]{1,3}", hops):
        raise SipError("Malformed Max-Forwards")
    if int(hops) == 0 and request.method != "OPTIONS":
        raise TooManyHops("Too Many Hops")


def _check_body(request: Request) -> None:
    if request.is_encoded:
        raise UnsupportedMediaType("Unsupported Media Type", headers=[("Accept-Encoding", "identity")])
    if request.method != "INVITE" and not request.body:
        return
    if request.body and request.content_type != ACCEPT:
        raise UnsupportedMediaType("Unsupported Media Type", headers=[("Accept", ACCEPT)])
    accepted = [value.partition(";")[0].strip().lower() for value in request.headers.get_list("Accept")]
    if accepted and not set(accepted) & {ACCEPT, "application/*", "*/*"}:
        raise NothingAcceptable("Not Acceptable", headers=[("Accept", ACCEPT)])
