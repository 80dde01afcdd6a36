"""Offers a full sidecar ten times what it takes, for a minute; fails if its calls notice, or others wait for their 503.

    python -m tests.load.too_many --calls 200

So many calls are up and talk, and no more are taken. sipp places as many a second: were calls of 10 s taken, that
would be ten times as many. All are to be refused with 503 and Retry-After, soon; gaps of those that are up are to stay
below 25 ms (p99, unless they were above before), and none of their frames is to be lost. Then they end, and new calls
are to be taken. It ends by itself; on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from sidecar.bench.run import allow_descriptors
from sidecar.bench.served import served
from tests.load.talking import talking_calls
from tests.support import sipp
from tests.support.bots import Bot
from tests.support.ports import LOOPBACK

BEFORE_SECONDS = 10.0
GAP_P99_MS = 25.0
NOISE = 1.2
MOST_RESPONSE_SECONDS = 0.1  # in the mean
CALLS_AFTER = 50


async def offer_too_many(calls: int, seconds: float) -> list[str]:
    """Do it, print what is seen, and return what is wrong."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        async with Bot() as bot, served(max_calls=calls) as sidecar:
            target = f"{LOOPBACK}:{sidecar.address[1]}"
            async with talking_calls(calls, sidecar) as talking:
                talking.record()
                await asyncio.sleep(BEFORE_SECONDS)
                before, lost_before = talking.gap_ms, talking.lost_frames
                cpu = sidecar.processes.cpu_seconds()
                talking.record()
                refused = await sipp.run(
                    "call_refused",
                    target,
                    directory / "refused",
                    values={"status": "503", "header": "Retry-After", "pattern": "[0-9]"},
                    calls=round(calls * seconds),
                    rate=calls,
                    within=seconds + 30.0,
                )
                during, lost = talking.gap_ms, talking.lost_frames
                cpu = sidecar.processes.cpu_seconds() - cpu
            headers = {"X-STREAM_URL": bot.url}
            after = await sipp.run(
                "call", target, directory / "after", headers=headers, calls=CALLS_AFTER, rate=25.0, seconds=1.0
            )
    assert before is not None
    assert during is not None
    print(f"{calls} calls up, {calls} more a second for {seconds:g} s")
    after_ms = int(refused.response_seconds * 1000) + 1
    print(f"refused with 503: {refused.successful}, otherwise: {refused.failed}; in less than {after_ms} ms (mean)")
    print(f"gaps, p99: {before.p99:.1f} ms before, {during.p99:.1f} ms meanwhile; frames lost: {lost_before}, {lost}")
    print(f"CPU: {cpu / seconds:.2f} of a core; new calls after it: {after.successful} of {CALLS_AFTER}")
    problems = []
    if refused.failed:
        problems.append(f"not refused with 503: {refused.failures}")
    if refused.response_seconds > MOST_RESPONSE_SECONDS:
        problems.append("refusals are slow")
    if during.p99 > max(GAP_P99_MS, NOISE * before.p99) or lost:
        problems.append("calls that are up have noticed")
    if after.failed:
        problems.append(f"calls are not taken afterwards: {after.failures}")
    return problems


def main() -> int:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    allow_descriptors(arguments.calls + 200)
    problems = asyncio.run(offer_too_many(arguments.calls, arguments.seconds))
    print("\n".join(problems) or "ok")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
