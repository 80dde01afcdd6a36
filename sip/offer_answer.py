"""Offers and answers of one audio stream. See RFC 3264."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from random import Random

from .codec import STATIC_PAYLOAD_TYPES, Codec
from .crypto import Crypto, answer_crypto, cryptos_of, match_crypto, offer_cryptos
from .description import Direction, Line, connection
from .error import NotAcceptable, SdpError
from .grammar import is_ip_literal
from .media_description import MediaDescription
from .negotiated import MediaCapabilities, Negotiated
from .origin import Origin
from .session_description import SessionDescription

_PROTOCOL = "RTP/AVP"
_SECURE = "RTP/SAVP"
_EVENTS = "0-16"  # the digits, * # A to D, and flash: RFC 4733, section 3.2
_FIRST_DYNAMIC = 96
_TELEPHONE_EVENT = 101  # by habit, not by any RFC
_UNSPECIFIED = ("0.0.0.0", "::")  # noqa: S104  RFC 3264, 8.4: the hold of old
_NOISE = "cn"
_PTIMES_MS = range(10, 61)
_EVENT = "telephone-event"


@dataclass(frozen=True, slots=True)
class _Formats:
    """The payload types of one m-line that we take."""

    codec: Codec
    payload_type: int
    telephone_event: int | None
    comfort_noise: int | None


def make_offer(
    capabilities: MediaCapabilities,
    *,
    origin: Origin,
    direction: Direction = Direction.SENDRECV,
    random: Random | None = None,
) -> SessionDescription:
    """Offer one audio stream with all we can do. See RFC 3264, section 5.1. Keys are made with `random`."""
    cryptos: list[Crypto] = []
    if capabilities.srtp_required:
        assert random is not None, "keys are needed"
        cryptos = offer_cryptos(capabilities.srtp_suites, random)
    numbered = _number(capabilities)
    media = _audio(
        capabilities,
        numbered,
        direction=direction,
        ptime_ms=capabilities.ptime_ms,
        rtcp_mux=capabilities.rtcp_mux,
        cryptos=cryptos,
    )
    return SessionDescription(_session_lines(origin, capabilities.address), (media,))


def answer_offer(
    offer: SessionDescription, *, capabilities: MediaCapabilities, origin: Origin, random: Random | None = None
) -> Negotiated:
    """Answer an offer: take its first audio stream that fits, refuse the others with port 0.

    The order of the codecs is the offerer's (RFC 3264, 6.1), unless ours is to count. Raise `NotAcceptable` if nothing
    fits. An encrypted stream is taken if we can, with a key made with `random`.
    """
    for taken, media in enumerate(offer.media):
        formats = _common_formats(media, capabilities)
        if formats is None or _remote_address(offer, media) is None:
            continue
        keys = _keys(media, capabilities, random)
        if keys is None and (media.protocol == _SECURE or capabilities.srtp_required):
            continue
        answered = _answered(offer, media, formats, capabilities, keys)
        description = SessionDescription(
            _session_lines(origin, capabilities.address, time=offer.first("t")),
            (*map(_refused, offer.media[:taken]), answered, *map(_refused, offer.media[taken + 1 :])),
        )
        return _negotiated(description, answered, offer, media, formats, formats, keys)
    raise NotAcceptable("No Common Codec")


def accept_answer(offer: SessionDescription, answer: SessionDescription) -> Negotiated:
    """Read the answer to our offer; raise `SdpError` or `NotAcceptable` if it is not one we can follow."""
    if len(answer.media) != len(offer.media):
        raise SdpError("answer has another number of m= lines than the offer")
    for ours, theirs in zip(offer.media, answer.media, strict=True):
        address = _remote_address(answer, theirs)
        pair = _pair_formats(ours, theirs)
        if pair is None or address is None:
            continue
        keys = match_crypto(cryptos_of(ours), cryptos_of(theirs)) if ours.protocol == _SECURE else None
        if keys is None and ours.protocol == _SECURE:
            continue
        send, receive = pair
        return _negotiated(offer, ours, answer, theirs, send, receive, keys)
    raise NotAcceptable("Answer Takes No Stream")


def _number(capabilities: MediaCapabilities) -> dict[int, Codec]:
    """Give every codec its static payload type, or a dynamic one of its own."""
    dynamic = (number for number in range(_FIRST_DYNAMIC, 128) if number != _TELEPHONE_EVENT)
    numbered: dict[int, Codec] = {}
    for codec in capabilities.codecs:
        static = [number for number, other in STATIC_PAYLOAD_TYPES.items() if other.matches(codec)]
        numbered[static[0] if static else next(dynamic)] = codec
    if capabilities.telephone_event:  # one for each clock rate: RFC 4733, section 2.4
        rates = dict.fromkeys(codec.clock_rate for codec in capabilities.codecs if not _is_noise(codec))
        for order, rate in enumerate(rates):
            number = _TELEPHONE_EVENT if order == 0 else next(dynamic)
            numbered[number] = Codec(_EVENT, rate, fmtp=_EVENTS)
    return numbered


def _common_formats(media: MediaDescription, capabilities: MediaCapabilities) -> _Formats | None:
    """Find the first of the offered codecs that we can do, and what goes with it."""
    if media.kind != "audio" or media.protocol not in (_PROTOCOL, _SECURE) or not media.port:
        return None
    common = [
        (codec, payload_type)
        for payload_type in media.payload_types
        if (offered := media.codec(payload_type)) is not None and not _is_noise(offered)
        for codec in capabilities.codecs
        if codec.matches(offered)
    ]
    if not common:
        return None
    codec, payload_type = common[0]
    if capabilities.in_our_order:
        codec, payload_type = min(common, key=lambda pair: capabilities.codecs.index(pair[0]))
    noise = any(_is_noise(each) for each in capabilities.codecs)
    return _Formats(
        codec,
        payload_type,
        _find(media, _EVENT, codec.clock_rate) if capabilities.telephone_event else None,
        _find(media, _NOISE, codec.clock_rate) if noise else None,
    )


def _pair_formats(ours: MediaDescription, theirs: MediaDescription) -> tuple[_Formats, _Formats] | None:
    """Find the first answered codec that we offered: the numbers to send with, and those to receive.

    The two may differ: each side says under which numbers it wants to receive (RFC 3264, 6.1).
    """
    if not theirs.port:
        return None
    for send in theirs.payload_types:
        answered = theirs.codec(send) or ours.codec(send)
        if answered is None or _is_noise(answered) or answered.encoding.lower() == _EVENT:
            continue
        for receive in ours.payload_types:
            codec = ours.codec(receive)
            if codec is not None and codec.matches(answered):
                codec = replace(codec, fmtp=ours.fmtp(receive))
                return _with_extras(codec, send, theirs), _with_extras(codec, receive, ours)
    return None


def _with_extras(codec: Codec, payload_type: int, media: MediaDescription) -> _Formats:
    rate = codec.clock_rate
    return _Formats(codec, payload_type, _find(media, _EVENT, rate), _find(media, _NOISE, rate))


def _find(media: MediaDescription, encoding: str, clock_rate: int) -> int | None:
    """Return the payload type of an encoding at a clock rate."""
    for payload_type in media.payload_types:
        codec = media.codec(payload_type)
        if codec is not None and codec.encoding.lower() == encoding and codec.clock_rate == clock_rate:
            return payload_type
    return None


def _is_noise(codec: Codec) -> bool:
    return codec.encoding.lower() == _NOISE


def _keys(
    media: MediaDescription, capabilities: MediaCapabilities, random: Random | None
) -> tuple[Crypto, Crypto] | None:
    """Return our key and theirs, if the stream is to be encrypted and we can."""
    if media.protocol != _SECURE or not capabilities.srtp_suites:
        return None
    assert random is not None, "a key is needed"
    return answer_crypto(cryptos_of(media), capabilities.srtp_suites, random)


def _answered(
    offer: SessionDescription,
    media: MediaDescription,
    formats: _Formats,
    capabilities: MediaCapabilities,
    keys: tuple[Crypto, Crypto] | None,
) -> MediaDescription:
    """Answer the one m-line that we take, with the numbers of the offer. See RFC 3264, section 6.1."""
    numbered = {formats.payload_type: formats.codec}
    if formats.telephone_event is not None:
        numbered[formats.telephone_event] = Codec(_EVENT, formats.codec.clock_rate, fmtp=_EVENTS)
    if formats.comfort_noise is not None:
        numbered[formats.comfort_noise] = Codec("CN", formats.codec.clock_rate)
    theirs = _direction(offer, media)
    return _audio(
        capabilities,
        numbered,
        direction=Direction.of(sends=theirs.receives, receives=theirs.sends),
        ptime_ms=_ptime(media, capabilities.ptime_ms),
        rtcp_mux=capabilities.rtcp_mux and media.rtcp_mux,
        cryptos=[] if keys is None else [keys[0]],
    )


def _audio(
    capabilities: MediaCapabilities,
    numbered: dict[int, Codec],
    *,
    direction: Direction,
    ptime_ms: int,
    rtcp_mux: bool,
    cryptos: Sequence[Crypto],
) -> MediaDescription:
    lines: list[Line] = [("a", f"crypto:{crypto}") for crypto in cryptos]
    for payload_type, codec in numbered.items():
        lines.append(("a", f"rtpmap:{payload_type} {codec}"))
        if codec.fmtp is not None:
            lines.append(("a", f"fmtp:{payload_type} {codec.fmtp}"))
    lines.append(("a", f"ptime:{ptime_ms}"))
    if capabilities.rtcp_port is not None:
        lines.append(("a", f"rtcp:{capabilities.rtcp_port}"))
    if rtcp_mux:
        lines.append(("a", "rtcp-mux"))
    lines.append(("a", direction.value))
    protocol = _SECURE if cryptos else _PROTOCOL
    return MediaDescription(
        "audio", capabilities.port, protocol, tuple(str(number) for number in numbered), tuple(lines)
    )


def _refused(media: MediaDescription) -> MediaDescription:
    """Refuse an m-line: its place stays, its port is 0. See RFC 3264, section 6."""
    return MediaDescription(media.kind, 0, media.protocol, media.formats or ("0",))


def _session_lines(origin: Origin, address: str, *, time: str | None = None) -> tuple[Line, ...]:
    return (
        ("v", "0"),
        ("o", str(origin)),
        ("s", "-"),
        ("c", connection(address)),
        ("t", time or "0 0"),  # an answer has the time of the offer: RFC 3264, section 6
    )


def _negotiated(
    description: SessionDescription,
    ours: MediaDescription,
    their_session: SessionDescription,
    theirs: MediaDescription,
    send: _Formats,
    receive: _Formats,
    keys: tuple[Crypto, Crypto] | None,
) -> Negotiated:
    our_direction = ours.direction or Direction.SENDRECV
    their_direction = _direction(their_session, theirs)
    return Negotiated(
        description=description,
        codec=send.codec,
        payload_type=send.payload_type,
        receive_payload_type=receive.payload_type,
        remote_address=_remote_address(their_session, theirs) or "",
        remote_port=theirs.port,
        direction=Direction.of(
            sends=our_direction.sends and their_direction.receives,
            receives=our_direction.receives and their_direction.sends,
        ),
        ptime_ms=_ptime(theirs, ours.ptime_ms or 20),
        telephone_event_payload_type=send.telephone_event,
        receive_telephone_event_payload_type=receive.telephone_event,
        comfort_noise_payload_type=send.comfort_noise,
        remote_fmtp=theirs.fmtp(send.payload_type),
        remote_rtcp_port=theirs.rtcp_port,
        rtcp_mux=ours.rtcp_mux and theirs.rtcp_mux,
        crypto=None if keys is None else keys[0],
        remote_crypto=None if keys is None else keys[1],
    )


def _remote_address(session: SessionDescription, media: MediaDescription) -> str | None:
    """Return where to send; None without address, or with a host name, which nobody here can look up.

    A group of many (multicast) is not where a call is sent to.
    """
    address = media.connection_address or session.connection_address
    if address is None or not is_ip_literal(address) or ip_address(address).is_multicast:
        return None
    return address


def _direction(session: SessionDescription, media: MediaDescription) -> Direction:
    """Return the direction as its writer sees it; the address 0.0.0.0 means that it does not listen."""
    stated = media.direction or session.direction or Direction.SENDRECV
    listens = _remote_address(session, media) not in _UNSPECIFIED
    return Direction.of(sends=stated.sends, receives=stated.receives and listens)


def _ptime(media: MediaDescription, default: int) -> int:
    """Return the packet time that they ask for, within what we can do and they can take."""
    asked = media.ptime_ms
    ptime_ms = asked if asked is not None and asked in _PTIMES_MS else default
    most = media.maxptime_ms
    return most if most is not None and most in _PTIMES_MS and most < ptime_ms else ptime_ms
