"""An hour as a bad day has it: fails if memory, sockets, tasks or calls are left, or if good calls suffer.

    python -m tests.load.soak_hour --good 200 --rough 100 --seconds 3600

Good calls talk all the time, over a network that loses one packet in a hundred, to bots that answer. Beside them sipp
places calls of 25 s, so many at once: they lose as many packets, press keys, are held and taken up again. Their bots
refuse, stall, drop the line, close, send garbage, all at random; they are called again, and where that is in vain half
of the calls end, and half go on to other bots of the kind. Memory is compared from a quarter of the time on: in
less than an hour it is still finding its size. What
the machine does besides makes gaps and lost frames, but no leak.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from prometheus_client.parser import text_string_to_metric_families

from rtp import RtpPacket
from rtp.pcm import FRAMES_PER_SECOND
from sidecar.bench.errors import BenchError
from sidecar.bench.process_tree import ProcessTree
from sidecar.bench.run import allow_descriptors
from sidecar.bench.served import Served
from tests.load.soak import growth_kib
from tests.load.talking import sockets_of, talking_calls
from tests.support import sipp
from tests.support.bots_at_random import BotAtRandom
from tests.support.capture import TimedPacket, rtp_packets
from tests.support.rest import ask
from tests.support.serving import Serving, serving
from tests.support.tones import make_tone

READINGS = 60
GROWTH_KIB = 8192
"""How much more the last quarter may need than the second: tables and pools find their size while calls come and go."""

MOST_LOST = 0.002
GAP_P99_MS = 40.0
LOSS_PER_MILLE = 10
PHASE_SECONDS = 8.0  # before a call is held, while it is, and after it
ROUGH_SECONDS = 3 * PHASE_SECONDS + 1.0
PAUSE_SECONDS = 2.0  # of a bot between two misdeeds, at the most
DIGITS, EVENT_TYPE, EVENT_FRAMES = (1, 5, 11), 101, 10
GOODBYE_SECONDS = 60.0  # SIP remembers a call for 32 s after its end (RFC 3261, timers H and J)
GAUGES = (
    "sidecar_calls",
    "sidecar_worker_streams",
    "sidecar_sip_transactions",
    "sidecar_control_tasks",
    "sidecar_worker_tasks",
)


@dataclass(frozen=True, slots=True)
class Held:
    """What a sidecar holds, at one moment."""

    control_kib: int
    worker_kib: int
    descriptors: int
    sockets: int
    gauges: Mapping[str, int]

    @classmethod
    async def read(cls, sidecar: Serving) -> Held:
        """Look at the processes, and ask for the metrics."""
        processes = ProcessTree(sidecar.process.pid)
        of_workers = sum(ProcessTree(worker).resident_kib() for worker in sidecar.workers())
        text = (await ask(int(sidecar.logged("ready")[0]["api_port"]), "GET", "/metrics")).body.decode()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        return cls(
            control_kib=processes.resident_kib() - of_workers,
            worker_kib=of_workers,
            descriptors=sum(len(os.listdir(f"/proc/{process}/fd")) for process in processes.members()),
            sockets=sockets_of(processes),
            gauges={name: round(sum(each.value for each in families[name].samples)) for name in GAUGES},
        )

    def __str__(self) -> str:
        counts = "".join(f"{count:14d}" for count in self.gauges.values())
        return f"{self.control_kib:12d} {self.worker_kib:11d} {self.descriptors:5d}{counts}"


HEADING = "  seconds control, KiB worker, KiB   fds" + "".join(
    f"{name.removeprefix('sidecar_').removeprefix('sip_').removeprefix('worker_s'):>14}" for name in GAUGES
)


def what_a_caller_sends() -> list[TimedPacket]:
    """Make the packets of a rough call: a tone, digits (RFC 4733), nothing while it is held; some are lost."""
    tone = make_tone(437.0, level_dbfs=-14.0, seconds=ROUGH_SECONDS, rate=8000)
    said = [each for each in rtp_packets(tone) if not PHASE_SECONDS < each.at < 2 * PHASE_SECONDS]
    packets = [replace(RtpPacket.parse(each.data), sequence_number=number) for number, each in enumerate(said)]
    for number, digit in enumerate(DIGITS):
        first = round((2.0 + 2 * number) * FRAMES_PER_SECOND)
        begun = packets[first].timestamp
        for index in range(EVENT_FRAMES):
            end = 0x80 if index == EVENT_FRAMES - 1 else 0
            payload = bytes((digit, 10 | end)) + (160 * (index + 1)).to_bytes(2, "big")
            packets[first + index] = replace(
                packets[first + index], payload_type=EVENT_TYPE, timestamp=begun, payload=payload, marker=index == 0
            )
    random = Random(7)
    return [
        TimedPacket(each.at, bytes(packet))
        for each, packet in zip(said, packets, strict=True)
        if random.randrange(1000) >= LOSS_PER_MILLE
    ]


@asynccontextmanager
async def rough_calls(at_once: int, seconds: float, sidecar: Serving, bot: BotAtRandom) -> AsyncIterator[None]:
    """Have calls come and go for so long; say what became of them when the block ends.

    Raise BenchError if they did not come, or if something happened to them that no bot can do.
    """
    host, port = sidecar.address
    rate, packets = at_once / 2 / ROUGH_SECONDS, what_a_caller_sends()
    options = {"X-STREAM_URL": bot.url, "X-STREAM_RECONNECT_MAX": "5", "X-STREAM_REPLAY": "2000"}
    options |= {"X-STREAM_EVENTS": "all", "X-STREAM_ON_BOT_CLOSE": "keep", "X-STREAM_HEART_BEAT": "5"}
    kinds = ({"X-STREAM_ON_BOT_LOST": "hangup"}, {"X-STREAM_ON_BOT_LOST": f"fallback:{bot.url}"})
    with TemporaryDirectory() as directory:
        runs = [
            asyncio.create_task(
                sipp.run(
                    "call_held",
                    f"{host}:{port}",
                    Path(directory) / str(number),
                    headers=options | more,
                    packets=packets,
                    calls=round(rate * (seconds - ROUGH_SECONDS)),
                    rate=rate,
                    seconds=PHASE_SECONDS,
                    media_port=12_000 + 10_000 * number,  # sipp takes 10,000, then it begins anew
                    arguments=["-l", str(at_once)],
                    within=seconds + 2 * ROUGH_SECONDS,
                )
            )
            for number, more in enumerate(kinds)
        ]
        yield
        for outcome in await asyncio.gather(*runs):
            print(f"rough calls that went to their end: {outcome.successful}; others: {outcome.failures}")
            if not outcome.successful or outcome.failures.keys() - {"UnexpectedMessage"}:  # a BYE, or a refusal
                raise BenchError(f"the rough calls did not come, or broke: {outcome.failures}\n{outcome.log[-2000:]}")


async def soak(good: int, rough: int, seconds: float) -> list[str]:
    """Do it, print what is seen, and return what is wrong."""
    settings = {"API__ENABLED": "true", "API__PORT": 0, "SIP__MAX_CALLS": good + 2 * rough}
    resident, gaps, lost, messages, talked = list[int](), list[float](), 0, 0, 0.0
    async with (
        BotAtRandom(Random(3), pause=PAUSE_SECONDS) as bot,
        serving(workers=1, bot=bot.url, **settings) as sidecar,
    ):
        await asyncio.sleep(2.0)  # each second workers tell how they do
        idle = await Held.read(sidecar)
        print(f"{HEADING}  gap p99, ms   lost\n     idle {idle}", flush=True)
        served = Served(sidecar.address, ProcessTree(sidecar.process.pid))
        async with (
            talking_calls(good, served, loss_per_mille=LOSS_PER_MILLE) as talking,
            rough_calls(rough, seconds, sidecar, bot),
        ):
            started = time.monotonic()
            for _ in range(READINGS):
                talking.record()
                recorded = time.monotonic()
                await asyncio.sleep(seconds / READINGS)
                gaps.append(talking.gap_ms.p99 if talking.gap_ms else float("inf"))
                lost += talking.board["lost_down"]
                messages += talking.messages
                talked += time.monotonic() - recorded
                now = await Held.read(sidecar)
                resident.append(now.control_kib + now.worker_kib)
                bot.calls.clear()
                print(
                    f"{time.monotonic() - started:9.0f} {now} {gaps[-1]:12.2f} {talking.board['lost_down']:6d}",
                    flush=True,
                )
        left = await what_is_left(sidecar, idle)
        mistakes = [line for line in sidecar.log if line.get("level") in ("error", "critical")]
        ended = sidecar.logged("stop")
    print(f"streams: {len(ended)}; from the second quarter to the last, memory grew by {growth_kib(resident):.0f} KiB")
    expected = good * talked * FRAMES_PER_SECOND
    print(f"frames that bots of good calls have not got: {expected - messages:.0f} of {expected:.0f}; callers: {lost}")
    problems = left + [f"a mistake of ours: {line}" for line in mistakes[:3]]
    if growth_kib(resident) > GROWTH_KIB:
        problems.append(f"memory grew by more than {GROWTH_KIB} KiB")
    if max(expected - messages, lost) > MOST_LOST * expected or sorted(gaps)[len(gaps) // 2] > GAP_P99_MS:
        problems.append(
            "good calls have lost frames or wait for packets: the machine is too slow, or does other things"
        )
    return problems


async def what_is_left(sidecar: Serving, idle: Held) -> list[str]:
    """Wait until all is forgotten; say what is not."""
    for _ in range(round(GOODBYE_SECONDS)):
        now = await Held.read(sidecar)
        left = {name: count - idle.gauges[name] for name, count in now.gauges.items() if count > idle.gauges[name]}
        if not left and now.sockets <= idle.sockets:
            break
        await asyncio.sleep(1.0)
    print(f"    ended {now}")
    return (
        [f"left of calls: {left}, {now.sockets - idle.sockets} sockets"] if left or now.sockets > idle.sockets else []
    )


def main() -> int:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--good", type=int, default=200)
    parser.add_argument("--rough", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=3600.0)
    arguments = parser.parse_args()
    allow_descriptors(2 * (arguments.good + arguments.rough) + 200)
    problems = asyncio.run(soak(arguments.good, arguments.rough, arguments.seconds))
    print("\n".join(problems) or "ok")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
