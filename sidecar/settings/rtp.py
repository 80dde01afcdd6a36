"""The media of calls: `[rtp]`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from rtp import Codec, PortAllocator
from sidecar.core.codecs import codec_named
from sidecar.core.media_policy import MediaPolicy, SrtpPolicy
from sidecar.core.silence_watch import MediaTimeouts
from sidecar.io.network import AUTO
from sidecar.settings.addresses import AdvertisedMediaAddress, MediaAddress
from sidecar.settings.section import Section


def _codec(value: Any) -> Codec:
    return codec_named(str(value))


CodecName = Annotated[Codec, BeforeValidator(_codec)]


class RtpSettings(Section):
    """The media of all calls, on one pair of UDP ports, or on a pair for each."""

    host: MediaAddress = "127.0.0.1"
    mode: Literal["one", "ports"] = "one"
    port: int = Field(40000, ge=0, le=65534)  # of all calls, and the next one for RTCP; 0: any free pair
    port_min: int = Field(20000, ge=1024, le=65535)  # of a pair for each call, in mode `ports`
    port_max: int = Field(29999, ge=1024, le=65535)
    advertised: AdvertisedMediaAddress = AUTO  # the address in SDP
    portable: bool = False  # use no system call that only Linux has
    codecs: tuple[CodecName, ...] = ()  # the most wanted first; empty: all, and the caller chooses
    jitter_max_ms: int = Field(200, ge=40, le=1000)  # by which the caller may be delayed in MIX=mixed and stereo
    srtp: SrtpPolicy = SrtpPolicy.OPTIONAL
    timeout_start: float = Field(60, ge=0, le=86400)  # seconds after which a call that never had RTP is ended; 0: never
    timeout: float = Field(300, ge=0, le=86400)  # the same of a call that had some
    inband_dtmf: bool = False  # look for digits in the audio of callers that send no telephone events

    @model_validator(mode="after")
    def _range_has_a_pair(self) -> Self:
        if self.mode == "ports":
            self.port_allocator()
        return self

    def port_allocator(self) -> PortAllocator:
        """Return which ports calls get in mode `ports`; raise ValueError if there is none."""
        return PortAllocator(self.port_min, self.port_max)

    def timeouts(self) -> MediaTimeouts:
        """Return when a call without RTP is ended."""
        return MediaTimeouts(self.timeout_start or None, self.timeout or None)

    def policy(self) -> MediaPolicy:
        """Return what calls may have of media."""
        return MediaPolicy(self.codecs, self.srtp)
