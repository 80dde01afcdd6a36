"""What can be wrong with RTP that a peer sends."""

from __future__ import annotations


class RtpError(ValueError):
    """A datagram is not a well-formed RTP packet; it is counted and dropped."""
