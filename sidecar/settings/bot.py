"""The WebSocket side: `[bot]`."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, Field

from sidecar.core.bot_hosts import BotHosts
from sidecar.settings.section import Section


def _bot_host(value: str) -> str:
    """Refuse a network that is none: taken for a name, it would allow nothing."""
    if "/" in value:
        ip_network(value)
    return value


BotHost = Annotated[str, AfterValidator(_bot_host)]


class BotSettings(Section):
    """The WebSocket side."""

    connect_timeout: float = Field(5.0, gt=0, le=60)  # seconds
    allow: tuple[BotHost, ...] = ()  # names, `*` stands for anything, and networks; empty: all but link-local addresses
    strict: bool = False  # nothing but what is listed, and private addresses by network alone

    def hosts(self) -> BotHosts:
        """Return it as the core knows it."""
        return BotHosts(self.allow, self.strict)
