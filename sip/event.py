"""What the owner of a user agent should know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NewType

from .request import Request
from .response import Response
from .via import Address

CallRef = NewType("CallRef", int)  # names one call of one user agent, and is never used again


class EndCause(Enum):
    """Why a call ended."""

    REMOTE_BYE = "remote bye"
    LOCAL_BYE = "local bye"  # we hung up after the call was answered
    CANCELLED = "cancelled"  # the calling side gave up before the answer
    REJECTED = "rejected"  # the called side sent a final response >= 300
    NO_ACK = "no ack"  # our 200 was never acknowledged
    TIMEOUT = "timeout"  # our INVITE was never answered
    EXPIRED = "expired"  # the session was not refreshed (RFC 4028)
    GONE = "gone"  # the other side knows the call no more, or answers nothing
    OVERLOADED = "overloaded"  # our INVITE was never sent: too many calls


@dataclass(frozen=True, slots=True)
class CallReceived:
    """An INVITE came; the owner must respond."""

    call: CallRef
    request: Request
    source: Address


@dataclass(frozen=True, slots=True)
class CallProgress:
    """The called side sent a provisional response other than 100."""

    call: CallRef
    response: Response


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """The called side answered; the ACK is on its way."""

    call: CallRef
    response: Response


@dataclass(frozen=True, slots=True)
class CallConfirmed:
    """The ACK to our answer came, with the answer to our offer if the INVITE had none."""

    call: CallRef
    body: bytes


@dataclass(frozen=True, slots=True)
class OfferReceived:
    """A re-INVITE or UPDATE came; the owner must accept or refuse it. Without a body, the offer is to be ours."""

    call: CallRef
    request: Request


@dataclass(frozen=True, slots=True)
class OfferWithdrawn:
    """Their re-INVITE was cancelled, or waited for the owner too long; the session stays as it is."""

    call: CallRef


@dataclass(frozen=True, slots=True)
class OfferAnswered:
    """An offer of ours was answered."""

    call: CallRef
    body: bytes


@dataclass(frozen=True, slots=True)
class OfferRefused:
    """An offer of ours was refused; the session stays as it is."""

    call: CallRef
    status: int


@dataclass(frozen=True, slots=True)
class DigitReceived:
    """A digit came in an INFO."""

    call: CallRef
    digit: str  # 0 to 9, * # A to D, and ! for flash
    duration_ms: int


@dataclass(frozen=True, slots=True)
class InfoReceived:
    """An INFO came with something else than a digit; it was answered."""

    call: CallRef
    request: Request


@dataclass(frozen=True, slots=True)
class InfoAnswered:
    """An INFO of ours was answered, or not: 408."""

    call: CallRef
    status: int


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """What became of our REFER, as far as the other side tells."""

    call: CallRef
    status: int  # of its new call; or of the REFER itself, if that was refused
    is_final: bool


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is over: once for each call received or placed."""

    call: CallRef
    cause: EndCause
    status: int | None  # of the final response, if one ended the call
    message: Request | Response | None  # theirs, that ended the call


Event = (
    CallReceived
    | CallProgress
    | CallAnswered
    | CallConfirmed
    | CallEnded
    | OfferReceived
    | OfferWithdrawn
    | OfferAnswered
    | OfferRefused
    | DigitReceived
    | InfoReceived
    | InfoAnswered
    | TransferProgress
)
