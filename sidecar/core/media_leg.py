"""The telephone side of a stream, as control tells it to a worker."""

from __future__ import annotations

import msgspec


class SrtpKeys(msgspec.Struct, frozen=True):
    """How RTP and RTCP are encrypted: for each direction a suite, and master key and salt in one (RFC 4568)."""

    send_suite: str
    send_key: bytes
    receive_suite: str
    receive_key: bytes

    def __repr__(self) -> str:  # a key is not to be seen in a log
        return f"SrtpKeys({self.send_suite}, {self.receive_suite})"


class MediaLeg(msgspec.Struct, frozen=True):
    """The telephone side of a stream, as SDP has settled it."""

    codec: str  # the name of a `rtp.Codec`
    payload_type: int  # of what we receive
    send_payload_type: int
    host: str  # where to send; what comes from there is heard
    port: int
    sources: list[str]  # hosts that may send from that same port too
    ptime_ms: int = 20  # of what we send
    telephone_event_payload_type: int | None = None  # of what we receive
    send_telephone_event_payload_type: int | None = None  # None: they take no such events
    rtcp_port: int = 0  # where RTCP goes; that of RTP if they share one (RFC 5761); 0: there is no such port
    srtp: SrtpKeys | None = None
