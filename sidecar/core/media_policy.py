"""What calls may have of media, by settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from rtp import SRTP_SUITES, Codec
from sidecar.core.codecs import ALL_CODECS, sdp_codecs
from sip import MediaCapabilities


class SrtpPolicy(Enum):
    """Whether media is encrypted (RFC 3711), with keys in SDP (RFC 4568)."""

    OFF = "off"  # RTP/SAVP is refused
    OPTIONAL = "optional"  # it is taken where it is offered
    REQUIRED = "required"  # RTP/AVP is refused


@dataclass(frozen=True, slots=True)
class MediaPolicy:
    """The codecs that calls may have, the most wanted first; none: all, in the order of the caller."""

    codecs: Sequence[Codec] = ()
    srtp: SrtpPolicy = SrtpPolicy.OPTIONAL

    def capabilities(self, address: str, port: int) -> MediaCapabilities:
        """Return what SDP is to say; `address` and `port` are where we take media."""
        return MediaCapabilities(
            address,
            port,
            sdp_codecs(self.codecs or ALL_CODECS),
            telephone_event=True,
            in_our_order=bool(self.codecs),
            rtcp_mux=True,
            srtp_suites=() if self.srtp is SrtpPolicy.OFF else SRTP_SUITES,
            srtp_required=self.srtp is SrtpPolicy.REQUIRED,
        )
