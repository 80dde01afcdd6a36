"""Which transaction a message belongs to. See RFC 3261, sections 17.1.3 and 17.2.3."""

from __future__ import annotations

from .request import Request
from .response import Response
from .via import DEFAULT_PORT, MAGIC_COOKIE

TransactionKey = tuple[str | int, ...]


def server_key(request: Request, *, method: str | None = None) -> TransactionKey:
    """Return the key of a request that came; `method` when it is about one of another method.

    A branch without the magic cookie, or of nothing else, is not unique: then more headers count.
    """
    method = method or request.method
    method = "INVITE" if method == "ACK" else method
    via = request.via
    branch = via.branch or ""
    sent_by = (via.host.lower(), DEFAULT_PORT if via.port is None else via.port)
    if _is_unique(branch):
        return (branch, *sent_by, method)
    return (branch, *sent_by, method, request.call_id, request.cseq.number, request.from_.tag or "")


def client_key(message: Request | Response) -> TransactionKey:
    """Return the key of a request of ours, or of a response to it."""
    return (message.via.branch or "", message.cseq.method)


def origin_key(request: Request) -> TransactionKey:
    """Return what two copies of a request have in common that came by two ways (8.2.2.2)."""
    return (request.call_id, request.from_.tag or "", request.cseq.number, request.method)


def has_unique_branch(request: Request) -> bool:
    """Tell whether the request is of RFC 3261, and not of RFC 2543. See RFC 3261, section 8.1.1.7."""
    return _is_unique(request.via.branch or "")


def _is_unique(branch: str) -> bool:
    return branch[: len(MAGIC_COOKIE)].lower() == MAGIC_COOKIE.lower() and len(branch) > len(MAGIC_COOKIE)
