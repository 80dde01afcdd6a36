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
class CallEnded:
    """The call is over: once for each call received or placed."""

    call: CallRef
    cause: EndCause
    status: int | None  # of the final response, if one ended the call
    message: Request | Response | None  # theirs, that ended the call


Event = CallReceived | CallProgress | CallAnswered | CallConfirmed | CallEnded
