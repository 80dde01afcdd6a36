"""Tells the log of calls that there was no room for: they have no stream, and no event."""

from __future__ import annotations

import asyncio

import structlog

from sip import UserAgent

log = structlog.get_logger("sidecar")

_PERIOD = 1.0  # seconds: one line for all of them


class RefusalLog:
    """Looks at what a user agent has counted."""

    def __init__(self, agent: UserAgent) -> None:
        self._agent = agent
        self._told = 0

    async def run(self) -> None:
        """Look once a second."""
        while True:
            await asyncio.sleep(_PERIOD)
            refused = self._agent.counters.refused_calls
            if refused != self._told:
                log.warning("calls refused", calls=refused - self._told, why=self._agent.last_refusal)
                self._told = refused
