"""The directory of many sidecars, on a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from sidecar.core.directory import DirectoryError
from sidecar.core.event_body import EventBody
from sidecar.core.event_ring import EventRing, RingEvent
from sidecar.core.events import BotSaid, Stopped, StreamEvent
from sidecar.core.stream_snapshot import StreamSnapshot
from sidecar.io.redis_client import open_redis
from sidecar.io.redis_directory import LONGEST_SHARED, MOST_UNSHARED, MOST_UNSHARED_BYTES, RedisDirectory
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.peer("redis-server")

LEASE = 0.6


@dataclass
class Pod:
    """A sidecar, as far as the directory is concerned."""

    directory: RedisDirectory
    streams: dict[str, StreamSnapshot]
    ring: EventRing
    sequence: dict[str, int] = field(default_factory=dict)

    def tell(self, stream: str, body: EventBody | None = None) -> None:
        self.sequence[stream] = self.sequence.get(stream, 0) + 1
        said = body or BotSaid("hello")
        event = StreamEvent(said, stream, f"call of {stream}", self.sequence[stream], 0.0)
        self.directory.tell(RingEvent(self.sequence[stream], "its own", event.kind, stream, event.json()))

    def begin(self, stream: str, call: str | None = None) -> None:
        self.streams[stream] = snapshot(stream, call or f"call of {stream}")
        self.tell(stream)

    def end(self, stream: str) -> None:
        del self.streams[stream]
        self.tell(stream, Stopped(None))

    @property
    def heard(self) -> list[str]:
        """What its listeners have heard of: streams and sequence numbers."""
        told = [msgspec.json.decode(event.data) for event in self.ring.after(0)]
        return [f"{each['stream']}.{each['sequence']}" for each in told]


def snapshot(stream: str, call: str) -> StreamSnapshot:
    return StreamSnapshot(
        stream,
        call,
        call,
        "up",
        "connected",
        False,
        "sip:a@b",
        "sip:c@d",
        "ws://bot/",
        "mono",
        8000,
        8000,
        20,
        None,
        0.0,
        1,
    )


@asynccontextmanager
async def pod(
    redis: RedisServer, name: str, *, dies: bool = False, lease: float = LEASE, **settings: Any
) -> AsyncIterator[Pod]:
    """Run a pod; one that `dies` leaves everything behind."""
    streams: dict[str, StreamSnapshot] = {}
    ring = EventRing(epoch=name)
    path = redis.path_of(name)
    client = open_redis(f"unix://{path}")
    directory = RedisDirectory(
        client,
        pod=name,
        address=f"http://{name}:8080",
        streams=streams.values,
        stream=streams.get,
        ring=ring,
        wake=lambda: None,
        lease=lease,
        **settings,
    )
    running = asyncio.create_task(directory.run())
    try:
        await until(lambda: directory.is_up)
        yield Pod(directory, streams, ring)
    finally:
        if dies:
            path.unlink()
            await client.connection_pool.disconnect(inuse_connections=True)
        running.cancel()
        await asyncio.wait([running])
        path.unlink(missing_ok=True)


async def until(is_so: Callable[[], bool], *, within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while not is_so():  # noqa: ASYNC110  the other side is another process
            await asyncio.sleep(0.01)


async def ids(pod: Pod, *, after: str = "", most: int = 100, call: str | None = None) -> list[str]:
    return [each.id for each in await pod.directory.page(after=after, most=most, call=call)]


async def until_seen(pod: Pod, wanted: list[str], *, within: float = 10.0) -> None:
    async with asyncio.timeout(within):
        while await ids(pod) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_each_pod_sees_the_streams_of_all_by_the_page_and_by_call() -> None:
    async with RedisServer() as redis, pod(redis, "one") as one, pod(redis, "two") as two:
        for number in range(0, 10, 2):
            one.begin(f"s{number}", "shared" if number < 4 else None)
            two.begin(f"s{number + 1}", "shared" if number < 4 else None)
        everything = [f"s{number}" for number in range(10)]
        await until_seen(two, everything)
        assert await ids(one, most=4) == everything[:4]
        assert await ids(one, after="s3", most=4) == everything[4:8]
        assert await ids(one, after="s9") == []
        assert await ids(one, call="shared") == ["s0", "s1", "s2", "s3"]
        assert await ids(one, call="shared", after="s1", most=1) == ["s2"]
        assert await ids(one, call="share") == []
        assert {each.pod for each in await one.directory.page(after="", most=1, call=None)} == {"one"}
        assert await two.directory.owner("s0") == "http://one:8080"
        assert await two.directory.owner("s1") is None  # it has it itself
        assert await two.directory.owner("s") is None
        one.end("s0")
        await until_seen(two, everything[1:])
        assert await ids(two, call="shared") == ["s1", "s2", "s3"]


async def test_events_of_all_pods_have_one_order_and_one_id_at_each() -> None:
    async with RedisServer() as redis, pod(redis, "one") as one, pod(redis, "two") as two:
        for number in range(150):  # more than are told at once
            one.begin(f"a{number:03}")
            two.begin(f"b{number:03}")
        await until(lambda: len(one.heard) == 300 == len(two.heard))
        assert one.heard == two.heard
        assert [each.id for each in one.ring.after(0)] == [each.id for each in two.ring.after(0)]
        assert one.directory.counters.heard == 300
        await until(lambda: one.directory.counters.shared == 150)  # Redis answers after it has told all
        async with pod(redis, "three") as three:  # a listener may come over from another pod
            assert three.heard == one.heard
            assert three.ring.number_of(one.ring.id_of(one.ring.newest)) == three.ring.newest


async def test_a_pod_that_dies_is_cleared_up_and_one_that_stops_clears_up_itself() -> None:
    async with RedisServer() as redis, pod(redis, "one") as one:
        async with pod(redis, "two", dies=True) as two:
            two.begin("dead", "its call")
            await until_seen(one, ["dead"])
        assert await ids(one) == ["dead"]  # its lease is not over
        await until_seen(one, [])
        assert await ids(one, call="its call") == []
        assert await one.directory.owner("dead") is None
        await until(lambda: one.directory.counters.swept == 1)
        async with pod(redis, "three") as three:
            three.begin("stopped")
            await until_seen(one, ["stopped"])
        assert await ids(one) == []
        assert one.directory.counters.swept == 1
        client = open_redis(redis.url)
        left = {key.decode() for key in await client.keys() if isinstance(key, bytes)}
        await client.aclose()
        assert {key.partition("/")[0] for key in left} <= {
            "sidecar:pods",
            "sidecar:events",
            "sidecar:pod:one",
            "sidecar:streams:one",
        }


async def test_without_redis_each_hears_its_own_and_all_is_right_again_when_it_is_back() -> None:
    async with RedisServer() as redis, pod(redis, "one") as one, pod(redis, "two") as two:
        one.begin("before")
        two.begin("ends")
        await until(lambda: two.heard == ["before.1", "ends.1"] or two.heard == ["ends.1", "before.1"])
        await redis.stop()
        await until(lambda: not one.directory.is_up and not two.directory.is_up)
        with pytest.raises(DirectoryError, match="Redis"):
            await ids(one)
        with pytest.raises(DirectoryError, match="Redis"):
            await one.directory.owner("ends")
        one.begin("meanwhile")
        two.end("ends")
        assert one.heard[-1] == "meanwhile.1"
        assert two.heard[-1] == "ends.2"
        place = two.ring.newest
        await redis.start()  # it has forgotten everything
        await until(lambda: one.directory.is_up and two.directory.is_up)
        await until_seen(two, ["before", "meanwhile"], within=5.0)
        assert two.ring.forgotten > place  # its listeners are told that they may have missed something
        one.tell("before")
        await until(lambda: "before.2" in two.heard)
        assert one.directory.counters.lost == 1


async def test_a_redis_that_forgets_and_is_back_at_once_has_all_again_long_before_a_beat() -> None:
    async with RedisServer() as redis, pod(redis, "one", lease=300.0) as one, pod(redis, "two", lease=300.0) as two:
        one.begin("s")
        await until_seen(two, ["s"])
        await redis.stop()
        await redis.start()
        await until(lambda: one.directory.counters.lost == two.directory.counters.lost == 1)
        await until(lambda: one.directory.is_up and two.directory.is_up)
        await until_seen(two, ["s"])


async def test_who_finds_redis_again_does_not_take_those_for_dead_who_are_yet_to_find_it() -> None:
    lease = 1.0
    async with RedisServer() as redis, pod(redis, "one", lease=lease) as one, pod(redis, "two", lease=lease) as two:
        two.begin("s")
        await until_seen(one, ["s"])
        ways = []
        for each in (one, two):
            ways.append(redis.away(each.directory.pod))
            await each.directory._redis.connection_pool.disconnect(inuse_connections=True)
        await asyncio.sleep(lease + 0.1)
        ways[0]()
        await until(lambda: one.directory.is_up)
        await asyncio.sleep(lease / 2)
        assert (await ids(one), one.directory.counters.swept) == (["s"], 0)
        ways[1]()


async def test_a_record_that_redis_gets_late_is_taken_out_again() -> None:
    async with RedisServer() as redis, pod(redis, "one", lease=3.0) as one, pod(redis, "two", lease=3.0) as two:
        one.begin("s")
        client, life = open_redis(redis.url), one.directory._life
        late = {"ended": msgspec.json.encode(snapshot("ended", "its call")), "of another version": b"{}"}
        await client.hset(f"sidecar:streams:{life}", mapping=late)  # type: ignore[arg-type]
        await client.zadd("sidecar:ids", {f"ended\0{life}": 0})
        await client.zadd("sidecar:calls", {f"its call\0ended\0{life}": 0})
        await until_seen(two, ["s"])
        assert await client.hlen(f"sidecar:streams:{life}") == 1
        assert await client.zcard("sidecar:calls") == 1
        await client.aclose()


async def test_what_is_lost_of_a_pod_in_redis_comes_back() -> None:
    async with RedisServer() as redis, pod(redis, "one") as one, pod(redis, "two") as two:
        one.begin("kept")
        await until_seen(two, ["kept"])
        client = open_redis(redis.url)
        await client.flushall()
        await client.xadd("sidecar:events", {"of another": "version"})
        await client.hset("sidecar:streams:old/1", "x", b"{}")
        await client.zadd("sidecar:ids", {"x\0old/1": 0, "gone\0old/1": 0})
        await client.aclose()
        await until_seen(two, ["kept"])
        assert two.directory.counters.malformed > 0
        assert await two.directory.owner("x") is None


async def test_events_that_wait_are_bounded_and_heard_at_home_at_least() -> None:
    async with RedisServer() as redis, pod(redis, "one") as one:
        for _ in range(MOST_UNSHARED + 10):  # in one turn of the loop: none can be told meanwhile
            one.tell("s")
        assert one.directory.waiting == MOST_UNSHARED
        assert one.directory.counters.unshared == 10
        await until(lambda: len(one.heard) == MOST_UNSHARED + 10 and not one.directory.waiting)
        one.tell("s", BotSaid("x" * LONGEST_SHARED))
        assert one.directory.counters.unshared == 11
        for _ in range(1200):
            one.tell("s", BotSaid("x" * 15_000))
        assert one.directory.waiting < 1200
        assert one.directory.counters.unshared == 11 + 1200 - one.directory.waiting
        assert (one.directory.waiting + 1) * 15_200 > MOST_UNSHARED_BYTES


async def test_who_could_not_tell_says_so_and_others_know_that_they_have_missed_something() -> None:
    async with RedisServer() as redis, pod(redis, "one") as one, pod(redis, "two") as two:
        one.begin("s")
        await until(lambda: two.heard == ["s.1"])
        away = redis.away("one")
        await one.directory._redis.connection_pool.disconnect(inuse_connections=True)
        await until(lambda: not one.directory.is_up)
        one.tell("s")  # Redis, and the other pod, know nothing of it
        assert one.heard == ["s.1", "s.2"]
        away()
        await until(lambda: one.directory.is_up)
        await until(lambda: two.ring.forgotten == 2)
        one.tell("s")
        await until(lambda: two.heard == ["s.3"])
        assert not any(pod.directory.counters.malformed for pod in (one, two))


async def test_what_is_asked_of_a_stream_shows_at_others_without_an_event() -> None:
    async with RedisServer() as redis, pod(redis, "one") as one, pod(redis, "two") as two:
        one.begin("s")
        await until(lambda: two.heard == ["s.1"])
        (before,) = await two.directory.page(after="", most=2, call=None)
        one.streams["s"] = msgspec.structs.replace(one.streams["s"], paused=True)
        one.directory.touch("s")
        async with asyncio.timeout(LEASE / 4):
            while (seen := await two.directory.page(after="", most=2, call=None)) == [before]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert seen == [msgspec.structs.replace(before, paused=True)]
        assert two.heard == ["s.1"]
