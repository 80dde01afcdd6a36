"""The media of one call, as offers and answers settle it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from random import Random

import msgspec

from rtp import Codec
from sidecar.core.media_leg import MediaLeg, SrtpKeys
from sidecar.core.media_policy import MediaPolicy
from sip import (
    Crypto,
    Negotiated,
    NotAcceptable,
    Origin,
    SessionDescription,
    accept_answer,
    answer_offer,
    make_offer,
)

_LAST_PORT = 65535
_BROADCAST = ip_address("255.255.255.255")


@dataclass(frozen=True, slots=True)
class Terms:
    """What an offer and its answer come to."""

    description: bytes = field(repr=False)  # ours; it may have a key in it
    origin: Origin  # of that
    leg: MediaLeg | None  # None: they have not said where they listen
    sends: bool  # whether we send: they listen
    receives: bool  # whether they send
    keys: tuple[Crypto, Crypto] | None = None  # ours and theirs


class MediaNegotiation:
    """Makes and reads the session descriptions of one call; the terms that hold change by `settle` alone.

    See RFC 3264. `address` and `port` are where we take media, `source` is the host that the call came from. Numbers
    and keys are made with `random`.
    """

    def __init__(self, *, address: str, port: int, source: str, random: Random, policy: MediaPolicy) -> None:
        self._capabilities = policy.capabilities(address, port)
        self._source = source
        self._random = random
        self._origin = Origin(random.getrandbits(62), 0, address)
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
        answered = answer_offer(
            description,
            capabilities=self._capabilities,
            origin=origin,
            random=self._random,
            keys_in_use=None if self.terms is None else self.terms.keys,
        )
        return self._terms(answered, origin)

    def offer(self) -> bytes:
        """Offer all we can do."""
        self._origin = self._next_origin()
        self._offered = make_offer(self._capabilities, origin=self._origin, random=self._random)
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
        keys = (media.crypto, media.remote_crypto) if media.crypto and media.remote_crypto else None
        leg, direction = self._leg(media, keys), media.direction
        return Terms(bytes(media.description), origin, leg, direction.sends, direction.receives, keys)

    def _leg(self, media: Negotiated, keys: tuple[Crypto, Crypto] | None) -> MediaLeg | None:
        """Describe the telephone side to the worker; the media may also come from where the INVITE came from."""
        address = ip_address(media.remote_address)
        if address.version != 4:
            raise NotAcceptable("media on IPv6 is not supported yet")
        if address.is_multicast or address == _BROADCAST:
            raise NotAcceptable("the media address is not that of one peer")
        if (media.remote_address, media.remote_port) == (self._capabilities.address, self._capabilities.port):
            raise NotAcceptable("the media address is our own")
        events = media.telephone_event_payload_type
        leg = MediaLeg(
            codec=Codec.of_rtpmap(media.codec.encoding, media.codec.clock_rate).name,
            payload_type=media.receive_payload_type,
            send_payload_type=media.payload_type,
            host=media.remote_address,
            port=media.remote_port,
            sources=[self._source] if self._source != media.remote_address and ":" not in self._source else [],
            ptime_ms=media.ptime_ms,
            telephone_event_payload_type=events and media.receive_telephone_event_payload_type,
            send_telephone_event_payload_type=events,
            rtcp_port=media.remote_rtcp_port if media.remote_rtcp_port <= _LAST_PORT else 0,
            srtp=keys and SrtpKeys(keys[0].suite, keys[0].key, keys[1].suite, keys[1].key),
        )
        if not address.is_unspecified:
            return leg
        before = None if self.terms is None else self.terms.leg  # 0.0.0.0 is on hold: RFC 3264, section 8.4
        return before and msgspec.structs.replace(
            leg, host=before.host, port=before.port, sources=before.sources, rtcp_port=before.rtcp_port
        )
