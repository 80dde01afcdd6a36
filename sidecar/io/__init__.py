"""Sockets, WebSockets, the media worker and the real clock: asyncio lives only here."""
