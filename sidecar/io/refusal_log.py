"""Tells the log of calls that there was no room for, and of strangers: they have no stream, and no event."""

from __future__ import annotations

import asyncio

import structlog

from sidecar.core.call_control import CallControl
from sip import UserAgent

log = structlog.get_logger("sidecar")

_PERIOD = 1.0  # seconds: one line for all of them
_STRANGERS_PERIOD = 60.0  # there may always be some


class RefusalLog:
    """Looks at what has been counted."""

    def __init__(self, agent: UserAgent, control: CallControl) -> None:
        self._agent = agent
        self._control = control
        self._told = 0
        self._told_strangers = 0
        self._quiet_until = 0.0

    async def run(self) -> None:
        """Look once a second."""
        while True:
            await asyncio.sleep(_PERIOD)
            self.look(now=asyncio.get_running_loop().time())

    def look(self, *, now: float) -> None:
        """Tell what has come since the last line."""
        refused = self._agent.counters.refused_calls
        if refused != self._told:
            log.warning("calls refused", calls=refused - self._told, why=self._agent.last_refusal)
            self._told = refused
        dropped = self._control.dropped_sources
        if dropped != self._told_strangers and now >= self._quiet_until:
            messages, peer = dropped - self._told_strangers, self._control.last_dropped_source
            log.warning("SIP is not allowed", messages=messages, peer=peer, setting="sip.allow")
            self._told_strangers = dropped
            self._quiet_until = now + _STRANGERS_PERIOD
