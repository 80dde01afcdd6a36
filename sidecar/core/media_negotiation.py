"""The media of one call, as offers and answers settle it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

import msgspec

from rtp import Codec
from sidecar.core.codecs import ALL_CODECS, sdp_codecs
from sidecar.core.link import MediaLeg
from sip import (
    MediaCapabilities,
    Negotiated,
    NotAcceptable,
    Origin,
    SessionDescription,
    accept_answer,
    answer_offer,
    make_offer,
)

_BROADCAST = ip_address("255.255.255.255")


@dataclass(frozen=True, slots=True)
class Terms:
    """What an offer and its answer come to."""

    description: bytes  # ours
    origin: Origin  # of that
    leg: MediaLeg | None  # None: they have not said where they listen
    sends: bool  # whether they listen


class MediaNegotiation:
    """Makes and reads the session descriptions of one call; the terms that hold change by `settle` alone.

    See RFC 3264. `address` and `port` are where we take media, `source` is the host that the call came from. `codecs`
    are those that we take, the most wanted first; none: all, in the order of the other side.
    """

    def __init__(self, *, address: str, port: int, source: str, session_id: int, codecs: Sequence[Codec] = ()) -> None:
        self._capabilities = MediaCapabilities(
            address, port, sdp_codecs(codecs or ALL_CODECS), telephone_event=False, in_our_order=bool(codecs)
        )
        self._source = source
        self._origin = Origin(session_id, 0, address)
        self._offered: SessionDescription | None = None
        self.terms: Terms | None = None

    @property
    def has_offered(self) -> bool:
        """Whether there was an offer of ours."""
        return self._offered is not None

    def answer(self, offer: bytes) -> Terms:
        """Answer an offer with all we can do; raise `SipError` if nothing of it fits."""
        origin = self._next_origin()
        description = SessionDescription.parse(offer)
        return self._terms(answer_offer(description, capabilities=self._capabilities, origin=origin), origin)

    def offer(self) -> bytes:
        """Offer all we can do."""
        self._origin = self._next_origin()
        self._offered = make_offer(self._capabilities, origin=self._origin)
        return bytes(self._offered)

    def read_answer(self, answer: bytes) -> Terms:
        """Read the answer to our last offer; raise `SipError` if we cannot follow it."""
        assert self._offered is not None, "an answer follows an offer"
        return self._terms(accept_answer(self._offered, SessionDescription.parse(answer)), self._origin)

    def settle(self, terms: Terms) -> None:
        """Let these terms hold from now on."""
        self.terms, self._origin = terms, terms.origin

    def _next_origin(self) -> Origin:
        return replace(self._origin, version=self._origin.version + 1)

    def _terms(self, media: Negotiated, origin: Origin) -> Terms:
        return Terms(bytes(media.description), origin, self._leg(media), media.direction.sends)

    def _leg(self, media: Negotiated) -> MediaLeg | None:
        """Describe the telephone side to the worker; the media may also come from where the INVITE came from."""
        address = ip_address(media.remote_address)
        if address.version != 4:
            raise NotAcceptable("media on IPv6 is not supported yet")
        if address.is_multicast or address == _BROADCAST:
            raise NotAcceptable("the media address is not that of one peer")
        if (media.remote_address, media.remote_port) == (self._capabilities.address, self._capabilities.port):
            raise NotAcceptable("the media address is our own")
        leg = MediaLeg(
            codec=Codec.of_rtpmap(media.codec.encoding, media.codec.clock_rate).name,
            payload_type=media.receive_payload_type,
            send_payload_type=media.payload_type,
            host=media.remote_address,
            port=media.remote_port,
            sources=[self._source] if self._source != media.remote_address and ":" not in self._source else [],
            ptime_ms=media.ptime_ms,
            telephone_event_payload_type=media.receive_telephone_event_payload_type,
        )
        if not address.is_unspecified:
            return leg
        before = None if self.terms is None else self.terms.leg  # 0.0.0.0 is on hold: RFC 3264, section 8.4
        return before and msgspec.structs.replace(leg, host=before.host, port=before.port, sources=before.sources)
