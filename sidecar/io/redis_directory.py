"""The streams and events of many sidecars, in Redis.

A pod's records are one hash, and its life is one key with a lease: whoever finds the lease over clears up what the pod
has left. Two sorted sets give all streams in the order of their ids, and by call. Events are one Redis stream of
bounded length, whose ids are the ids of the events for all pods.

A stream is written anew when something happens to it. Three times in a lease the pod says that it lives, and looks
whether all its streams are there: so what is lost, Redis and all that it held included, is there again after a third of
the lease; what Redis loses while it is away for a moment, at once when it is back. Whoever could not tell of its events
says so once it can: then others know that they have missed something.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import msgspec
import structlog
from redis.asyncio import Redis

from sidecar.core.directory import DirectoryError
from sidecar.core.event_ring import MOST_EVENTS, EventRing, RingEvent
from sidecar.core.stream_snapshot import StreamSnapshot
from sidecar.io.redis_client import ANSWER_SECONDS, answer, end_tasks

log = structlog.get_logger("sidecar.directory")

MOST_UNSHARED = 2000  # events that wait to be told to others
MOST_UNSHARED_BYTES = 16 << 20
LONGEST_SHARED = 16 << 10  # bytes of an event
_AT_ONCE = 100  # events or streams that are read, or written, at once: calls wait meanwhile
_MOST_OLD = 1000  # events from before a pod started, for listeners that come over from another
_GATHER_SECONDS = 0.02
_BLOCK_MS = 1000
_AGAIN_SECONDS = 1.0
_MOST_DEAD = 10  # rounds past records that are gone, for one page
_BEATS = 3  # in a lease
_GAP = "missed"  # the field of an entry that stands for events which were not told
_RECORDS_OUTLIVE = 20  # leases: a sweep finds by them what else to clear up


@dataclass(slots=True)
class DirectoryCounters:
    """What became of what was to be shared."""

    shared: int = 0  # events that other pods could hear
    unshared: int = 0  # events that only this pod's listeners heard
    heard: int = 0  # events of all pods, this one too
    malformed: int = 0  # events and records that could not be read
    lost: int = 0  # times that Redis was away
    swept: int = 0  # pods whose lease was over


class RedisDirectory:
    """One pod's part in the directory, and its view of it: a `Directory`."""

    def __init__(
        self,
        redis: Redis,
        *,
        pod: str,
        address: str,
        streams: Callable[[], Iterable[StreamSnapshot]],
        stream: Callable[[str], StreamSnapshot | None],
        ring: EventRing,
        wake: Callable[[], None],
        prefix: str = "sidecar:",
        lease: float = 15.0,
    ) -> None:
        """`address` is where other pods reach this one's REST interface.

        `streams` gives what this one has, `stream` one of them. Events of all go to `ring`, and `wake` is called.
        """
        self.pod = pod
        self.counters = DirectoryCounters()
        self._redis = redis
        self._address = address
        self._streams, self._stream = streams, stream
        self._ring, self._wake = ring, wake
        self._life = f"{pod}/{token_hex(4)}"  # a pod that starts again is another one
        self._lease, self._records_ms = lease, round(lease * 1000 * _RECORDS_OUTLIVE)
        self._prefix = prefix
        self._pods, self._events = f"{prefix}pods", f"{prefix}events"
        self._ids, self._calls = f"{prefix}ids", f"{prefix}calls"
        self._reached = {"write": False, "read": False}
        self._written: dict[str, str] = {}  # calls, by the streams that others find
        self._changed: dict[str, bool] = {}  # streams, and whether they go on
        self._unshared: deque[RingEvent] = deque()
        self._unshared_bytes = 0
        self._awake = asyncio.Event()
        self._is_whole = False  # all that we have was written, as far as we know
        self._owes_gap = False  # events were not told, and nobody knows yet
        self._heard_to: bytes | None = None  # the id of the last event of all

    @property
    def is_up(self) -> bool:
        """Whether Redis answers."""
        return all(self._reached.values())

    @property
    def waiting(self) -> int:
        """How many events wait to be told to others."""
        return len(self._unshared)

    def tell(self, event: RingEvent) -> None:
        """Take an event of this pod. If others cannot be told of it in time, our own listeners are at least."""
        if event.stream:
            self.touch(event.stream, goes_on=event.kind != "stop")
        size = len(event.data)
        if (
            self.is_up
            and size <= LONGEST_SHARED
            and len(self._unshared) < MOST_UNSHARED
            and self._unshared_bytes + size <= MOST_UNSHARED_BYTES
        ):
            self._unshared.append(event)
            self._unshared_bytes += size
            self._awake.set()
        else:
            self._owes_gap = self._owes_gap or not self.is_up
            self._hear_alone([event])

    def touch(self, stream: str, *, goes_on: bool = True) -> None:
        """Write a stream anew: something about it is another, or it is over."""
        if self.is_up:  # else all is written, once it is
            self._changed[stream] = goes_on
            self._awake.set()

    async def run(self) -> None:
        """Write and read until cancelled; then take our streams out, if Redis answers."""
        ways = {"write": self._write, "read": self._read}
        tasks = [asyncio.create_task(self._again_and_again(way, work)) for way, work in ways.items()]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)  # by a mistake of ours
            for task in ended:
                task.result()
        finally:
            await end_tasks(tasks)
            with suppress(DirectoryError, TimeoutError):
                async with asyncio.timeout(ANSWER_SECONDS):
                    while self._unshared:
                        await self._share()
                    await self._clear(self._life)
            self._reached = dict.fromkeys(self._reached, False)
            self._is_whole = False
            await self._redis.aclose()

    # What others know

    async def page(self, *, after: str, most: int, call: str | None) -> list[StreamSnapshot]:
        """See `Directory`."""
        index, head = (self._ids, b"") if call is None else (self._calls, call.encode() + b"\0")
        place = b"(" + head + after.encode() + b"\x01"
        end = b"+" if call is None else b"(" + call.encode() + b"\x01"
        found: list[StreamSnapshot] = []
        for _ in range(_MOST_DEAD):
            wanted = most - len(found)
            names = await answer(self._redis.zrangebylex(index, place, end, 0, wanted))
            some = await self._records(index, names, [name[len(head) :] for name in names])
            found += [each for each in some if call is None or each.call == call]
            if len(names) < wanted or len(found) == most:
                break
            place = b"(" + names[-1]
        return found

    async def owner(self, stream: str) -> str | None:
        """See `Directory`."""
        name = stream.encode()
        names = await answer(self._redis.zrangebylex(self._ids, b"[" + name + b"\0", b"(" + name + b"\x01", 0, 8))
        for life in (name.partition(b"\0")[2].decode() for name in names):
            address: bytes | None = await answer(self._redis.get(self._key("pod", life)))
            if address is not None and life != self._life:
                return address.decode()
        return None

    async def _records(self, index: str, names: Sequence[bytes], streams: Sequence[bytes]) -> list[StreamSnapshot]:
        """Return the records of streams; of what has none any more, the name goes too."""
        if not names:
            return []
        async with self._redis.pipeline(transaction=False) as pipe:
            for each in streams:
                stream, _, life = each.decode().partition("\0")
                pipe.hget(self._key("streams", life), stream)
            records = await answer(pipe.execute())
        if dead := [name for name, record in zip(names, records, strict=True) if record is None]:
            await answer(self._redis.zrem(index, *dead))
        snapshots = (self._parse(record) for record in records if record is not None)
        return [snapshot for snapshot in snapshots if snapshot is not None]

    def _parse(self, record: bytes) -> StreamSnapshot | None:
        try:
            return msgspec.json.decode(record, type=StreamSnapshot)
        except msgspec.DecodeError:  # of another version, perhaps
            self.counters.malformed += 1
            return None

    # What we tell them

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        found = loop.time()
        while True:
            await self._beat()
            if loop.time() - found >= self._lease:  # else those that could not say that they live may be yet to
                await self._sweep()
            await self._share()
            self._found("write")
            until = loop.time() + self._lease / _BEATS
            while self._is_whole and loop.time() < until:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        await self._awake.wait()
                        await asyncio.sleep(_GATHER_SECONDS)
                self._awake.clear()
                await self._share()

    async def _beat(self) -> None:
        """Say that we live; write all that we have, if it is not there."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(self._key("pod", self._life), self._address, px=round(self._lease * 1000))
            pipe.sadd(self._pods, self._life)
            pipe.pexpire(self._key("streams", self._life), self._records_ms)
            pipe.hlen(self._key("streams", self._life))
            *_, there = await answer(pipe.execute())
        if not self._is_whole or there != len(self._written):
            await self._write_all()

    async def _write_all(self) -> None:
        """Write all that we have, and take out what we have not: something of before a loss may come late."""
        there: dict[bytes, bytes] = await answer(self._redis.hgetall(self._key("streams", self._life)))
        for name, record in ((name.decode(), record) for name, record in there.items()):
            if name not in self._written:
                snapshot = self._parse(record)
                self._written[name] = "" if snapshot is None else snapshot.call
        self._changed.clear()
        snapshots = {each.id: each for each in self._streams()}
        gone = self._written.keys() - snapshots.keys()
        for first in range(0, max(1, len(snapshots)), _AT_ONCE):
            some = dict(itertools.islice(snapshots.items(), first, first + _AT_ONCE))
            async with self._redis.pipeline(transaction=True) as pipe:
                await self._replace(pipe, gone, some)
            gone = set()
        self._is_whole = True

    async def _share(self) -> None:
        """Write what has changed, and tell others of it."""
        now = {stream: self._stream(stream) for stream, goes_on in self._changed.items() if goes_on}
        snapshots = {stream: snapshot for stream, snapshot in now.items() if snapshot is not None}
        gone = self._written.keys() & (self._changed.keys() - snapshots.keys())
        self._changed.clear()
        told = [self._unshared.popleft() for _ in range(min(_AT_ONCE, len(self._unshared)))]
        self._unshared_bytes -= sum(len(each.data) for each in told)
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                if self._owes_gap:
                    pipe.xadd(self._events, {_GAP: self._life}, maxlen=MOST_EVENTS)
                for each in told:
                    fields: dict[Any, Any] = {"kind": each.kind, "stream": each.stream, "data": each.data}
                    pipe.xadd(self._events, fields, maxlen=MOST_EVENTS)
                await self._replace(pipe, gone, snapshots)
        except BaseException:
            self._owes_gap = self._owes_gap or bool(told)
            self._hear_alone(told)
            raise
        self._owes_gap = False
        self.counters.shared += len(told)
        if self._unshared:
            self._awake.set()

    async def _replace(self, pipe: Any, gone: Iterable[str], snapshots: Mapping[str, StreamSnapshot]) -> None:
        """Do what is in the pipeline, take streams out, and put others in, all at once."""
        for stream in gone:
            pipe.hdel(self._key("streams", self._life), stream)
            pipe.zrem(self._ids, self._by_id(stream))
            pipe.zrem(self._calls, self._by_call(self._written[stream], stream))
        for stream, snapshot in snapshots.items():
            record = msgspec.json.encode(msgspec.structs.replace(snapshot, pod=self.pod))
            pipe.hset(self._key("streams", self._life), stream, record)
            pipe.zadd(self._ids, {self._by_id(stream): 0})
            pipe.zadd(self._calls, {self._by_call(snapshot.call, stream): 0})
        pipe.pexpire(self._key("streams", self._life), self._records_ms)
        self._written |= {stream: snapshot.call for stream, snapshot in snapshots.items()}  # written or not: it may be
        await answer(pipe.execute())
        for stream in gone:
            del self._written[stream]

    async def _sweep(self) -> None:
        """Clear up what pods have left whose lease is over."""
        lives = sorted(life.decode() for life in await answer(self._redis.smembers(self._pods)))
        leases = await answer(self._redis.mget([self._key("pod", life) for life in lives]))
        for life, lease in zip(lives, leases, strict=True):
            if lease is None and life != self._life:
                await self._clear(life)
                self.counters.swept += 1
                log.warning("pod gone", pod=life)

    async def _clear(self, life: str) -> None:
        """Take a pod out, and its streams."""
        records: dict[bytes, bytes] = await answer(self._redis.hgetall(self._key("streams", life)))
        async with self._redis.pipeline(transaction=True) as pipe:
            for stream, record in records.items():
                pipe.zrem(self._ids, self._by_id(stream.decode(), life))
                if (snapshot := self._parse(record)) is not None:
                    pipe.zrem(self._calls, self._by_call(snapshot.call, stream.decode(), life))
            pipe.delete(self._key("streams", life), self._key("pod", life))
            pipe.srem(self._pods, life)
            await answer(pipe.execute())

    # What they tell us

    async def _read(self) -> None:
        self._heard_to = await self._catch_up()
        self._found("read")
        while True:
            read = self._redis.xread({self._events: self._heard_to}, count=_AT_ONCE, block=_BLOCK_MS)
            for _, entries in await answer(read) or ():
                self._hear(entries)

    async def _catch_up(self) -> bytes:
        """Find out where to read on: return the id of the last event that is known."""
        if self._heard_to is None:
            old = await answer(self._redis.xrevrange(self._events, count=_MOST_OLD))
            self._hear(old[::-1])
            return self._heard_to or b"0-0"
        oldest = await answer(self._redis.xrange(self._events, count=1))
        if not oldest or _order(oldest[0][0]) > _order(self._heard_to):
            self._ring.skip()  # Redis has forgotten what came next, or everything
            self._wake()
        return self._heard_to

    def _hear(self, entries: Iterable[tuple[bytes, dict[bytes, bytes]]]) -> None:
        for id, fields in entries:
            self._heard_to = id
            if _GAP.encode() in fields:
                self._ring.skip()
                continue
            try:
                kind, stream, data = fields[b"kind"].decode(), fields[b"stream"].decode(), fields[b"data"]
            except (KeyError, UnicodeDecodeError):
                self.counters.malformed += 1
                continue
            self._ring.publish(kind, stream, data, id=id.decode())
            self.counters.heard += 1
        self._wake()

    def _hear_alone(self, told: Iterable[RingEvent]) -> None:
        for each in told:
            self._ring.publish(each.kind, each.stream, each.data)
            self.counters.unshared += 1
        self._wake()

    async def _again_and_again(self, way: str, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except DirectoryError as error:
                self._lose(way, error)
            await asyncio.sleep(_AGAIN_SECONDS)

    def _found(self, way: str) -> None:
        was_up = self.is_up
        self._reached[way] = True
        if self.is_up and not was_up:
            log.info("directory found", pod=self._life)

    def _lose(self, way: str, error: DirectoryError) -> None:
        if self.is_up:
            self.counters.lost += 1
            log.warning("directory lost", error=str(error))
        self._reached[way] = self._is_whole = False
        self._awake.set()  # whoever writes looks at once whether Redis still has everything
        self._owes_gap = self._owes_gap or bool(self._unshared)
        told, self._unshared, self._unshared_bytes = self._unshared, deque(), 0
        self._hear_alone(told)

    def _key(self, what: str, life: str) -> str:
        return f"{self._prefix}{what}:{life}"

    def _by_id(self, stream: str, life: str | None = None) -> str:
        return f"{stream}\0{life or self._life}"

    def _by_call(self, call: str, stream: str, life: str | None = None) -> str:
        return f"{call}\0{self._by_id(stream, life)}"


def _order(id: bytes) -> tuple[int, ...]:
    return tuple(map(int, id.split(b"-")))
