"""What was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtp.pcm import FRAMES_PER_SECOND
from sidecar.bench.plan import BenchPlan
from sidecar.core.listening import Span

_FEWEST_FRAMES = 0.95


@dataclass(frozen=True, slots=True)
class Reading:
    """What one process needed while the calls talked, and what became of them. A frame is 20 ms of one call."""

    cpu_seconds: float
    seconds: float
    frames: int  # that made it all the way: a message to the bot, a packet to the caller
    lost_up: int
    lost_down: int
    uplink_ms: Span | None  # from a packet's sending to its message's arrival at the bot
    gap_ms: Span | None  # between two packets that arrive at a caller

    @property
    def cpu_us_per_frame(self) -> float:
        """The CPU of a frame."""
        return 1e6 * self.cpu_seconds / max(self.frames, 1)

    @property
    def share_of_a_core(self) -> float:
        """How busy it was; 1: one core."""
        return self.cpu_seconds / self.seconds


@dataclass(frozen=True, slots=True)
class Figures:
    """All that the bench tells."""

    plan: BenchPlan
    workers: int
    rss_kib_per_call: float
    sidecar: Reading
    floor_us_per_frame: float

    @property
    def ratio_to_floor(self) -> float:
        """What the sidecar's frame costs, in frames of the floor."""
        return self.sidecar.cpu_us_per_frame / self.floor_us_per_frame

    @property
    def problems(self) -> list[str]:
        """Say why the figures may not be what they seem."""
        expected = self.plan.calls * self.sidecar.seconds * FRAMES_PER_SECOND
        if self.sidecar.frames >= _FEWEST_FRAMES * expected:
            return []
        return [
            f"of {expected:.0f} frames, {self.sidecar.frames} made it all the way: this is more than can be done here"
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the object that `bench --json` prints."""
        plan = self.plan
        return {
            "calls": plan.calls,
            "seconds": plan.seconds,
            "mix": plan.mix.value,
            "rate": plan.rate,
            "ptime_ms": plan.ptime_ms,
            "rtp_mode": plan.rtp_mode,
            "tls": plan.tls,
            "deflate": plan.deflate,
            "cpu_us_per_frame": round(self.sidecar.cpu_us_per_frame, 2),
            "cores": round(self.sidecar.share_of_a_core, 3),
            "floor_us_per_frame": round(self.floor_us_per_frame, 2),
            "ratio_to_floor": round(self.ratio_to_floor, 3),
            "uplink_ms": _json(self.sidecar.uplink_ms),
            "gap_ms": _json(self.sidecar.gap_ms),
            "lost_frames": self.sidecar.lost_up + self.sidecar.lost_down,
            "rss_kib_per_call": round(self.rss_kib_per_call, 1),
            "workers": self.workers,
        }


def _json(span: Span | None) -> dict[str, float | None]:
    return {"p50": None, "p99": None} if span is None else {"p50": round(span.p50, 2), "p99": round(span.p99, 2)}
