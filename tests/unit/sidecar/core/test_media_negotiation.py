"""What offers and answers come to."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec
import pytest

from rtp import Codec
from sidecar.core.media_leg import MediaLeg
from sidecar.core.media_negotiation import MediaNegotiation
from sidecar.core.media_policy import MediaPolicy, SrtpPolicy
from sip import Codec as SdpCodec
from sip import MediaCapabilities, NotAcceptable, Origin, SdpError, SessionDescription, answer_offer

SOURCE = "192.0.2.1"


KEY = "inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0"
OTHER_KEY = "inline:YUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVoxMjM0"
CM80 = "AES_CM_128_HMAC_SHA1_80"


def negotiation(
    source: str = SOURCE, *, codecs: Sequence[Codec] = (), srtp: SrtpPolicy = SrtpPolicy.OPTIONAL
) -> MediaNegotiation:
    policy = MediaPolicy(codecs, srtp)
    return MediaNegotiation(address="192.0.2.20", port=40000, source=source, random=Random(7), policy=policy)


def sdp(formats: str = "0", *, host: str = SOURCE, port: int = 4000, direction: str = "sendrecv") -> bytes:
    head = f"v=0\r\no=- 1 1 IN IP4 {SOURCE}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    return f"{head}m=audio {port} RTP/AVP {formats}\r\na={direction}\r\n".encode()


def secure(key: str = KEY, *, tag: int = 1) -> bytes:
    return sdp().replace(b"RTP/AVP", b"RTP/SAVP") + f"a=crypto:{tag} {CM80} {key}\r\n".encode()


def leg(codec: str = "PCMU", payload_type: int = 0, port: int = 4000) -> MediaLeg:
    return MediaLeg(codec, payload_type, payload_type, SOURCE, port, [], rtcp_port=port + 1)


def version(description: bytes) -> int:
    return int(SessionDescription.parse(description).lines[1][1].split()[2])


def test_an_offer_is_answered_in_its_own_order_of_codecs() -> None:
    ours = negotiation()
    terms = ours.answer(sdp("8 0"))
    assert terms.leg == leg("PCMA", 8)
    assert terms.sends
    assert b"m=audio 40000 RTP/AVP 8\r\n" in terms.description
    assert ours.terms is None
    ours.settle(terms)
    assert ours.terms is terms
    assert not ours.has_offered


def test_the_version_counts_what_was_said_and_no_more() -> None:
    ours = negotiation()
    ours.settle(ours.answer(sdp()))
    refused, second = ours.answer(sdp("8")), ours.answer(sdp("0", port=4002))
    assert (version(refused.description), version(second.description)) == (2, 2)
    ours.settle(second)
    assert version(ours.offer()) == 3
    assert ours.has_offered


def test_our_offer_is_answered_by_one_codec_with_the_numbers_of_either_side() -> None:
    ours = negotiation()
    offer = SessionDescription.parse(ours.offer())
    theirs = answer_offer(
        offer,
        capabilities=MediaCapabilities(SOURCE, 4000, (SdpCodec("PCMA", 8000),), telephone_event=False),
        origin=Origin(1, 1, SOURCE),
    )
    terms = ours.read_answer(bytes(theirs.description))
    assert (terms.leg, terms.sends) == (leg("PCMA", 8), True)


@pytest.mark.parametrize("answer", [b"", b"nonsense", sdp("18"), sdp(port=0)])
def test_an_answer_that_cannot_be_followed_is_an_error(answer: bytes) -> None:
    ours = negotiation()
    ours.offer()
    with pytest.raises((SdpError, NotAcceptable)):
        ours.read_answer(answer)


@pytest.mark.parametrize(
    ("host", "port"),
    [("255.255.255.255", 4000), ("224.0.0.1", 4000), ("192.0.2.20", 40000)],
)
def test_media_goes_to_one_peer_and_not_to_ourselves(host: str, port: int) -> None:
    with pytest.raises(NotAcceptable):
        negotiation().answer(sdp(host=host, port=port))


def test_media_may_come_from_where_the_call_came_from() -> None:
    terms = negotiation("192.0.2.9").answer(sdp())
    assert terms.leg is not None
    assert terms.leg.sources == ["192.0.2.9"]


def test_the_hold_of_old_keeps_the_address_and_takes_the_codec() -> None:
    ours = negotiation()
    held = ours.answer(sdp(host="0.0.0.0"))
    assert (held.leg, held.sends) == (None, False)
    ours.settle(ours.answer(sdp()))
    held = ours.answer(sdp("8", host="0.0.0.0", port=9))
    assert (held.leg, held.sends) == (leg("PCMA", 8), False)


def test_the_codecs_of_the_setting_are_taken_in_its_order() -> None:
    ours = negotiation(codecs=[Codec.L16_16K, Codec.G722, Codec.PCMA])
    offer = sdp("0 8 9 96 13").decode() + "a=rtpmap:96 L16/16000\r\na=ptime:30\r\n"
    terms = ours.answer(offer.encode())
    assert terms.leg == msgspec.structs.replace(leg("L16_16K", 96), ptime_ms=30)
    assert ours.answer(sdp("0 8 9")).leg == leg("G722", 9)
    with pytest.raises(NotAcceptable):
        ours.answer(sdp("0"))
    offered = SessionDescription.parse(ours.offer()).media[0]
    assert [str(offered.codec(number)) for number in offered.payload_types] == [
        "L16/16000",
        "G722/8000",
        "PCMA/8000",
        "CN/8000",
        "telephone-event/16000",
        "telephone-event/8000",
    ]


def test_opus_and_comfort_noise_are_answered_as_their_rfcs_say() -> None:
    offer = sdp("111 13").decode() + "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1;stereo=1\r\n"
    terms = negotiation().answer(offer.encode())
    assert terms.leg == leg("OPUS", 111)
    assert b"a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n" in terms.description


def test_telephone_events_are_agreed_on_for_the_clock_rate_of_the_codec() -> None:
    offer = sdp("96 97 98").replace(
        b"a=sendrecv",
        b"a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 telephone-event/8000\r\na=rtpmap:98 telephone-event/48000",
    )
    terms = negotiation().answer(offer)
    assert terms.leg is not None
    assert (terms.leg.telephone_event_payload_type, terms.leg.send_telephone_event_payload_type) == (98, 98)
    without = negotiation().answer(sdp())
    assert without.leg is not None
    assert without.leg.send_telephone_event_payload_type is None


@pytest.mark.parametrize(("lines", "port"), [("", 4001), ("a=rtcp:5555\r\n", 5555), ("a=rtcp-mux\r\n", 4000)])
def test_rtcp_goes_where_the_other_side_wants_it(lines: str, port: int) -> None:
    terms = negotiation().answer(sdp() + lines.encode())
    assert terms.leg is not None
    assert terms.leg.rtcp_port == port
    assert (b"a=rtcp-mux" in terms.description) == ("mux" in lines)


def test_above_the_last_port_there_is_none_for_rtcp() -> None:
    terms = negotiation().answer(sdp(port=65535))
    assert terms.leg is not None
    assert terms.leg.rtcp_port == 0


def test_an_encrypted_offer_is_answered_with_a_key_and_no_key_is_seen_in_a_log() -> None:
    terms = negotiation().answer(secure())
    assert b"m=audio 40000 RTP/SAVP 0\r\na=crypto:1 " in terms.description
    assert terms.leg is not None
    assert terms.leg.srtp is not None
    assert (terms.leg.srtp.send_suite, terms.leg.srtp.receive_suite) == (CM80, CM80)
    assert terms.leg.srtp.receive_key == b"ABCDEFGHIJKLMNOPQRSTUVWXYZ1234"
    assert len(terms.leg.srtp.send_key) == 30
    for key in (terms.leg.srtp.send_key, terms.leg.srtp.receive_key):
        assert repr(key)[2:-1] not in repr(terms)
    assert "inline" not in repr(terms)


def test_our_key_stays_while_theirs_does() -> None:
    ours = negotiation()
    ours.settle(ours.answer(secure()))
    assert ours.terms is not None
    again, moved = ours.answer(secure(tag=2)), ours.answer(secure(OTHER_KEY))
    assert again.leg == ours.terms.leg
    assert b"a=crypto:2 " in again.description
    assert moved.leg is not None
    assert moved.leg.srtp is not None
    assert ours.terms.leg is not None
    assert ours.terms.leg.srtp is not None
    assert moved.leg.srtp.send_key != ours.terms.leg.srtp.send_key


def test_encryption_is_refused_or_demanded_by_the_setting() -> None:
    with pytest.raises(NotAcceptable):
        negotiation(srtp=SrtpPolicy.OFF).answer(secure())
    with pytest.raises(NotAcceptable):
        negotiation(srtp=SrtpPolicy.REQUIRED).answer(sdp())
    assert negotiation(srtp=SrtpPolicy.REQUIRED).answer(secure()).leg
    assert b"RTP/AVP" in negotiation().offer()
    demanding = negotiation(srtp=SrtpPolicy.REQUIRED)
    offer = SessionDescription.parse(demanding.offer())
    assert offer.media[0].protocol == "RTP/SAVP"
    theirs = answer_offer(
        offer,
        capabilities=MediaPolicy(srtp=SrtpPolicy.REQUIRED).capabilities(SOURCE, 4000),
        origin=Origin(1, 1, SOURCE),
        random=Random(1),
    )
    agreed = demanding.read_answer(bytes(theirs.description)).leg
    assert agreed is not None
    assert agreed.srtp is not None
    assert theirs.crypto is not None
    assert agreed.srtp.receive_key == theirs.crypto.key
