from __future__ import annotations

from dataclasses import dataclass

from .codec import Codec
from .crypto import Crypto
from .description import Direction
from .session_description import SessionDescription


@dataclass(frozen=True, slots=True)
class MediaCapabilities:
    """What our side can send and receive: codecs in the order of preference."""

    address: str
    port: int
    codecs: tuple[Codec, ...]
    telephone_event: bool
    in_our_order: bool = False  # answer an offer with the codec that we want most, not the one that they do
    ptime_ms: int = 20
    rtcp_mux: bool = False
    rtcp_port: int | None = None  # if it is not the next one (RFC 3605)
    srtp_suites: tuple[str, ...] = ()  # that we can do, the best first (RFC 4568)
    srtp_required: bool = False  # offer RTP/SAVP, and take nothing else


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What an offer and its answer agreed on, seen from our side. See RFC 3264."""

    description: SessionDescription  # ours, to be sent
    codec: Codec
    payload_type: int  # to send with
    receive_payload_type: int
    remote_address: str
    remote_port: int
    direction: Direction  # ours: SENDONLY means that we send and they listen
    ptime_ms: int
    telephone_event_payload_type: int | None = None  # to send with
    receive_telephone_event_payload_type: int | None = None
    comfort_noise_payload_type: int | None = None  # to send with
    remote_fmtp: str | None = None  # what they ask of what we send
    remote_rtcp_port: int = 0
    rtcp_mux: bool = False
    crypto: Crypto | None = None  # ours, to send with; None: RTP is not encrypted
    remote_crypto: Crypto | None = None  # theirs, to receive with
