from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip import (
    Codec,
    Direction,
    MediaCapabilities,
    Negotiated,
    NotAcceptable,
    Origin,
    SdpError,
    SessionDescription,
    accept_answer,
    answer_offer,
    make_offer,
)

PCMU, PCMA, G722 = Codec("PCMU", 8000), Codec("PCMA", 8000), Codec("G722", 8000)
L16 = Codec("L16", 16000)
OPUS = Codec("opus", 48000, 2, fmtp="useinbandfec=1")
NOISE = Codec("CN", 8000)
OURS = MediaCapabilities("192.0.2.2", 40000, (PCMU, PCMA, OPUS), telephone_event=True)
ORIGIN = Origin(1, 1, "192.0.2.2")


def offer(media: str, *, session: str = "c=IN IP4 192.0.2.1\n") -> SessionDescription:
    """Build an offer from its media part."""
    return SessionDescription.parse(f"v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\n{session}t=0 0\n{media}".encode())


def answer(media: str, *, capabilities: MediaCapabilities = OURS, session: str | None = None) -> Negotiated:
    """Answer an offer."""
    offered = offer(media) if session is None else offer(media, session=session)
    return answer_offer(offered, capabilities=capabilities, origin=ORIGIN)


def test_the_order_of_the_offer_decides_and_its_numbers_come_back() -> None:
    agreed = answer(
        "m=audio 5000 RTP/AVP 3 98 0 97\na=rtpmap:98 OPUS/48000/2\na=fmtp:98 stereo=0\n"
        "a=rtpmap:97 telephone-event/48000\na=ptime:40\n"
    )
    assert agreed.codec == OPUS
    assert (agreed.payload_type, agreed.receive_payload_type) == (98, 98)
    assert agreed.telephone_event_payload_type == 97
    assert (agreed.remote_address, agreed.remote_port, agreed.remote_rtcp_port) == ("192.0.2.1", 5000, 5001)
    assert (agreed.ptime_ms, agreed.remote_fmtp) == (40, "stereo=0")
    (media,) = agreed.description.media
    assert media.formats == ("98", "97")
    assert media.codec(98) == Codec("opus", 48000, 2)
    assert media.fmtp(98) == "useinbandfec=1"
    assert media.fmtp(97) == "0-16"
    assert (media.port, media.ptime_ms) == (40000, 40)
    assert agreed.description.connection_address == "192.0.2.2"


def test_telephone_events_of_another_clock_rate_are_left_out() -> None:
    agreed = answer("m=audio 5000 RTP/AVP 98 101\na=rtpmap:98 opus/48000/2\na=rtpmap:101 telephone-event/8000\n")
    assert agreed.telephone_event_payload_type is None
    assert agreed.description.media[0].formats == ("98",)


def test_telephone_events_and_comfort_noise_are_taken_only_if_we_can() -> None:
    media = "m=audio 5000 RTP/AVP 13 0 101\na=rtpmap:101 telephone-event/8000\n"
    plain = MediaCapabilities("192.0.2.2", 40000, (NOISE, PCMU), telephone_event=False)
    agreed = answer(media, capabilities=plain)
    assert (agreed.codec, agreed.telephone_event_payload_type) == (PCMU, None)
    assert agreed.comfort_noise_payload_type == 13
    assert agreed.description.media[0].formats == ("0", "13")
    assert answer(media).comfort_noise_payload_type is None


@pytest.mark.parametrize(
    ("line", "ours"),
    [
        ("a=sendonly", Direction.RECVONLY),
        ("a=recvonly", Direction.SENDONLY),
        ("a=inactive", Direction.INACTIVE),
        ("a=sendrecv", Direction.SENDRECV),
        ("a=x", Direction.SENDRECV),
        ("c=IN IP4 0.0.0.0", Direction.RECVONLY),
    ],
)
def test_the_direction_is_mirrored(line: str, ours: Direction) -> None:
    agreed = answer(f"m=audio 5000 RTP/AVP 0\n{line}\n")
    assert agreed.direction is ours
    assert agreed.description.media[0].direction is ours


def test_the_direction_of_the_session_counts_where_the_media_have_none() -> None:
    session = "c=IN IP4 192.0.2.1\na=inactive\n"
    assert answer("m=audio 5000 RTP/AVP 0\n", session=session).direction is Direction.INACTIVE
    assert answer("m=audio 5000 RTP/AVP 0\na=sendonly\n", session=session).direction is Direction.RECVONLY


@pytest.mark.parametrize(
    ("lines", "ptime_ms"),
    [
        ("", 20),
        ("a=ptime:5", 20),
        ("a=ptime:61", 20),
        ("a=ptime:10", 10),
        ("a=ptime:60", 60),
        ("a=ptime:40\na=maxptime:30", 30),
        ("a=maxptime:150", 20),
        ("a=maxptime:5", 20),
    ],
)
def test_the_packet_time_is_theirs_within_bounds(lines: str, ptime_ms: int) -> None:
    assert answer(f"m=audio 5000 RTP/AVP 0\n{lines}\n").ptime_ms == ptime_ms


def test_every_line_is_answered_and_those_we_do_not_take_get_port_0() -> None:
    agreed = answer(
        "m=video 4000 RTP/AVP 31\nm=audio 4002 RTP/SAVP 0\nm=audio 4004 RTP/AVP 18\nm=audio 0 RTP/AVP 0\n"
        "m=audio 5000 RTP/AVP 8\nm=audio 5002 RTP/AVP 0\nm=image 6000 udptl t38\nm=application 7 TCP/X\n"
    )
    media = agreed.description.media
    assert [each.port for each in media] == [0, 0, 0, 0, 40000, 0, 0, 0]
    assert [each.kind for each in media][-2:] == ["image", "application"]
    assert (agreed.codec, agreed.remote_port) == (PCMA, 5000)


@pytest.mark.parametrize(
    ("media", "session"),
    [
        ("", None),
        ("m=audio 5000 RTP/AVP 18 99\n", None),
        ("m=audio 5000 RTP/SAVP 0\n", None),
        ("m=audio 0 RTP/AVP 0\n", None),
        ("m=audio 5000 RTP/AVP 0\n", ""),
        ("m=audio 5000 RTP/AVP 0\nc=IN IP4 pbx.example\n", None),
        ("m=audio 5000 RTP/AVP 0\nc=IN IP4 224.2.1.1/127\n", None),
        ("m=audio 5000 RTP/AVP 0\nc=IN IP6 ff15::101\n", None),
    ],
)
def test_an_offer_in_which_nothing_fits_is_not_acceptable(media: str, session: str | None) -> None:
    with pytest.raises(NotAcceptable) as caught:
        answer(media, session=session)
    assert caught.value.sip_status == 488


def test_rtcp_shares_the_port_only_if_both_sides_say_so() -> None:
    able = MediaCapabilities("192.0.2.2", 40000, (PCMU,), telephone_event=False, rtcp_mux=True)
    asked = "m=audio 5000 RTP/AVP 0\na=rtcp-mux\n"
    agreed = answer(asked, capabilities=able)
    assert (agreed.rtcp_mux, agreed.remote_rtcp_port) == (True, 5000)
    assert agreed.description.media[0].rtcp_mux
    assert not answer(asked).rtcp_mux
    assert not answer("m=audio 5000 RTP/AVP 0\n", capabilities=able).rtcp_mux
    assert make_offer(able, origin=ORIGIN).media[0].rtcp_mux


def test_an_offer_numbers_every_codec_and_one_telephone_event_for_each_clock_rate() -> None:
    codecs = (PCMU, G722, L16, OPUS, NOISE)
    able = MediaCapabilities("2001:db8::2", 40000, codecs, telephone_event=True, ptime_ms=30)
    description = make_offer(able, origin=Origin(1, 1, "2001:db8::2"), direction=Direction.SENDONLY)
    (media,) = description.media
    assert media.formats == ("0", "9", "96", "97", "13", "101", "98", "99")
    assert [str(media.codec(n)) for n in (101, 98, 99)] == [
        "telephone-event/8000",
        "telephone-event/16000",
        "telephone-event/48000",
    ]
    assert (media.ptime_ms, media.direction) == (30, Direction.SENDONLY)
    assert b"c=IN IP6 2001:db8::2\r\n" in bytes(description)


def test_their_numbers_are_to_send_with_and_ours_to_receive() -> None:
    ours = make_offer(OURS, origin=ORIGIN)
    theirs = offer(
        "m=audio 5000 RTP/AVP 13 120 110\na=rtpmap:110 opus/48000/2\na=fmtp:110 stereo=1\n"
        "a=rtpmap:120 telephone-event/48000\na=recvonly\na=ptime:40\n"
    )
    agreed = accept_answer(ours, theirs)
    assert agreed.codec == OPUS
    assert (agreed.payload_type, agreed.receive_payload_type) == (110, 96)
    assert (agreed.telephone_event_payload_type, agreed.receive_telephone_event_payload_type) == (120, 97)
    assert (agreed.direction, agreed.ptime_ms) == (Direction.SENDONLY, 40)
    assert agreed.description is ours


def test_an_answer_may_leave_out_what_the_offer_has_said_about_a_number() -> None:
    assert accept_answer(make_offer(OURS, origin=ORIGIN), offer("m=audio 5000 RTP/AVP 96\n")).codec == OPUS


@pytest.mark.parametrize(
    ("media", "error"),
    [
        ("m=audio 0 RTP/AVP 0\n", NotAcceptable),
        ("m=audio 5000 RTP/AVP 18 111\na=rtpmap:18 G729/8000\n", NotAcceptable),
        ("m=audio 5000 RTP/AVP 0\nc=IN IP4 pbx.example\n", NotAcceptable),
        ("", SdpError),
    ],
)
def test_an_answer_that_cannot_be_followed_is_refused(media: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        accept_answer(make_offer(OURS, origin=ORIGIN), offer(media))


@given(
    st.lists(st.sampled_from([PCMU, PCMA, G722, L16, OPUS]), min_size=1, unique=True),
    st.lists(st.sampled_from([PCMU, PCMA, G722, L16, OPUS]), min_size=1, unique=True),
    st.sampled_from(Direction),
)
def test_both_sides_agree_on_the_same(left: list[Codec], right: list[Codec], direction: Direction) -> None:
    offerer = MediaCapabilities("192.0.2.1", 5000, tuple(left), telephone_event=True)
    answerer = MediaCapabilities("192.0.2.2", 6000, tuple(right), telephone_event=True)
    description = make_offer(offerer, origin=Origin(1, 1, "192.0.2.1"), direction=direction)
    common = [codec for codec in left if codec in right]
    if not common:
        with pytest.raises(NotAcceptable):
            answer_offer(description, capabilities=answerer, origin=ORIGIN)
        return
    theirs = answer_offer(description, capabilities=answerer, origin=ORIGIN)
    ours = accept_answer(description, SessionDescription.parse(bytes(theirs.description)))
    assert ours.codec == theirs.codec == common[0]
    assert ours.payload_type == theirs.receive_payload_type
    assert ours.telephone_event_payload_type == theirs.telephone_event_payload_type is not None
    assert ours.direction.sends is theirs.direction.receives is direction.sends
    assert ours.direction.receives is theirs.direction.sends is direction.receives
