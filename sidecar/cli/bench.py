"""`sidecar bench`."""

from __future__ import annotations

from typing import Annotated

import typer

from sidecar.cli.arguments import AsJson
from sidecar.cli.outcome import fail, run_to_end


def bench(
    calls: Annotated[int, typer.Option(min=1, max=4096, help="How many calls talk at once.")] = 100,
    seconds: Annotated[float, typer.Option(min=1, max=86400, help="For how long they are measured.")] = 10.0,
    mix: Annotated[str, typer.Option(help="Whose voice the bots hear: mono, callee, mixed or stereo.")] = "mono",
    rate: Annotated[str, typer.Option(help="Samples a second, to and from the bots: 8k 16k 24k 32k 40k 48k.")] = "16k",
    workers: Annotated[
        int, typer.Option(min=0, max=256, help="Media workers of the sidecar; 0: inside its control process.")
    ] = 1,
    ptime: Annotated[int, typer.Option(help="Milliseconds of a packet of RTP: 10 20 30 40 60.")] = 20,
    rtp_mode: Annotated[str, typer.Option(help="As the setting rtp.mode: one, or ports.")] = "one",
    tls: Annotated[bool, typer.Option("--tls", help="Reach the bots by wss://. It needs libssl.so.3.")] = False,
    deflate: Annotated[bool, typer.Option("--deflate", help="Compress messages. It needs libz.so.1.")] = False,
    as_json: AsJson = False,
) -> None:
    """Place many calls at once through a sidecar of its own, and tell what each costs.

    Callers, bots and the sidecar are processes of this machine. It needs
    Linux, and a C compiler. docs/performance.md says what the figures mean.
    """
    from sidecar.bench import BenchError, BenchPlan, run_bench
    from sidecar.bench.plan import PTIMES_MS, RTP_MODES
    from sidecar.console import bench_progress, print_error, print_figures, print_json
    from sidecar.core.options import OptionError, Profile, resolve_options

    given = {"url": "ws://localhost", "mix": mix, "rate": rate}
    try:
        options, _ = resolve_options({}, [Profile(given)])
    except OptionError as error:
        raise typer.BadParameter(error.reason, param_hint=f"--{error.name}") from None
    for name, value, known in (("--ptime", ptime, PTIMES_MS), ("--rtp-mode", rtp_mode, RTP_MODES)):
        if value not in known:
            raise typer.BadParameter(f"none of {' '.join(map(str, known))}", param_hint=name)
    plan = BenchPlan(calls, seconds, options.mix, options.rate, workers, ptime, rtp_mode, tls, deflate)
    try:
        with bench_progress() as show:
            figures = run_to_end(run_bench(plan, on_state=show))
    except (BenchError, OSError) as error:
        fail(str(error))
    if as_json:
        print_json(figures.as_json())
    else:
        print_figures(figures)
    for problem in figures.problems:
        print_error(problem)
