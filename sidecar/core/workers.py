"""Which media worker has which stream, and which gets the next one."""

from __future__ import annotations

from dataclasses import dataclass, field

from sidecar.core.link import WorkerLoad
from sidecar.core.worker_counts import WorkerTotals

CALM_SECONDS = 3.0
"""For so long must a worker that was late be in time, before it gets calls again: so it does not flap."""


@dataclass(frozen=True, slots=True)
class WorkerReading:
    """How a worker that is ready does."""

    worker: int
    late: bool  # gets no new calls
    streams: int
    load: WorkerLoad  # as it said last


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a new call would be taken, and the numbers that say why not."""

    why_not: str | None  # None: it would
    draining: bool
    calls: int
    max_calls: int
    late_ms: float  # beyond which a worker gets no new calls; 0: never
    workers: tuple[WorkerReading, ...]

    @property
    def ready(self) -> bool:
        """Whether a new call would be taken."""
        return self.why_not is None


@dataclass(slots=True)
class _Worker:
    port: int  # of the RTP of its calls
    streams: set[str] = field(default_factory=set)
    load: WorkerLoad = field(default_factory=WorkerLoad)
    late: bool = False
    calm_at: float = 0.0


class Workers:
    """The workers that are ready, each with its streams.

    A worker that comes late by more than `late_ms` (99 % of its ticks; 0: never mind) gets no new calls until it has
    been in time again for a while: what is late already must not be asked for more.
    """

    def __init__(self, *, late_ms: float = 0.0) -> None:
        self.late_ms = late_ms
        self.totals = WorkerTotals()  # of what they count
        self.lost_workers = 0  # that died, or were killed since they hung
        self._workers: dict[int, _Worker] = {}
        self._worker_of: dict[str, int] = {}

    @property
    def why_not(self) -> str | None:
        """Say why none of them takes a call; None: one does."""
        if not self._workers:
            return "No Media Worker Is Ready"
        return "Overloaded" if all(worker.late for worker in self._workers.values()) else None

    def readings(self) -> tuple[WorkerReading, ...]:
        """Tell how each does."""
        return tuple(
            WorkerReading(number, worker.late, len(worker.streams), worker.load)
            for number, worker in sorted(self._workers.items())
        )

    # --- they come, tell how they do, and go

    def ready(self, worker: int, port: int) -> None:
        """A worker takes streams; RTP for them goes to `port`."""
        self._workers[worker] = _Worker(port)

    def loaded(self, worker: int, load: WorkerLoad, *, now: float) -> None:
        """A worker tells how busy it is."""
        known = self._workers[worker]
        known.load = load
        bearable = self.late_ms / 2 if known.late else self.late_ms
        if self.late_ms and load.late_p99_ms > bearable:
            known.calm_at = now + CALM_SECONDS
        known.late = now < known.calm_at

    def lost(self, worker: int) -> list[str]:
        """A worker is no more; return the streams that it had."""
        known = self._workers.pop(worker, None)
        if known is None:  # it had never been ready
            return []
        self.lost_workers += 1
        self.totals.lost(worker)
        for stream in known.streams:
            del self._worker_of[stream]
        return sorted(known.streams)

    # --- streams come and go

    def choose(self, *, beside: str | None = None) -> int | None:
        """Return the worker for a new stream; None if none takes it.

        That is the one with the fewest streams; or, whatever it does, the one that has the stream `beside`.
        """
        if beside is not None and beside in self._worker_of:
            return self._worker_of[beside]
        free = [(len(worker.streams), number) for number, worker in self._workers.items() if not worker.late]
        return min(free)[1] if free else None

    def port(self, worker: int) -> int:
        """Return where RTP for the streams of a worker goes."""
        return self._workers[worker].port

    def place(self, stream: str, worker: int) -> None:
        """Note that a worker gets a stream."""
        self._workers[worker].streams.add(stream)
        self._worker_of[stream] = worker

    def worker_of(self, stream: str) -> int | None:
        """Return the worker that has a stream; None if it has none any more."""
        return self._worker_of.get(stream)

    def forget(self, stream: str) -> None:
        """Note that a stream is over; its worker may be so too."""
        worker = self._worker_of.pop(stream, None)
        if worker is not None:
            self._workers[worker].streams.remove(stream)
