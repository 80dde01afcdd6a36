"""SIP and SDP without input, output or clock: bytes and the time go in, bytes and events come out."""

from .admission import Admission
from .codec import Codec
from .counters import Counters
from .crypto import Crypto
from .cseq import CSeq
from .description import Direction
from .digest import AuthenticationFailed, Credentials
from .error import NotAcceptable, SdpError, ServiceUnavailable, SipError
from .event import (
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallProgress,
    CallReceived,
    CallRef,
    DigitReceived,
    EndCause,
    Event,
    InfoAnswered,
    InfoReceived,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    OfferWithdrawn,
    TransferProgress,
)
from .headers import Headers
from .media_description import MediaDescription
from .message import Message
from .name_addr import NameAddr
from .negotiated import MediaCapabilities, Negotiated
from .offer_answer import accept_answer, answer_offer, make_offer
from .origin import Origin
from .parameters import Parameters
from .parser import parse_message
from .reason import ReasonHeader
from .reliable_provisional import supports_100rel
from .request import Request
from .response import Response
from .session_description import SessionDescription
from .stream_framer import StreamFramer
from .timers import Timers
from .uri import SipUri
from .user_agent import UserAgent
from .via import Address, StreamAddress, Via

__all__ = [
    "Address",
    "Admission",
    "AuthenticationFailed",
    "CSeq",
    "CallAnswered",
    "CallConfirmed",
    "CallEnded",
    "CallProgress",
    "CallReceived",
    "CallRef",
    "Codec",
    "Counters",
    "Credentials",
    "Crypto",
    "DigitReceived",
    "Direction",
    "EndCause",
    "Event",
    "Headers",
    "InfoAnswered",
    "InfoReceived",
    "MediaCapabilities",
    "MediaDescription",
    "Message",
    "NameAddr",
    "Negotiated",
    "NotAcceptable",
    "OfferAnswered",
    "OfferReceived",
    "OfferRefused",
    "OfferWithdrawn",
    "Origin",
    "Parameters",
    "ReasonHeader",
    "Request",
    "Response",
    "SdpError",
    "ServiceUnavailable",
    "SessionDescription",
    "SipError",
    "SipUri",
    "StreamAddress",
    "StreamFramer",
    "Timers",
    "TransferProgress",
    "UserAgent",
    "Via",
    "accept_answer",
    "answer_offer",
    "make_offer",
    "parse_message",
    "supports_100rel",
]
