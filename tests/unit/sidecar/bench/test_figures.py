from __future__ import annotations

from sidecar.bench.figures import Figures, Reading
from sidecar.bench.plan import BenchPlan
from sidecar.core.listening import Span
from sidecar.core.options import MixMode


def figures(*, frames: int) -> Figures:
    reading = Reading(
        cpu_seconds=0.5,
        seconds=10.0,
        frames=frames,
        lost_up=2,
        lost_down=3,
        uplink_ms=None,
        gap_ms=Span(20.004, 24.996),
    )
    return Figures(
        plan=BenchPlan(10, 10.0, MixMode.CALLEE, 8000, ptime_ms=40, rtp_mode="ports", tls=True),
        workers=1,
        rss_kib_per_call=60.04,
        sidecar=reading,
        floor_us_per_frame=50.0,
    )


def test_the_object_has_what_was_promised() -> None:
    assert figures(frames=5000).as_json() == {
        "calls": 10,
        "seconds": 10.0,
        "mix": "callee",
        "rate": 8000,
        "ptime_ms": 40,
        "rtp_mode": "ports",
        "tls": True,
        "deflate": False,
        "cpu_us_per_frame": 100.0,
        "cores": 0.05,
        "floor_us_per_frame": 50.0,
        "ratio_to_floor": 2.0,
        "uplink_ms": {"p50": None, "p99": None},
        "gap_ms": {"p50": 20.0, "p99": 25.0},
        "lost_frames": 5,
        "rss_kib_per_call": 60.0,
        "workers": 1,
    }


def test_more_than_the_machine_can_do_is_said() -> None:
    assert figures(frames=5000).problems == []
    assert "of 5000 frames, 4000" in figures(frames=4000).problems[0]
