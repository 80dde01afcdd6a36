"""What can be wrong with what a peer sent. Every error carries the status that answers it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from .request import Request


class SipError(ValueError):
    """A message, or a part of one, that is not what RFC 3261 asks for."""

    sip_status: ClassVar[int] = 400

    def __init__(self, detail: str, *, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = tuple(headers)  # of the response, such as Allow or Unsupported
        self.request: Request | None = None  # as far as it could be read, to be answered


class SdpError(SipError):
    """A session description that cannot be read. See RFC 8866."""


class Unauthorized(SipError):
    """A request that must say who it is from. See RFC 3261, section 22.1."""

    sip_status = 401


class WrongCredentials(Unauthorized):
    """A request that says who it is from, and does not prove it."""

    def __init__(self, reason: str, *, username: str, headers: Sequence[tuple[str, str]]) -> None:
        super().__init__(reason, headers=headers)
        self.username = username


class MethodNotAllowed(SipError):
    """A known method that is not served here. See RFC 3261, section 21.4.6."""

    sip_status = 405


class NothingAcceptable(SipError):
    """An Accept header without anything that we could answer with. See RFC 3261, section 21.4.7."""

    sip_status = 406


class UnsupportedMediaType(SipError):
    """A body that is not a session description. See RFC 3261, section 8.2.3."""

    sip_status = 415


class UnsupportedUriScheme(SipError):
    """A Request-URI that is neither sip nor sips. See RFC 3261, section 8.2.2.1."""

    sip_status = 416


class BadExtension(SipError):
    """A Require header that names what we lack. See RFC 3261, section 8.2.2.3."""

    sip_status = 420


class IntervalTooSmall(SipError):
    """A session interval that would have us refresh all the time. See RFC 4028, section 6."""

    sip_status = 422


class BadInfoPackage(SipError):
    """An INFO of a package that was not agreed on. See RFC 6086, section 4.2.2."""

    sip_status = 469


class BadEvent(SipError):
    """A NOTIFY about something else than a transfer. See RFC 6665, section 4.1.3."""

    sip_status = 489


class Decline(SipError):
    """A REFER: we place no calls at another's wish. See RFC 3515, section 2.4.2."""

    sip_status = 603


class NoSuchCall(SipError):
    """A request for a dialog or a transaction that does not exist. See RFC 3261, section 12.2.2."""

    sip_status = 481


class LoopDetected(SipError):
    """One request that came by two ways. See RFC 3261, section 8.2.2.2."""

    sip_status = 482


class TooManyHops(SipError):
    """A request whose Max-Forwards is used up. See RFC 3261, section 16.3."""

    sip_status = 483


class NotAcceptable(SipError):
    """An offer in which there is nothing we can take. See RFC 3261, section 21.4.26."""

    sip_status = 488


class RequestPending(SipError):
    """A re-INVITE that crosses an INVITE of ours. See RFC 3261, section 14.2."""

    sip_status = 491


class OutOfOrder(SipError):
    """A request that came too late or too early in its dialog. See RFC 3261, sections 12.2.2 and 14.2."""

    sip_status = 500


class MethodUnknown(SipError):
    """A method nobody has told us about. See RFC 3261, section 21.5.2."""

    sip_status = 501


class ServiceUnavailable(SipError):
    """A request that came while we take no more. See RFC 3261, section 21.5.4."""

    sip_status = 503


class VersionNotSupported(SipError):
    """A request of another SIP version. See RFC 3261, section 21.5.6."""

    sip_status = 505


class MessageTooLarge(SipError):
    """A message beyond our limits. See RFC 3261, section 21.5.7."""

    sip_status = 513
