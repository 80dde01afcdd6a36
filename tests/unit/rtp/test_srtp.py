"""SRTP against another implementation, written here from the RFCs."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from rtp import SRTP_SUITES, ReceiverReport, RtpPacket, Srtp, SrtpError

KEY_BYTES = dict(zip(SRTP_SUITES, (30, 30, 46, 46, 28, 44), strict=True))
RTCP = bytes(ReceiverReport(7))


def key_of(suite: str, *, first: int = 1) -> bytes:
    return bytes(range(first, first + KEY_BYTES[suite]))


def pair(suite: str) -> tuple[Srtp, Srtp]:
    one, other = key_of(suite), key_of(suite, first=101)
    return (
        Srtp(send_suite=suite, send_key=one, receive_suite=suite, receive_key=other),
        Srtp(send_suite=suite, send_key=other, receive_suite=suite, receive_key=one),
    )


def packet(sequence_number: int = 1, *, payload: bytes = b"a" * 160) -> bytes:
    return bytes(RtpPacket(0, sequence_number, 160 * sequence_number, 0xDECAFBAD, payload))


def key_stream(key: bytes, initial: int, length: int) -> bytes:
    return Cipher(algorithms.AES(key), modes.CTR(initial.to_bytes(16))).encryptor().update(bytes(length))


def xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def derive(master: bytes, salt: bytes, label: int, length: int) -> bytes:
    """RFC 3711, section 4.3.1; a salt of 96 bits is padded on the right (RFC 7714, section 11)."""
    padded = int.from_bytes(salt.ljust(14, b"\0"))
    return key_stream(master, (padded ^ label << 48) << 16, length)


def protect_plainly(suite: str, material: bytes, packet: bytes) -> bytes:
    """Protect an RTP packet before the first wrap: RFC 3711 sections 4.1.1 and 4.2, RFC 7714 section 8."""
    size = 32 if "256" in suite else 16
    master, salt = material[:size], material[size:]
    key, session_salt = derive(master, salt, 0, size), derive(master, salt, 2, len(salt))
    header, payload = packet[:12], packet[12:]
    ssrc, index = int.from_bytes(packet[8:12]), int.from_bytes(packet[2:4])
    if "GCM" in suite:
        nonce = int.from_bytes(session_salt) ^ ssrc << 48 ^ index
        return header + AESGCM(key).encrypt(nonce.to_bytes(12), payload, header)
    initial = int.from_bytes(session_salt) << 16 ^ ssrc << 64 ^ index << 16
    encrypted = header + xor(payload, key_stream(key, initial, len(payload)))
    tag = hmac.new(derive(master, salt, 1, 20), encrypted + bytes(4), hashlib.sha1).digest()
    return encrypted + tag[: 4 if suite.endswith("32") else 10]


@pytest.mark.parametrize("suite", SRTP_SUITES)
def test_packets_are_those_of_the_rfcs(suite: str) -> None:
    sender, _ = pair(suite)
    for number in (1, 2, 4711):
        plain = packet(number)
        assert sender.protect(plain) == protect_plainly(suite, key_of(suite), plain)


def test_the_vector_of_libsrtp() -> None:
    key = bytes.fromhex("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6")
    suite = "AES_CM_128_HMAC_SHA1_80"
    srtp = Srtp(send_suite=suite, send_key=key, receive_suite=suite, receive_key=key)
    plain = bytes.fromhex("800f1234decafbadcafebabe" + "ab" * 16)
    protected = bytes.fromhex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb")
    assert srtp.protect(plain) == protected
    assert srtp.unprotect(protected) == plain


@pytest.mark.parametrize("suite", SRTP_SUITES)
def test_both_ways_for_rtp_and_rtcp(suite: str) -> None:
    one, other = pair(suite)
    for number in range(10):
        assert other.unprotect(one.protect(packet(number))) == packet(number)
        assert one.unprotect(other.protect(packet(number))) == packet(number)
        assert other.unprotect_rtcp(one.protect_rtcp(RTCP)) == RTCP


def test_the_suite_may_be_another_in_each_direction() -> None:
    weak, strong = "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_256_GCM"
    one = Srtp(send_suite=weak, send_key=key_of(weak), receive_suite=strong, receive_key=key_of(strong))
    other = Srtp(send_suite=strong, send_key=key_of(strong), receive_suite=weak, receive_key=key_of(weak))
    assert other.unprotect(one.protect(packet())) == packet()
    assert one.unprotect(other.protect(packet())) == packet()


@pytest.mark.parametrize("suite", SRTP_SUITES)
def test_across_the_wrap_of_sequence_numbers(suite: str) -> None:
    one, other = pair(suite)
    for number in range(65_500, 65_600):
        plain = packet(number % 65536)
        assert other.unprotect(one.protect(plain)) == plain


@pytest.mark.parametrize("suite", SRTP_SUITES)
def test_what_was_changed_is_refused_and_counted(suite: str) -> None:
    one, other = pair(suite)
    for at, protect, unprotect in (
        (20, one.protect(packet()), other.unprotect),
        (6, one.protect_rtcp(RTCP), other.unprotect_rtcp),
    ):
        changed = bytearray(protect)
        changed[at] ^= 1
        with pytest.raises(SrtpError):
            unprotect(bytes(changed))
    assert other.counters.unauthentic == 2
    assert other.unprotect(one.protect(packet(2))) == packet(2)


def test_what_came_before_is_refused_and_counted() -> None:
    one, other = pair("AES_CM_128_HMAC_SHA1_80")
    first = one.protect(packet(1))
    other.unprotect(first)
    with pytest.raises(SrtpError, match="replay"):
        other.unprotect(first)
    assert other.counters.replayed == 1


def test_plain_rtp_in_an_encrypted_call_is_refused() -> None:
    _, other = pair("AES_CM_128_HMAC_SHA1_80")
    with pytest.raises(SrtpError):
        other.unprotect(packet())
    assert other.counters.unauthentic == 1


@given(st.binary(max_size=100))
def test_unprotect_raises_nothing_but_srtp_error(data: bytes) -> None:
    _, other = pair("AEAD_AES_128_GCM")
    for unprotect in (other.unprotect, other.unprotect_rtcp):
        with pytest.raises(SrtpError):
            unprotect(data)
    assert sum((other.counters.unauthentic, other.counters.malformed)) == 2


def test_what_is_longer_than_any_packet_is_refused() -> None:
    _, other = pair("AES_CM_128_HMAC_SHA1_80")
    with pytest.raises(SrtpError, match="too long"):
        other.unprotect(bytes(2000))
    assert other.counters.malformed == 1


def test_a_key_of_a_wrong_length_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError, match="30 bytes"):
        Srtp(
            send_suite="AES_CM_128_HMAC_SHA1_80",
            send_key=bytes(46),
            receive_suite="AES_CM_128_HMAC_SHA1_80",
            receive_key=bytes(30),
        )


def test_keys_are_not_shown() -> None:
    one, _ = pair("AES_CM_128_HMAC_SHA1_80")
    assert "\\x01" not in repr(one)
    assert "key" not in repr(one)
