"""Keys in session descriptions: RTP/SAVP with a=crypto. See RFC 4568."""

from __future__ import annotations

import contextlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip import (
    Codec,
    Crypto,
    MediaCapabilities,
    NotAcceptable,
    Origin,
    SdpError,
    SessionDescription,
    accept_answer,
    answer_offer,
    make_offer,
)
from sip.crypto import KEY_LENGTHS

CM80, CM32, GCM = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_256_GCM"
KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"  # of RFC 4568, section 4
ABLE = MediaCapabilities("192.0.2.2", 40000, (Codec("PCMU", 8000),), telephone_event=False, srtp_suites=(CM80, GCM))
PLAIN = MediaCapabilities("192.0.2.2", 40000, (Codec("PCMU", 8000),), telephone_event=False)
STRICT = MediaCapabilities(
    "192.0.2.1", 5000, (Codec("PCMU", 8000),), telephone_event=False, srtp_suites=(CM32, CM80), srtp_required=True
)
ORIGIN = Origin(1, 1, "192.0.2.2")


def offer(media: str) -> SessionDescription:
    """Build an offer from its media part."""
    return SessionDescription.parse(f"v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\n{media}".encode())


SECURE = f"m=audio 5000 RTP/SAVP 0\na=crypto:1 {CM32} inline:{KEY}\na=crypto:2 {CM80} inline:{KEY}|2^20\n"


def test_the_first_suite_that_we_can_do_is_taken_with_a_key_of_ours() -> None:
    agreed = answer_offer(offer(SECURE), capabilities=ABLE, origin=ORIGIN, random=Random(1))
    (media,) = agreed.description.media
    assert agreed.crypto is not None
    assert agreed.remote_crypto is not None
    assert (media.protocol, media.attribute("crypto")) == ("RTP/SAVP", str(agreed.crypto))
    assert (agreed.crypto.tag, agreed.crypto.suite, len(agreed.crypto.key)) == (2, CM80, 30)
    assert (agreed.remote_crypto.lifetime, agreed.crypto.key != agreed.remote_crypto.key) == ("2^20", True)
    assert KEY not in repr(agreed)


@pytest.mark.parametrize(
    ("media", "capabilities"),
    [
        (SECURE, PLAIN),
        (SECURE.replace("a=crypto:2", "a=x:2"), ABLE),
        (f"m=audio 5000 RTP/SAVP 0\na=crypto:1 {CM80} inline:{KEY}|1:4\n", ABLE),
        (f"m=audio 5000 RTP/SAVP 0\na=crypto:1 {CM80} inline:{KEY} UNENCRYPTED_SRTP\n", ABLE),
        ("m=audio 5000 RTP/SAVP 0\na=crypto:1 UNKNOWN inline:x\n", ABLE),
        ("m=audio 5000 RTP/AVP 0\n", STRICT),
    ],
)
def test_a_stream_that_cannot_be_as_secret_as_one_side_wants_is_refused(
    media: str, capabilities: MediaCapabilities
) -> None:
    with pytest.raises(NotAcceptable):
        answer_offer(offer(media), capabilities=capabilities, origin=ORIGIN, random=Random(1))


def test_of_a_secret_and_an_open_stream_the_first_that_fits_is_taken() -> None:
    both = SECURE + "m=audio 5002 RTP/AVP 0\n"
    secret = answer_offer(offer(both), capabilities=ABLE, origin=ORIGIN, random=Random(1))
    assert [each.port for each in secret.description.media] == [40000, 0]
    plain = answer_offer(offer(both), capabilities=PLAIN, origin=ORIGIN)
    assert [each.port for each in plain.description.media] == [0, 40000]
    assert [each.protocol for each in plain.description.media] == ["RTP/SAVP", "RTP/AVP"]


def test_both_sides_hold_the_same_keys() -> None:
    description = make_offer(STRICT, origin=Origin(1, 1, "192.0.2.1"), random=Random(1))
    theirs = answer_offer(description, capabilities=ABLE, origin=ORIGIN, random=Random(2))
    ours = accept_answer(description, SessionDescription.parse(bytes(theirs.description)))
    assert (ours.crypto, ours.remote_crypto) == (theirs.remote_crypto, theirs.crypto)
    assert ours.crypto is not None


def test_an_answer_without_a_key_or_with_another_suite_is_refused() -> None:
    description = make_offer(STRICT, origin=ORIGIN, random=Random(1))
    for line in ("", f"a=crypto:2 {CM32} inline:{KEY}\n", f"a=crypto:9 {CM80} inline:{KEY}\n"):
        with pytest.raises(NotAcceptable):
            accept_answer(description, offer(f"m=audio 5000 RTP/SAVP 0\n{line}"))


def test_keys_are_not_made_without_a_source_of_them() -> None:
    with pytest.raises(AssertionError):
        make_offer(STRICT, origin=ORIGIN)
    with pytest.raises(AssertionError):
        answer_offer(offer(SECURE), capabilities=ABLE, origin=ORIGIN)


@given(
    st.integers(0, 999_999_999),
    st.sampled_from(sorted(KEY_LENGTHS)),
    st.data(),
    st.sampled_from([None, "2^31", "1048576"]),
    st.sampled_from([None, "1:4"]),
    st.sampled_from([(), ("WSH=64",), ("-X", "KDR=1")]),
)
def test_crypto_is_what_it_prints(
    tag: int, suite: str, data: st.DataObject, lifetime: str | None, mki: str | None, parameters: tuple[str, ...]
) -> None:
    key = data.draw(st.binary(min_size=KEY_LENGTHS[suite], max_size=KEY_LENGTHS[suite]))
    crypto = Crypto(tag, suite, key, lifetime, mki, parameters)
    assert Crypto.parse(str(crypto)) == crypto
    assert crypto.is_plain == (mki is None and "KDR=1" not in parameters)


@pytest.mark.parametrize(
    "value",
    ["", "1", f"1 {CM80} inline:x", f"1 {CM80} outline:{KEY}", f"x {CM80} inline:{KEY}", f"1 FOO inline:{KEY}",
     f"1 {CM80} inline:{KEY}=AA", f"1 {CM80} inline:A"],
)  # fmt: skip
def test_malformed_crypto_is_refused(value: str) -> None:
    with pytest.raises(SdpError):
        Crypto.parse(value)


@given(st.text(max_size=60))
def test_parse_raises_nothing_but_sdp_error(text: str) -> None:
    with contextlib.suppress(SdpError):
        Crypto.parse(text)
    with contextlib.suppress(SdpError):
        Crypto.parse(f"1 {CM80} inline:{text}")


def test_rtcp_elsewhere_and_bandwidth_are_said_and_read() -> None:
    elsewhere = MediaCapabilities("192.0.2.2", 40000, (Codec("PCMU", 8000),), telephone_event=False, rtcp_port=41001)
    assert make_offer(elsewhere, origin=ORIGIN).media[0].rtcp_port == 41001
    (media,) = offer("m=audio 1 RTP/AVP 0\nb=AS:x\nb=AS:64\nb=TIAS:64000\n").media
    assert [media.bandwidth(kind) for kind in ("AS", "TIAS", "CT")] == [64, 64000, None]
