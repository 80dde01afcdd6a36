#!/usr/bin/env python3
"""Measures the sidecar beside the bridge that most Python code would be, in one run: same callers, same bots.

    python -m bench.baseline [--calls N ...] [--seconds S] [--rate HZ] [--rounds R] [--workers W] [--json]

In each round both are measured, one after the other, and between them the floor, the same system calls with no work
between them. Prints the CPU of a frame (20 ms of one call, both ways), how many calls that is a core, p99 of the way
from caller to bot and of the gaps that callers hear. What either can do is told by the number of calls that suits it
best, of those that it can keep up with: batches are cheap when they are large, and the other bridge has none.
`bench/baseline_bridge.py` is that.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from rtp.pcm import FRAMES_PER_SECOND
from sidecar.bench.errors import BenchError
from sidecar.bench.figures import Reading
from sidecar.bench.plan import BenchPlan
from sidecar.bench.programs import running_partners
from sidecar.bench.run import Bench, allow_descriptors
from sidecar.bench.served import served, serving
from sidecar.core.listening import Span

_BASELINE = (sys.executable, "-m", "bench.baseline_bridge")
_SPARE_DESCRIPTORS = 100
_FEWEST_FRAMES = 0.95
_BOTH = ("sidecar", "baseline")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one bridge needed, all rounds together: CPU by its sum, p99 and memory by the worst."""

    cpu_us_per_frame: float
    calls_per_core: int
    uplink_p99_ms: float | None
    gap_p99_ms: float | None
    lost_frames: int
    rss_kib_per_call: int
    keeps_up: bool  # all frames but a few made it all the way


def _together(readings: list[Reading], kib: list[float], expected: float) -> Cost:
    frames = sum(each.frames for each in readings)
    cost = 1e6 * sum(each.cpu_seconds for each in readings) / max(frames, 1)
    return Cost(
        cpu_us_per_frame=round(cost, 2),
        calls_per_core=round(1e6 / FRAMES_PER_SECOND / cost) if cost else 0,
        uplink_p99_ms=_worst(each.uplink_ms for each in readings),
        gap_p99_ms=_worst(each.gap_ms for each in readings),
        lost_frames=sum(each.lost_up + each.lost_down for each in readings),
        rss_kib_per_call=round(max(kib)),
        keeps_up=frames >= _FEWEST_FRAMES * expected,
    )


def _worst(spans: Iterable[Span | None]) -> float | None:
    return max((round(span.p99, 1) for span in spans if span is not None), default=None)


async def _compare(plan: BenchPlan, rounds: int) -> dict[str, Any]:
    allow_descriptors(2 * plan.calls + _SPARE_DESCRIPTORS)
    ours, theirs, floors = list[Reading](), list[Reading](), list[Reading]()
    kib: tuple[list[float], list[float]] = [], []
    async with running_partners(plan) as partners:
        bench = Bench(plan, partners, lambda state: print(state, file=sys.stderr))
        for _ in range(rounds):
            async with served(max_calls=plan.calls, workers=plan.workers) as sidecar:
                reading, memory, _ = await bench.measure(sidecar)
            ours.append(reading)
            kib[0].append(memory)
            floors.append(await bench.measure_floor())
            async with serving(*_BASELINE) as baseline:
                reading, memory, _ = await bench.measure(baseline)
            theirs.append(reading)
            kib[1].append(memory)
        faults = partners.board["faults"]
    expected = plan.calls * plan.seconds * rounds * FRAMES_PER_SECOND
    floor = 1e6 * sum(each.cpu_seconds for each in floors) / sum(each.frames for each in floors)
    return {
        "calls": plan.calls,
        "rate": plan.rate,
        "failed_system_calls": faults,  # of callers and bots: who does not keep up is not read
        "workers": plan.workers,
        "floor_us_per_frame": round(floor, 2),
        "sidecar": _together(ours, kib[0], expected),
        "baseline": _together(theirs, kib[1], expected),
    }


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, nargs="+", default=[50, 100, 300])
    parser.add_argument("--seconds", type=float, default=5.0, help="for which each is measured, each round")
    parser.add_argument("--rate", type=int, default=16000, help="Hz, both ways; 8000: nothing is resampled")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="of the sidecar; 0: inside its control process")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = []
    try:
        for calls in given.calls:
            plan = BenchPlan(calls, given.seconds, rate=given.rate, workers=given.workers)
            found.append(asyncio.run(_compare(plan, given.rounds)))
    except BenchError as error:
        sys.exit(str(error))
    best = {
        name: max((each[name].calls_per_core for each in found if each[name].keeps_up), default=0) for name in _BOTH
    }
    ratio = round(best["sidecar"] / best["baseline"], 2) if best["baseline"] else None
    if given.json:
        print(json.dumps({"runs": found, "calls_per_core": best, "ratio": ratio}, default=asdict))
        return
    for each in found:
        print(f"{each['calls']} calls, floor {each['floor_us_per_frame']} us a frame")
        for name in _BOTH:
            print(f"  {name:10}", *(f"{key} {value}" for key, value in asdict(each[name]).items()), sep="  ")
    print(f"calls a core: {best['sidecar']}, baseline {best['baseline']}: {ratio} times")


if __name__ == "__main__":
    main()
