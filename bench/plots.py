#!/usr/bin/env python3
"""Draws what benches have measured: over the number of calls the CPU that they take, how late bots hear, and the gaps.

    python -m bench.plots docs/performance.svg docs/performance.jsonl ...

The files hold what `sidecar bench --json` and `python -m bench.baseline --json` print, an object a line. Runs that
differ in the number of calls alone are one line of the plot; of several with one number, the last counts.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from rtp.pcm import FRAMES_PER_SECOND

_WIDTH, _HEIGHT, _LEFT, _TOP = 300, 220, 56, 34
_COLOURS = (
    "#204080",
    "#e08030",
    "#2a8a5a",
    "#a03060",
    "#7a5ab0",
    "#707070",
    "#c0a000",
    "#00a0b0",
    "#e0609a",
    "#804000",
    "#9ac040",
    "#000000",
)
_SMOOTH_GAP_MS = 25
_ROUND = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8)


@dataclass(frozen=True, slots=True)
class Run:
    """One run: which line it belongs to, and its point in each panel; None where there is none."""

    line: str
    calls: int
    cores: float | None  # that all frames would need; None as well where they are more than can be done
    uplink_ms: float | None  # p99
    gap_ms: float | None  # p99


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot: over the calls, a field of the runs."""

    title: str
    field: str
    mark: float | None = None  # a level that matters
    most: float = 0.0  # of what is shown, if not 0: what is beyond is drawn at the edge


PANELS = (
    Panel("cores of the sidecar", "cores"),
    Panel("uplink, p99, ms", "uplink_ms", most=100.0),
    Panel("between packets, p99, ms", "gap_ms", mark=_SMOOTH_GAP_MS, most=50.0),
)


def runs_of(told: dict[str, Any]) -> Iterator[Run]:
    """Return the runs of one object: that of the sidecar, or those of sidecar and baseline, side by side."""
    if "runs" in told:
        for each in told["runs"]:
            yield from runs_of(each)
        return
    calls = int(told["calls"])
    for name in ("sidecar", "baseline") if "baseline" in told else ():
        cost = told[name]
        cores = _cores(calls, cost["cpu_us_per_frame"]) if cost["keeps_up"] else None
        line = f"{_workers(told)}, side by side: {name}"
        yield Run(line, calls, cores, cost["uplink_p99_ms"], cost["gap_p99_ms"])
    if "baseline" not in told:
        cores = _cores(calls, told["cpu_us_per_frame"])
        yield Run(line_of(told), calls, cores, told["uplink_ms"]["p99"], told["gap_ms"]["p99"])


def line_of(told: dict[str, Any]) -> str:
    """Name what a run has in common with those of other numbers of calls; what is usual is not said."""
    ptime_ms = told.get("ptime_ms", 20)
    words = [_workers(told), told["mix"], f"{told['rate'] // 1000}k"]
    words += [f"{ptime_ms} ms"] * (ptime_ms != 20) + ["ports"] * (told.get("rtp_mode") == "ports")
    return ", ".join(words + [word for name, word in (("tls", "wss"), ("deflate", "deflate")) if told.get(name)])


def drawn(runs: Iterable[Run]) -> str:
    """Return the SVG."""
    lines: dict[str, dict[int, Run]] = {}
    for run in runs:
        lines.setdefault(run.line, {})[run.calls] = run
    height = _TOP + _HEIGHT + 44 + 16 * len(lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{len(PANELS) * (_WIDTH + _LEFT) + 20}" height="{height}" '
        'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
    ]
    for number, panel in enumerate(PANELS):
        parts += _panel(panel, _LEFT + number * (_WIDTH + _LEFT), lines)
    for number, line in enumerate(lines):
        y = _TOP + _HEIGHT + 44 + 16 * number
        parts.append(f'<path d="M{_LEFT} {y - 4}h24" stroke="{_colour(number)}" stroke-width="2"/>')
        parts.append(f'<text x="{_LEFT + 32}" y="{y}">{escape(line)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, x: int, lines: dict[str, dict[int, Run]]) -> Iterator[str]:
    runs = [run for line in lines.values() for run in line.values()]
    values = [value for run in runs if (value := getattr(run, panel.field)) is not None]
    step = _step(min(max([*values, panel.mark or 0.0]), panel.most or float("inf")))
    most = step * 5
    across = _step(max(run.calls for run in runs)) * 5

    def point(run: Run) -> str:
        value = getattr(run, panel.field)
        return f"{x + run.calls / across * _WIDTH:.1f},{_TOP + _HEIGHT * (1 - min(value, most) / most):.1f}"

    yield f'<text x="{x}" y="{_TOP - 14}" font-weight="bold">{escape(panel.title)}</text>'
    for at in range(6):
        y = _TOP + _HEIGHT * (1 - at / 5)
        yield f'<path d="M{x} {y:.1f}h{_WIDTH}" stroke="#ddd"/>'
        yield f'<text x="{x - 5}" y="{y + 4:.1f}" text-anchor="end">{step * at:g}</text>'
        right = x + _WIDTH * at / 5
        yield f'<text x="{right:.1f}" y="{_TOP + _HEIGHT + 16}" text-anchor="middle">{across / 5 * at:g}</text>'
    yield f'<text x="{x + _WIDTH}" y="{_TOP + _HEIGHT + 30}" text-anchor="end">calls</text>'
    if panel.mark is not None:
        y = _TOP + _HEIGHT * (1 - panel.mark / most)
        yield f'<path d="M{x} {y:.1f}h{_WIDTH}" stroke="#c00" stroke-dasharray="4 3"/>'
    for number, line in enumerate(lines.values()):
        points = [point(run) for _, run in sorted(line.items()) if getattr(run, panel.field) is not None]
        colour = _colour(number)
        yield f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        yield from (
            f'<circle cx="{at.split(",")[0]}" cy="{at.split(",")[1]}" r="2.5" fill="{colour}"/>' for at in points
        )


def _cores(calls: int, cpu_us_per_frame: float) -> float:
    return calls * FRAMES_PER_SECOND * cpu_us_per_frame / 1e6


def _workers(told: dict[str, Any]) -> str:
    return f"{told['workers']} worker" + "s" * (told["workers"] != 1)


def _step(most: float) -> float:
    """Return a fifth of what is shown: a round number, the least that has room for `most`."""
    steps = (mantissa * 10.0**power for power in range(-3, 6) for mantissa in _ROUND)
    return next(step for step in steps if 5 * step >= most)


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def main() -> None:
    """Draw what the files hold."""
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    lines = [line for name in sys.argv[2:] for line in Path(name).read_text().splitlines() if line.startswith("{")]
    Path(sys.argv[1]).write_text(drawn(run for line in lines for run in runs_of(json.loads(line))))


if __name__ == "__main__":
    main()
