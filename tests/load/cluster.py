"""Sidecars as pods of a cluster: each in a network namespace of its own, a Redis, a Kamailio and callers in others.

Pods are set as the chart sets them, and let in nobody but Kamailio and the callers. What is cut off, or killed, says
nothing any more.
"""

from __future__ import annotations

import asyncio
import csv
import json
import re
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support import sipp
from tests.support.baresip import Baresip
from tests.support.bots import Bot, BotCall
from tests.support.capture import rtp_packets
from tests.support.hosts import Host, Network, network_of
from tests.support.kamailio import dispatching
from tests.support.redis_server import RedisServer
from tests.support.rest import ask, listening
from tests.support.serving import Serving, serving
from tests.support.tones import gaps, make_tone

PODS = ("one", "two", "three")
SIP_PORT, API_PORT, REDIS_PORT = 5070, 8080, 6379
LEASE_SECONDS = 15.0  # the default
TOKEN, PASSWORD = "a-token-of-all-pods", "a-password-of-redis"
TONE_HZ = 437.0
MEDIA_TIMEOUT = 2  # of callers that notice that nothing comes any more

_CALL_ID = re.compile(r"Call-I[Dd]:? '?([^\s',]+@[0-9.]+)")


@dataclass(slots=True)
class Pod:
    """One that runs, or has run."""

    host: Host
    serving: Serving
    told: list[tuple[str, str]] = field(default_factory=list)  # by its event feed: kinds, and streams

    @property
    def streams(self) -> dict[str, str]:
        """Those that are up, and their calls, as its log has it."""
        ended = {line["stream"] for line in self.serving.logged("stop")}
        return {line["stream"]: line["call"] for line in self.serving.logged("start") if line["stream"] not in ended}

    @property
    def missed(self) -> int:
        """How often its event feed has said that events are missing."""
        return sum(kind == "missed" for kind, _ in self.told)

    async def get(self, path: str) -> Any:
        """Ask its REST interface; return what it answers, and its status."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return await ask(API_PORT, "GET", path, headers=headers, host=self.host.address)

    async def listed(self) -> tuple[dict[str, str], str | None]:
        """Return all streams that it lists, and their pods; and why it does not see all."""
        streams: dict[str, str] = {}
        path = "/v1/streams?limit=200"
        while True:
            page = (await self.get(path)).json
            streams |= {each["id"]: each.get("pod", "") for each in page["streams"]}
            if not page.get("next"):
                return streams, page.get("unseen")
            path = f"/v1/streams?limit=200&cursor={page['next']}"

    async def listen(self) -> None:
        """Take in what its event feed tells, until cancelled."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with listening(API_PORT, headers=headers, host=self.host.address) as listener:
            while True:
                event = await listener.next(within=3600.0)
                self.told.append((event.kind, event.data.get("stream", "")))

    async def kill(self) -> None:
        """SIGKILL."""
        self.serving.process.send_signal(signal.SIGKILL)
        await self.serving.exit_code()


@dataclass(slots=True)
class Cluster:
    """All that runs."""

    network: Network
    redis: RedisServer
    bot: Bot
    kamailio: str
    directory: Path
    stack: AsyncExitStack
    pods: dict[str, Pod] = field(default_factory=dict)  # those that are up
    runs: int = 0

    async def start(self, name: str) -> Pod:
        """Start a pod, perhaps again."""
        host, hosts = self.network.hosts[name], self.network.hosts
        settings = {
            "SIP__HOST": "0.0.0.0",
            "SIP__PORT": SIP_PORT,
            "SIP__ADVERTISED": host.address,
            "SIP__ALLOW": json.dumps([hosts["kamailio"].address, hosts["callers"].address]),
            "RTP__HOST": "0.0.0.0",
            "RTP__PORT": 40000,
            "RTP__ADVERTISED": host.address,
            "API__ENABLED": "true",
            "API__HOST": "0.0.0.0",
            "API__PORT": API_PORT,
            "API__TOKENS__OPS": TOKEN,
            "DIRECTORY__URL": f"file:{self.directory / 'redis-url'}",
            "DIRECTORY__NAME": name,
            "DIRECTORY__ADDRESS": f"http://{host.address}:{API_PORT}",
            "DIRECTORY__LEASE": LEASE_SECONDS,
        }
        running = serving(*host.inside, workers=1, bot=f"{self.bot.url}?pod={name}", **settings)
        self.pods[name] = pod = Pod(host, await self.stack.enter_async_context(running))
        await pod.serving.until_logged("directory found")
        return pod

    @property
    def started(self) -> set[tuple[str, str]]:
        """All streams that there were, and where, at the pods that are up."""
        return {(line["stream"], name) for name, pod in self.pods.items() for line in pod.serving.logged("start")}

    @property
    def truth(self) -> dict[str, str]:
        """The streams of the pods that are up, and where each is."""
        return {stream: name for name, pod in self.pods.items() for stream in pod.streams}

    async def seconds_until_right(self, *, within: float = 30.0) -> float | None:
        """Return how long it takes until each pod lists all that there is, and nothing else; None: longer."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while loop.time() - began < within:
            lists = {name: await pod.listed() for name, pod in self.pods.items()}
            if all(listed == (self.truth, None) for listed in lists.values()):
                return loop.time() - began
            await asyncio.sleep(0.1)
        for name, (listed, unseen) in lists.items():
            wrong = sorted(self.truth.items() ^ listed.items())
            print(f"  {name} does not list, or should not list: {wrong}; unseen: {unseen}")
        return None

    async def call(self, calls: int, *, seconds: float, rate: float = 10.0) -> Calls:
        """Let sipp place calls that talk; return when all are over."""
        self.runs += 1
        directory, callers = self.directory / f"sipp-{self.runs}", self.network.hosts["callers"]
        first = len(self.bot.calls)
        tone = make_tone(TONE_HZ, level_dbfs=-14.0, seconds=seconds - 0.5, rate=8000)
        outcome = await sipp.run(
            "call_with_pcap",
            self.kamailio,
            directory,
            packets=rtp_packets(tone),
            calls=calls,
            rate=rate,
            seconds=seconds,
            headers={"X-STREAM_EXTRA_HEADERS": json.dumps({"X-Run": str(self.runs)})},
            host=callers.address,
            arguments=["-mi", callers.address, "-trace_rtt", "-rtt_freq", "1"],
            inside=callers.inside,
            within=calls / rate + seconds + 20.0,
        )
        heard = [call for call in self.bot.calls[first:] if call.headers.get("X-Run") == directory.name[5:]]
        return Calls(outcome, heard, seconds, list(_answer_seconds(directory)))

    @asynccontextmanager
    async def telephone(self) -> AsyncIterator[Baresip]:
        """Call by a telephone that ends a call which it does not hear, and hang up at the end of the block."""
        self.runs += 1
        tone = make_tone(TONE_HZ, level_dbfs=-14.0, seconds=1.0, rate=8000)
        callers, directory = self.network.hosts["callers"], self.directory / f"baresip-{self.runs}"
        async with Baresip(
            directory,
            says=tone,
            longest_call=200.0,
            rtp_timeout=MEDIA_TIMEOUT,
            host=callers.address,
            inside=callers.inside,
        ) as telephone:
            await telephone.dial(f"sip:bot@{self.kamailio}")
            yield telephone


@dataclass(frozen=True, slots=True)
class Calls:
    """What became of calls by sipp."""

    outcome: sipp.Outcome
    heard: Sequence[BotCall]
    seconds: float
    answer_seconds: Sequence[float]

    @property
    def failed(self) -> set[str]:
        """The Call-IDs of those that did not go well."""
        return set(_CALL_ID.findall(self.outcome.log))

    @property
    def whole(self) -> int:
        """Of how many the bot has heard the tone from the beginning to the end."""
        said = round((self.seconds - 0.5) * 8000)
        heard = [call.heard for call in self.heard]
        return sum(len(each) >= said and gaps(each[1600 : said - 1600], 8000) == [] for each in heard)


def _answer_seconds(directory: Path) -> Iterator[float]:
    """How long each call waited for its answer."""
    (path,) = directory.glob("*_rtt.csv")
    with path.open(newline="") as file:
        for row in list(csv.reader(file, delimiter=";"))[1:]:
            yield float(row[1]) / 1000


@asynccontextmanager
async def cluster() -> AsyncIterator[Cluster]:
    """Run all but the pods until the block ends. Raise PermissionError where there are no network namespaces."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="pods")))
        network = stack.enter_context(network_of(*PODS, "redis", "kamailio", "callers"))
        there = network.hosts["redis"]
        arguments = [
            "--bind",
            there.address,
            "--port",
            str(REDIS_PORT),
            "--requirepass",
            PASSWORD,
            "--appendonly",
            "yes",
        ]
        redis = await stack.enter_async_context(RedisServer(*arguments, inside=there.inside))
        (directory / "redis-url").write_text(f"redis://:{PASSWORD}@{there.address}:{REDIS_PORT}/0")
        bot = await stack.enter_async_context(Bot(host=network.address))
        running = Cluster(network, redis, bot, "", directory, stack)
        for name in PODS[:2]:
            await running.start(name)
        host = network.hosts["kamailio"]
        sidecars = [(network.hosts[name].address, SIP_PORT) for name in PODS]
        at, port = await stack.enter_async_context(
            dispatching(
                sidecars, directory / "kamailio", host=host.address, callers=network.network, inside=host.inside
            )
        )
        running.kamailio = f"{at}:{port}"
        yield running
