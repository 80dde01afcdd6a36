"""SDP: sessions, media, codecs, origins."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip import Codec, Direction, MediaDescription, Origin, SdpError, SessionDescription

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=12)
LINES = st.lists(st.tuples(st.sampled_from("icbkax"), WORDS), max_size=5).map(tuple)
FORMATS = st.lists(st.integers(0, 127).map(str), min_size=1, max_size=5).map(tuple)
MEDIA = st.builds(MediaDescription, WORDS, st.integers(0, 65535), WORDS, FORMATS, LINES, st.integers(1, 9))
SESSIONS = st.builds(
    lambda lines, media: SessionDescription((("v", "0"), *lines), media),
    LINES,
    st.lists(MEDIA, max_size=3).map(tuple),
)

BODY = (
    b"v=0\r\no=- 1 2 IN IP6 2001:db8::1\r\ns=-\r\nc=IN IP6 2001:db8::1\r\nb=AS:64\r\nt=0 0\r\n"
    b"a=group:LS 1\r\nq=unknown\r\na=sendonly\r\n"
    b"m=audio 49170/2 RTP/AVP 0 96 200 x\r\ni=voice\r\nc=IN IP4 192.0.2.1/127\r\nb=TIAS:64000\r\n"
    b"a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1; stereo=0\r\na=ptime:20\r\na=maxptime:40\r\n"
    b"a=rtcp:49173\r\na=made-up\r\n"
    b"m=video 0 RTP/AVP 31\r\n"
)


@given(SESSIONS)
def test_a_description_is_what_it_writes(session: SessionDescription) -> None:
    assert SessionDescription.parse(bytes(session)) == session


@given(st.binary(max_size=200), st.integers(0, 400))
def test_parse_raises_nothing_but_sdp_error(junk: bytes, at: int) -> None:
    for data in (junk, b"v=0\n" + junk, BODY[:at] + junk + BODY[at:]):
        with contextlib.suppress(SdpError):
            for media in SessionDescription.parse(data).media:
                _ = [(media.codec(n), media.fmtp(n)) for n in media.payload_types]
                _ = (media.ptime_ms, media.maxptime_ms, media.rtcp_port, media.direction)
                _ = media.connection_address


def test_unknown_lines_stay_in_their_place() -> None:
    assert bytes(SessionDescription.parse(BODY)) == BODY


def test_bare_line_feeds_empty_lines_and_trailing_white_space_are_forgiven() -> None:
    sloppy = BODY.replace(b"\r\n", b" \t\n") + b"\n\r\n\x00"
    assert bytes(SessionDescription.parse(sloppy)) == BODY


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"o=x\r\n",
        b"v=1\r\n",
        b"v=0\r\njunk\r\n",
        b"v=0\r\na=x\ry\r\n",
        b"v=0\r\nm=audio\r\n",
        b"v=0\r\nm=audio 65536 RTP/AVP 0\r\n",
        b"v=0\r\n" + b"m=audio 1 RTP/AVP 0\r\n" * 65,
    ],
)
def test_what_is_no_description_is_refused(body: bytes) -> None:
    with pytest.raises(SdpError):
        SessionDescription.parse(body)


def test_accessors_read_both_levels() -> None:
    session = SessionDescription.parse(BODY)
    audio, video = session.media
    assert session.connection_address == "2001:db8::1"
    assert audio.connection_address == "192.0.2.1"
    assert video.connection_address is None
    assert session.direction is Direction.SENDONLY
    assert audio.direction is None
    assert (audio.port, audio.port_count, audio.payload_types) == (49170, 2, (0, 96))
    assert audio.codec(0) == Codec("PCMU", 8000)
    assert audio.codec(96) == Codec("opus", 48000, 2)
    assert audio.codec(97) is None
    assert audio.fmtp(96) == "useinbandfec=1; stereo=0"
    assert (audio.ptime_ms, audio.maxptime_ms, audio.rtcp_port, audio.rtcp_mux) == (20, 40, 49173, False)
    assert audio.attribute("made-up") == ""
    assert session.first("b") == "AS:64"
    assert list(session.attributes("group")) == ["LS 1"]


@pytest.mark.parametrize("value", ["IN IP4", "IN IP5 1.2.3.4", "XX IP4 1.2.3.4"])
def test_a_malformed_connection_is_refused_when_it_is_read(value: str) -> None:
    with pytest.raises(SdpError):
        _ = SessionDescription((("c", value),)).connection_address


def test_the_rtcp_port_follows_from_what_is_said() -> None:
    def port(*attributes: str) -> int:
        return MediaDescription("audio", 10, "RTP/AVP", ("0",), tuple(("a", each) for each in attributes)).rtcp_port

    assert [port(), port("rtcp:99"), port("rtcp:0"), port("rtcp:x"), port("rtcp:99", "rtcp-mux")] == [
        11,
        99,
        11,
        11,
        10,
    ]


def test_malformed_attributes_are_as_if_they_were_not_there() -> None:
    lines = (("a", "rtpmap:96 junk"), ("a", "rtpmap:97 X/0"), ("a", "ptime:x"), ("a", "maxptime:20.0"))
    media = MediaDescription("audio", 10, "RTP/AVP", ("96", "97"), lines)
    assert (media.codec(96), media.codec(97), media.ptime_ms, media.maxptime_ms) == (None, None, None, 20)


def test_an_origin_and_a_codec_are_what_they_print() -> None:
    for origin in (Origin(1, 2, "192.0.2.1"), Origin(2**64 - 1, 0, "::1", "root")):
        assert Origin.parse(str(origin)) == origin
    for codec in (Codec("L16", 16000), Codec("opus", 48000, 2)):
        assert Codec.parse(str(codec)) == codec
    with pytest.raises(SdpError):
        Origin.parse("- x 1 IN IP4 h")
    assert str(Origin(1, 1, "::1")) == "- 1 1 IN IP6 ::1"


def test_static_payload_types_need_no_rtpmap() -> None:
    media = MediaDescription("audio", 10, "RTP/AVP", ("0", "8", "9", "13"))
    assert [str(media.codec(n)) for n in media.payload_types] == [
        "PCMU/8000",
        "PCMA/8000",
        "G722/8000",
        "CN/8000",
    ]
