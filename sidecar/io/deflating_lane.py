"""Lanes of bots that have agreed to permessage-deflate (RFC 7692): the library frames the audio, for each one alone."""

from __future__ import annotations

from sidecar.io.bot_lane import BotLane, SocketLane
from sidecar.io.tls_lane import TlsLane


class _Deflating(BotLane):
    def send_audio(self, frame: bytes) -> None:
        """Compress one whole WebSocket frame; what the outbox has dropped, no later message refers to."""
        if self._ready and not self._closed and self.connection.deflates:
            self.flush()  # what the library has framed before must go first
            frame = self.connection.deflated(frame)
        super().send_audio(frame)

    def _open_shortcut(self) -> None:
        """Compressed audio has none: what is written must have been framed here."""
        if not self.connection.deflates:
            super()._open_shortcut()


class DeflatingSocketLane(_Deflating, SocketLane):
    """A plain socket."""


class DeflatingTlsLane(_Deflating, TlsLane):
    """A TLS connection."""
