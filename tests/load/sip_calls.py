"""Places calls at a rate, and says what a call costs the sidecar; fails if one of them did not go well.

    python -m tests.load.sip_calls --rate 200 --seconds 60
    python -m tests.load.sip_calls --answer immediate --profile profile.txt

The callers are sipp, and send no media. With `--direction sendrecv` the sidecar sends them silence, 50 packets a
second as long as a call is up: at 200 calls of 1 s a second that costs half as much again. The CPU is that of the
sidecar's process alone, user and system, from the first call to the last. With `--answer immediate` no call waits for
its bot.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.support import sipp
from tests.support.ports import LOOPBACK, free_port

MEDIA_PORT = 20_000
START_SECONDS = 10.0
MOST_CALLS = 100_000
"""However many are asked for."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of the sidecar."""

    rate: float
    seconds: float
    length: float
    answer: str
    direction: str
    transport: sipp.Transport
    profile: Path | None

    @property
    def calls(self) -> int:
        return min(round(self.rate * self.seconds), MOST_CALLS)


def cpu_seconds(process_id: int) -> tuple[float, float]:
    """Return the user and the system time of a process so far."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return int(fields[11]) / ticks, int(fields[12]) / ticks


@asynccontextmanager
async def running(
    *command: str, log: IO[bytes] | int = asyncio.subprocess.DEVNULL, **environment: str
) -> AsyncIterator[int]:
    """Run a program until the block ends, and give its process id."""
    process = await asyncio.create_subprocess_exec(*command, env=os.environ | environment, stdout=log, stderr=log)
    try:
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def until_ready(log: Path) -> None:
    """Wait until the sidecar says so: a port that listens may be another program's."""
    async with asyncio.timeout(START_SECONDS):
        while b"ready" not in log.read_bytes():  # noqa: ASYNC110, ASYNC240  it is a file, and short
            await asyncio.sleep(0.05)


async def place_calls(load: Load, directory: Path) -> bool:
    """Do it all, print what came of it, and return whether every call went well."""
    sip_port, bot_port = free_port(), free_port()
    settings = {
        "SIDECAR_SIP__PORT": str(sip_port),
        "SIDECAR_RTP__PORT": str(free_port()),
        "SIDECAR_API__ENABLED": "false",
        "SIDECAR_STREAM__URL": f"ws://{LOOPBACK}:{bot_port}/",
        "SIDECAR_STREAM__ANSWER": load.answer,
    }
    with (directory / "log").open("wb") as log:
        async with (
            running(sys.executable, "-m", "tests.load.bot", str(bot_port)),
            running(sys.executable, "-m", "sidecar", "serve", log=log, **settings) as sidecar,
        ):
            await until_ready(directory / "log")
            before = cpu_seconds(sidecar)
            async with profiled(sidecar, load):
                outcome = await sipp.run(
                    *("load", f"{LOOPBACK}:{sip_port}", directory),
                    values={"direction": load.direction},
                    calls=load.calls,
                    rate=load.rate,
                    seconds=load.length,
                    transport=load.transport,
                    media_port=MEDIA_PORT,
                    arguments=("-l", str(round(load.rate * (load.length + 5)))),
                    within=load.seconds + load.length + 30,
                )
            after = cpu_seconds(sidecar)
    if outcome.failed:
        print(outcome.log, file=sys.stderr)
    tell(load, outcome, [(late - early) for early, late in zip(before, after, strict=True)])
    return (outcome.successful, outcome.failed) == (load.calls, 0)


@asynccontextmanager
async def profiled(process_id: int, load: Load) -> AsyncIterator[None]:
    """Let py-spy look at a process 100 times a second, if that is asked for."""
    if load.profile is None:
        yield
        return
    spy = shutil.which("py-spy", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert spy, "py-spy is not installed: pip install -e '.[profile]'"
    command = [spy, "record", "--format", "raw", "--output", str(load.profile), "--pid", str(process_id)]
    process = await asyncio.create_subprocess_exec(
        *command, "--duration", str(round(load.seconds)), stdout=asyncio.subprocess.DEVNULL
    )
    yield
    await process.wait()
    print_profile(load.profile.read_text().splitlines())


def print_profile(stacks: Sequence[str]) -> None:
    """Print where the time goes: the share of samples in a function, and in a function and what it calls."""
    own: Counter[str] = Counter()
    whole: Counter[str] = Counter()
    for line in stacks:
        stack, _, samples_there = line.rpartition(" ")
        count = int(samples_there)
        frames = [re.sub(r":\d+\)$", ")", frame) for frame in stack.split(";")]  # lines of code do not matter
        own[frames[-1]] += count
        whole.update(dict.fromkeys(frames, count))
    samples = sum(own.values()) or 1
    for title, counter in (("in the function itself", own), ("with what it calls", whole)):
        print(f"\n{title}")
        for frame, count in counter.most_common(30):
            print(f"{100 * count / samples:6.1f} %  {frame}")


def tell(load: Load, outcome: sipp.Outcome, cpu: Sequence[float]) -> None:
    user, system = cpu
    print(
        f"{load.calls} calls over {load.transport}, {load.rate:g} a second, {load.length:g} s each, "
        f"answer={load.answer}, {load.direction}: "
        f"{outcome.failed} failed {outcome.failures or ''}, {outcome.retransmissions} messages sent again by sipp, "
        f"answered after {1000 * outcome.response_seconds:.1f} ms; "
        f"CPU {1000 * (user + system) / load.calls:.2f} ms a call "
        f"(user {1000 * user / load.calls:.2f}, system {1000 * system / load.calls:.2f})"
    )


def main() -> int:
    """Read the arguments, and do as they say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200.0, help="new calls a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long calls are placed")
    parser.add_argument("--length", type=float, default=1.0, help="of a call, in seconds")
    parser.add_argument("--answer", choices=["connected", "immediate"], default="connected")
    parser.add_argument("--direction", choices=["inactive", "sendrecv"], default="inactive")
    parser.add_argument("--transport", choices=["udp", "tcp"], default="udp")
    parser.add_argument("--profile", type=Path, help="where py-spy writes its samples")
    with tempfile.TemporaryDirectory() as directory:
        return 0 if asyncio.run(place_calls(Load(**vars(parser.parse_args())), Path(directory))) else 1


if __name__ == "__main__":
    sys.exit(main())
