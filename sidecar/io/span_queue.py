"""Spans on their way out, beside the calls: however slow who takes them is, no call waits."""

from __future__ import annotations

import asyncio
from collections import Counter, deque

import structlog
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

log = structlog.get_logger("sidecar.traces")

MOST_WAITING = 2048
_AT_ONCE = 256
_PAUSE_SECONDS = 1.0


class SpanQueue(SpanProcessor):
    """Keeps spans that have ended until `run` has exported them; one that is too many is dropped."""

    def __init__(self, exporter: SpanExporter) -> None:
        self.counts = Counter({"exported": 0, "failed": 0, "dropped": 0})
        self._exporter = exporter
        self._waiting: deque[ReadableSpan] = deque()
        self._failed = False

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span that has ended."""
        if len(self._waiting) == MOST_WAITING:
            self.counts["dropped"] += 1
        else:
            self._waiting.append(span)

    async def run(self) -> None:
        """Export what comes, until cancelled."""
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Export what waits; what cannot be exported is not tried again."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            is_done = False
            try:
                is_done = await asyncio.to_thread(self._exporter.export, batch) is SpanExportResult.SUCCESS
            finally:  # who stops does not wait to see what becomes of these
                self.counts["exported" if is_done else "failed"] += len(batch)
            if not is_done and not self._failed:
                log.warning("traces are not taken", spans=len(batch))
            self._failed = not is_done
