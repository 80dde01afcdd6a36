"""What benches print becomes lines of a plot."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench.plots import drawn, line_of, main, runs_of

DOCS = Path(__file__).parents[3] / "docs"


def told(calls: int, cost: float, **changes: Any) -> dict[str, Any]:
    """Return what `sidecar bench --json` prints, as far as it is drawn."""
    usual = {"mix": "mono", "rate": 16000, "workers": 1, "ptime_ms": 20, "rtp_mode": "one", "tls": False}
    spans = {"uplink_ms": {"p50": 1.0, "p99": 5.0}, "gap_ms": {"p50": 20.0, "p99": 22.0}}
    return {"calls": calls, "cpu_us_per_frame": cost, **usual, **spans, **changes}


def polylines(svg: str) -> list[str]:
    ElementTree.fromstring(svg)  # noqa: S314  or raise
    return re.findall(r'<polyline points="([^"]*)"', svg)


def test_a_line_says_what_is_not_usual() -> None:
    assert line_of(told(1, 1.0)) == "1 worker, mono, 16k"
    unusual = told(1, 1.0, workers=2, ptime_ms=40, rtp_mode="ports", tls=True, deflate=True, mix="stereo")
    assert line_of(unusual) == "2 workers, stereo, 16k, 40 ms, ports, wss, deflate"
    old = {key: value for key, value in told(1, 1.0).items() if key not in ("ptime_ms", "rtp_mode", "tls")}
    assert line_of(old) == "1 worker, mono, 16k"


def test_cores_are_what_all_frames_cost() -> None:
    (run,) = runs_of(told(500, 40.0))
    assert (run.calls, run.cores, run.uplink_ms, run.gap_ms) == (500, 1.0, 5.0, 22.0)


def test_sidecar_and_baseline_are_two_lines() -> None:
    cost = {"cpu_us_per_frame": 50.0, "uplink_p99_ms": 6.0, "gap_p99_ms": None, "keeps_up": True}
    baseline = cost | {"cpu_us_per_frame": 150.0}
    beside = {"calls": 100, "workers": 2, "sidecar": cost, "baseline": baseline}
    late = beside | {"calls": 200, "baseline": baseline | {"keeps_up": False}}
    runs = list(runs_of({"runs": [beside, late]}))
    assert [(run.line, run.calls, run.cores) for run in runs] == [
        ("2 workers, side by side: sidecar", 100, 0.25),
        ("2 workers, side by side: baseline", 100, 0.75),
        ("2 workers, side by side: sidecar", 200, 0.5),
        ("2 workers, side by side: baseline", 200, None),
    ]


def test_points_are_in_the_order_of_calls_and_the_last_run_counts() -> None:
    runs = [run for cost in (80.0, 40.0) for calls in (500, 250) for run in runs_of(told(calls, cost))]
    cores, uplink, gaps = polylines(drawn(runs))
    # a panel is 300 by 220 from (56, 34); the axes end at 500 calls, a core, 5 ms, 25 ms
    assert cores == "206.0,144.0 356.0,34.0"
    assert uplink == "562.0,34.0 712.0,34.0"
    assert gaps == "918.0,60.4 1068.0,60.4"


def test_what_is_beyond_the_panel_is_at_its_edge_and_what_is_not_there_is_left_out() -> None:
    runs = [*runs_of(told(100, 40.0, uplink_ms={"p99": 900.0})), *runs_of(told(200, 40.0, gap_ms={"p99": None}))]
    _, uplink, gaps = polylines(drawn(runs))
    assert uplink.startswith("562.0,34.0 ")
    assert len(gaps.split()) == 1


def test_the_plot_of_the_docs_is_of_the_figures_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "made.svg"
    monkeypatch.setattr(sys, "argv", ["plots", str(made), str(DOCS / "performance.jsonl")])
    main()
    assert made.read_text() == (DOCS / "performance.svg").read_text()
    assert all(json.loads(line)["calls"] for line in (DOCS / "performance.jsonl").read_text().splitlines())


def test_without_files_it_says_how_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["plots"])
    with pytest.raises(SystemExit, match=r"python -m bench\.plots"):
        main()
