"""Encrypted RTP and RTCP, with keys that SDP has brought."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import pylibsrtp
from pylibsrtp import Policy, Session

from rtp.errors import RtpError

_AUTHENTICATION_FAILED = "authentication failure"
_REPLAYED = "replay"  # how libsrtp's messages begin for packets that came before, or are too old to tell


class SrtpError(RtpError):
    """A packet was not encrypted with the key of its call, was changed on its way, or came before; it is dropped."""


class _Suite(NamedTuple):
    key_bytes: int  # master key and salt
    profile: int | None = None  # of libsrtp; None for those that pylibsrtp has no name for
    tag_bytes: int = 10


_SUITES = {
    "AES_CM_128_HMAC_SHA1_80": _Suite(30, Policy.SRTP_PROFILE_AES128_CM_SHA1_80),
    "AES_CM_128_HMAC_SHA1_32": _Suite(30, Policy.SRTP_PROFILE_AES128_CM_SHA1_32),
    "AES_256_CM_HMAC_SHA1_80": _Suite(46),
    "AES_256_CM_HMAC_SHA1_32": _Suite(46, tag_bytes=4),
    "AEAD_AES_128_GCM": _Suite(28, Policy.SRTP_PROFILE_AEAD_AES_128_GCM),
    "AEAD_AES_256_GCM": _Suite(44, Policy.SRTP_PROFILE_AEAD_AES_256_GCM),
}

SRTP_BYTES = 16
"""By how much a packet grows at the most: the tag of GCM."""

SRTP_SUITES = tuple(_SUITES)
"""The cipher suites, by the names that SDP has for them (RFC 4568, 6188 and 7714)."""


@dataclass(slots=True)
class SrtpCounters:
    """Packets that were dropped."""

    unauthentic: int = 0
    replayed: int = 0
    malformed: int = 0


class Srtp:
    """Protects what a call sends and checks what it receives. See RFC 3711.

    Each direction has a suite and a key, master key and salt in one. New keys in a call are a new object: the count of
    wraps begins anew with them (RFC 4568, section 6.4.1).
    """

    def __init__(self, *, send_suite: str, send_key: bytes, receive_suite: str, receive_key: bytes) -> None:
        self.counters = SrtpCounters()
        self._sending = Session(_policy(send_suite, send_key, Policy.SSRC_ANY_OUTBOUND))
        self._receiving = Session(_policy(receive_suite, receive_key, Policy.SSRC_ANY_INBOUND))

    def protect(self, packet: bytes) -> bytes:
        """Encrypt an RTP packet. Never twice the same sequence number: libsrtp refuses it, as the cipher demands."""
        return self._sending.protect(packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Encrypt a compound RTCP packet."""
        return self._sending.protect_rtcp(packet)

    def unprotect(self, packet: bytes) -> bytes:
        """Check and decrypt an RTP packet; raise `SrtpError`, counted, if it is not genuine and new."""
        return self._checked(self._receiving.unprotect, packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """Check and decrypt a compound RTCP packet; raise `SrtpError`, counted, if it is not genuine and new."""
        return self._checked(self._receiving.unprotect_rtcp, packet)

    def _checked(self, unprotect: Callable[[bytes], bytes], packet: bytes) -> bytes:
        try:
            return unprotect(packet)
        except (pylibsrtp.Error, ValueError) as error:  # ValueError: longer than any packet may be
            why = str(error)
        if why.startswith(_REPLAYED):
            self.counters.replayed += 1
        elif why == _AUTHENTICATION_FAILED:
            self.counters.unauthentic += 1
        else:
            self.counters.malformed += 1
        raise SrtpError(why)


def _policy(suite: str, key: bytes, ssrc_type: int) -> Policy:
    known = _SUITES[suite]
    assert len(key) == known.key_bytes, f"{suite} takes a key of {known.key_bytes} bytes"
    if known.profile is not None:
        return Policy(key=key, ssrc_type=ssrc_type, srtp_profile=known.profile)
    policy = Policy(key=key, ssrc_type=ssrc_type)
    _set_aes_256(policy, known.tag_bytes)
    return policy


def _set_aes_256(policy: Policy, tag_bytes: int) -> None:
    """Choose AES-CM with 256 bits. libsrtp has it, but no profile for it: its `srtp_crypto_policy_t` is written here.

    A test compares the packets with another implementation; pyproject.toml keeps to the major release that it is of.
    """
    from pylibsrtp._binding import ffi

    aes_icm_256, hmac_sha1, confidential_and_authentic = 5, 3, 3
    for crypto, tag in ((policy._policy.rtp, tag_bytes), (policy._policy.rtcp, 10)):  # noqa: SLF001
        fields = aes_icm_256, 46, hmac_sha1, 20, tag, confidential_and_authentic
        ffi.buffer(ffi.addressof(crypto))[:] = struct.pack("6i", *fields)
