"""What the commands print: progress and errors to standard error, results to standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from rtp import FRAME_MS
from sidecar.core.listening import Heard, Span
from sidecar.io.caller import CallResult, CallState
from sidecar.log import CONTROL_BUT_LAYOUT, printable

if TYPE_CHECKING:
    from sidecar.bench import Figures
    from sidecar.doctor import Finding

_STYLES = {"ok": "green", "warn": "yellow", "fail": "red"}


def print_error(text: str) -> None:
    """Tell what went wrong."""
    text = printable(text, CONTROL_BUT_LAYOUT)
    Console(stderr=True, highlight=False).print(text, style="red", markup=False, soft_wrap=True)


def print_json(value: Mapping[str, Any]) -> None:
    """Print one object on one line."""
    sys.stdout.write(json.dumps(value) + "\n")


class CallProgressBar:
    """Shows on standard error how a call goes."""

    def __init__(self, progress: Progress, *, seconds: float) -> None:
        self._progress = progress
        self._frames = round(seconds * 1000 / FRAME_MS)
        self._task = progress.add_task("calling", total=self._frames, heard=0)

    def show(self, state: CallState) -> None:
        """Note the state; it is drawn a few times a second."""
        heard = state.frames_heard * FRAME_MS / 1000
        self._progress.update(self._task, description=printable(state.phase), completed=state.frames_sent, heard=heard)


@contextmanager
def call_progress(seconds: float) -> Iterator[CallProgressBar]:
    """Show a bar for a call of `seconds` until the block ends."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[heard]:.1f} s heard"),
    )
    with Progress(*columns, console=Console(stderr=True), refresh_per_second=5) as progress:
        yield CallProgressBar(progress, seconds=seconds)


def heard_table(call: CallResult, heard: Heard) -> Table:
    """Lay out what was heard of a call."""
    table = Table(show_header=False, box=None, pad_edge=False)
    setup_ms = 1000 * (call.setup_seconds or 0.0)
    table.add_row("answered", Text(f"{call.status} {printable(call.reason)}, after {setup_ms:.0f} ms"))
    table.add_row("frames", f"{heard.frames_sent} sent, {heard.frames_received} received, 20 ms each")
    table.add_row("level", f"{heard.sent_dbfs:.1f} dBFS sent, {heard.heard_dbfs:.1f} dBFS heard")
    table.add_row("round trip", _span(heard.round_trip_ms, "no echo"))
    table.add_row("between frames", _span(heard.arrival_ms, "nothing came"))
    gaps = f"{heard.gaps}, the longest of {heard.longest_gap_ms:.0f} ms" if heard.gaps else "none"
    table.add_row("silent gaps", gaps)
    table.add_row("hung up by", call.hung_up_by.value if call.hung_up_by else "nobody")
    return table


def print_heard(call: CallResult, heard: Heard) -> None:
    """Print what was heard of a call."""
    Console(highlight=False).print(heard_table(call, heard))


@contextmanager
def bench_progress() -> Iterator[Callable[[str], None]]:
    """Show on standard error what the bench is doing, until the block ends."""
    with Console(stderr=True).status("starting") as status:
        yield lambda state: status.update(printable(state))


def figures_table(figures: Figures) -> Table:
    """Lay out what a bench has measured."""
    sidecar, plan = figures.sidecar, figures.plan
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_row("calls", f"{plan.calls}, {plan.mix.value}, {plan.rate} Hz, for {plan.seconds:g} s")
    table.add_row("RTP", f"{plan.ptime_ms} ms a packet, rtp.mode = {plan.rtp_mode}")
    table.add_row("bots", f"{plan.scheme}://, permessage-deflate" if plan.deflate else f"{plan.scheme}://")
    table.add_row(
        "CPU of a frame", f"{sidecar.cpu_us_per_frame:.1f} µs, {100 * sidecar.share_of_a_core:.0f} % of a core"
    )
    table.add_row("floor", f"{figures.floor_us_per_frame:.1f} µs: the same system calls alone")
    table.add_row("ratio to floor", f"{figures.ratio_to_floor:.2f}")
    table.add_row("uplink", _span(sidecar.uplink_ms, "the bots do not hear the callers"))
    table.add_row("between packets", _span(sidecar.gap_ms, "nothing came"))
    table.add_row("lost frames", f"{sidecar.lost_up} to the bots, {sidecar.lost_down} to the callers")
    table.add_row("memory of a call", f"{figures.rss_kib_per_call:.0f} KiB")
    table.add_row("media workers", str(figures.workers))
    return table


def print_figures(figures: Figures) -> None:
    """Print what a bench has measured."""
    Console(highlight=False).print(figures_table(figures))


def print_findings(found: Sequence[Finding]) -> None:
    """Print what a doctor has found, a line each, however long: lines are for grep too."""
    console = Console(highlight=False)
    width = max(len(each.check) for each in found)
    for each in found:
        verdict = each.verdict.value
        text = Text.assemble(
            (f"{verdict:<4}", _STYLES[verdict]), f"  {printable(each.check):<{width}}  {printable(each.what)}"
        )
        if each.fix is not None:
            text.append(f" — {printable(each.fix)}", "bold")
        console.print(text, soft_wrap=True)


def span_json(span: Span | None) -> dict[str, float | None]:
    """Return the numbers of a span in ms, to a tenth; null where there are none."""
    return {"p50": None, "p99": None} if span is None else {"p50": round(span.p50, 1), "p99": round(span.p99, 1)}


def _span(span: Span | None, nothing: str) -> str:
    return nothing if span is None else f"{span.p50:.1f} ms (p50), {span.p99:.1f} ms (p99)"
