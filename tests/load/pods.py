"""Drains, kills and cuts off sidecars behind a Kamailio, and takes Redis away; fails if more is lost than need be.

    python -m tests.load.pods

Each sidecar, Redis, Kamailio and the callers have a network of their own (network namespaces on a bridge: this needs
root). sipp places calls with a tone, and the bots write down what they hear; telephones (baresip) end a call that they
do not hear. It ends by itself, after three minutes.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field

from tests.load.cluster import LEASE_SECONDS, PODS, Calls, Cluster, Pod, cluster
from tests.support.baresip import Baresip, CallFailed
from tests.support.kamailio import PROGRAM
from tests.support.stalls import stalls_beside

MOST_SECONDS = 5.0  # until new calls flow, and until the directory is right again
MOST_LISTED_SECONDS = LEASE_SECONDS * 4 / 3 + 1.0  # the dead, until they are forgotten
MOST_ANSWER_SECONDS = 2.0  # of REST, with Redis
MOST_HEARD_SECONDS = 1.0  # events, at all pods
BREATH = 2.0


@dataclass(slots=True)
class Findings:
    """What was seen, and what was wrong."""

    problems: list[str] = field(default_factory=list)

    def saw(self, what: str, value: object) -> None:
        """Print a line of the table."""
        print(f"{what:<66}{value}", flush=True)

    def must(self, is_so: bool, problem: str) -> None:
        """Note a problem."""
        if not is_so:
            self.problems.append(problem)
            print(f"  PROBLEM: {problem}", flush=True)

    def calls(self, what: str, calls: Calls, *, may_fail: Iterable[str] = ()) -> None:
        """Look at calls: all but some must have gone well, and be heard whole."""
        lost = calls.failed & set(may_fail)
        count = len(calls.heard)
        self.saw(f"{what}: calls, of them lost", f"{count}, {len(lost)}")
        self.saw("  heard whole; at each pod", f"{calls.whole}; {dict(spread(calls))}")
        self.saw("  longest wait for an answer", seconds(max(calls.answer_seconds, default=None)))
        self.must(
            calls.outcome.failed <= len(lost), f"{what}: calls failed: {calls.failed - lost} {calls.outcome.failures}"
        )
        self.must(calls.whole >= count - len(lost), f"{what}: calls were not heard whole")


def spread(calls: Calls) -> Counter[str]:
    """Return how many calls each pod had."""
    return Counter(call.path.partition("pod=")[2] for call in calls.heard)


def seconds(value: float | None) -> str:
    """Say how long it took."""
    return "not in time" if value is None else f"{value:.2f} s"


async def two_and_three(cars: Cluster, found: Findings) -> None:
    """Let calls spread over two, then over three, of which one drains."""
    await asyncio.sleep(2 * BREATH)  # until Kamailio knows that the third is not there
    calls = await cars.call(20, seconds=2.0)
    found.calls("two sidecars", calls)
    found.must(set(spread(calls).values()) == {10}, "two sidecars: calls do not spread evenly")

    await cars.start("three")
    await asyncio.sleep(BREATH)  # Kamailio asks each second
    placing = asyncio.create_task(cars.call(60, seconds=5.0, rate=6.0))
    await asyncio.sleep(4.0)
    drained = cars.pods["one"]
    live, began = len(drained.streams), asyncio.get_running_loop().time()
    drained.serving.terminate()
    code = await drained.serving.exit_code(within=30.0)
    found.saw("one of three drains: live calls, exit code, ended after", f"{live}, {code}, {since(began)}")
    del cars.pods["one"]
    found.must(live > 0 and code == 0, "one of three drains: it had no calls, or did not end well")
    listed, _ = await cars.pods["two"].listed()
    found.must("one" not in listed.values(), "a sidecar that has ended is listed")
    calls = await placing
    found.calls("one of three drains", calls)
    found.must(len(spread(calls)) == 3, "three sidecars: one had no calls")


@dataclass(frozen=True, slots=True)
class Lost:
    """A pod that is no more."""

    what: str
    pod: Pod
    at: float
    calls: dict[str, str]  # by their streams


async def killed_and_cut(cars: Cluster, found: Findings) -> None:
    """Kill one; let it come again, and cut another off."""
    await cars.start("one")
    await asyncio.sleep(BREATH)
    async with AsyncExitStack() as stack:
        phones = [await stack.enter_async_context(cars.telephone()) for _ in PODS]
        telephones = {at_pod(cars, phone): phone for phone in phones}
        found.must(len(telephones) == len(PODS), "three telephones are not at three sidecars")
        live = asyncio.create_task(cars.call(6, seconds=38.0))
        await asyncio.sleep(BREATH)
        flow = asyncio.create_task(cars.call(150, seconds=2.0, rate=5.0))
        await asyncio.sleep(BREATH)
        killed = await lose(cars, found, "two", telephones["two"], is_cut=False)
        forgetting = asyncio.create_task(until_forgotten(cars, found, killed))
        await cars.start("two")
        cut = await lose(cars, found, "three", telephones["three"], is_cut=True)
        await asyncio.gather(forgetting, until_forgotten(cars, found, cut))
        may_fail = {*killed.calls.values(), *cut.calls.values()}
        found.calls("new calls meanwhile", await flow, may_fail=may_fail)
        found.calls("live calls meanwhile", await live, may_fail=may_fail)
        ended = [each for each in telephones["one"].events if each["type"] == "CALL_CLOSED"]
        found.must(not ended, "a telephone lost a sidecar that lives")
        found.must(
            await cars.seconds_until_right(within=BREATH) is not None, "the lists are not the survivors' streams"
        )
        await cut.pod.kill()
        cut.pod.host.mend()


async def lose(cars: Cluster, found: Findings, name: str, telephone: Baresip, *, is_cut: bool) -> Lost:
    """Kill a pod, or cut it off; wait until its telephone has noticed."""
    what = "cut off" if is_cut else "killed"
    pod, began = cars.pods.pop(name), asyncio.get_running_loop().time()
    calls = pod.streams
    if is_cut:
        pod.host.cut()
    else:
        await pod.kill()
    found.saw(f"one of three {what}: its live calls", len(calls))
    try:
        await telephone.closed(within=20.0)
        found.saw("  a telephone that hears nothing any more has ended after", since(began))
    except CallFailed as error:
        found.must(False, f"{what}: a telephone has not noticed: {error}")
    return Lost(what, pod, began, {**calls, **pod.streams})


async def until_forgotten(cars: Cluster, found: Findings, lost: Lost) -> None:
    """Wait until no pod lists the streams of one that is no more."""
    lists: list[dict[str, str]] = [lost.calls]
    while any(lost.calls.keys() & listed.keys() for listed in lists):
        await asyncio.sleep(0.1)
        with suppress(OSError):  # one that is asked may be cut off just then
            async with asyncio.timeout(MOST_ANSWER_SECONDS):
                lists = [(await pod.listed())[0] for pod in list(cars.pods.values())]
    took = asyncio.get_running_loop().time() - lost.at
    found.saw(f"one that was {lost.what} is in no list after", seconds(took))
    found.must(took < MOST_LISTED_SECONDS, f"one that was {lost.what} is listed for too long")


async def without_redis(cars: Cluster, found: Findings) -> None:
    """Take Redis away in all ways, while calls go on."""
    await cars.start("three")
    await asyncio.sleep(BREATH)
    redis, hosts = cars.redis, cars.network.hosts
    everyone = set(PODS)
    live = asyncio.create_task(cars.call(6, seconds=62.0))
    async with AsyncExitStack() as stack:
        for pod in cars.pods.values():
            listening = asyncio.create_task(pod.listen())
            stack.callback(listening.cancel)
        await asyncio.sleep(BREATH)  # until the live calls are up
        found.must(
            await cars.seconds_until_right(within=MOST_SECONDS) is not None, "the lists are not right to begin with"
        )
        found.must(await all_hear_of_all(cars, found, "with Redis"), "not all listeners hear of all streams")
        gone = pods_gone(cars)

        await redis.stop()
        await blind(cars, found, "Redis stopped", everyone, lasting=LEASE_SECONDS + BREATH)
        await redis.start()
        await right_again(cars, found, "Redis started")

        await redis.stop()
        redis.forget()
        await redis.start()
        await right_again(cars, found, "Redis restarted empty, at once")

        redis.pause()
        await blind(cars, found, "Redis paused (SIGSTOP)", everyone, lasting=6.0)
        redis.pause(going=True)
        await right_again(cars, found, "Redis goes on")

        cars.network.part(hosts["two"], hosts["redis"])
        await blind(cars, found, "one pod cut off from Redis alone", {"two"}, lasting=6.0)
        cars.network.part(hosts["two"], hosts["redis"], apart=False)
        await right_again(cars, found, "it reaches Redis again")
        found.must(pods_gone(cars) == gone, "a pod that lives was taken for dead")
    found.calls("live calls all the while", await live)


def pods_gone(cars: Cluster) -> int:
    """Return how often a pod was taken for dead."""
    return sum(len(pod.serving.logged("pod gone")) for pod in cars.pods.values())


async def blind(cars: Cluster, found: Findings, what: str, who: set[str], *, lasting: float) -> None:
    """See what pods say that do not reach Redis, and that calls do not mind; it takes so long in all."""
    loop = asyncio.get_running_loop()
    began, slowest = loop.time(), 0.0
    await asyncio.sleep(BREATH)
    for name, pod in cars.pods.items():
        asked = loop.time()
        listed, unseen = await pod.listed()
        slowest = max(slowest, loop.time() - asked)
        own = {stream: name for stream in pod.streams}
        wanted = own if name in who else cars.truth
        found.must(listed == wanted and bool(unseen) == (name in who), f"{what}: {name} lists {listed}, {unseen}")
    found.saw(f"{what}: a list took, at most", f"{slowest:.2f} s")
    before = cars.started
    found.calls(what, await cars.call(6, seconds=1.0))
    for name in who:
        wanted_events = {("start", stream) for stream, pod in (cars.started - before) if pod == name}
        found.must(
            wanted_events <= set(cars.pods[name].told), f"{what}: a listener of {name} has not heard of its streams"
        )
    await asyncio.sleep(began + lasting - loop.time())


async def right_again(cars: Cluster, found: Findings, what: str) -> None:
    """See how long it takes until all lists are right, and until events come to all."""
    began, missed = asyncio.get_running_loop().time(), {name: pod.missed for name, pod in cars.pods.items()}
    took = await cars.seconds_until_right(within=2 * MOST_SECONDS)
    found.saw(f"{what}: all lists are right after", seconds(took))
    found.must(took is not None and took <= MOST_SECONDS, f"{what}: the lists are not right in time")
    took = 0.0
    while not await all_hear_of_all(cars, found, what):
        took = asyncio.get_running_loop().time() - began
        if took > MOST_SECONDS:
            found.must(False, f"{what}: not all listeners hear of all streams")
            return
    found.saw("  listeners everywhere hear of calls that come after", seconds(took))
    deaf = [name for name, pod in cars.pods.items() if pod.missed == missed[name]]
    found.must(not deaf, f"{what}: listeners of {deaf} do not know that they have missed something")


async def all_hear_of_all(cars: Cluster, found: Findings, what: str) -> bool:
    """Place a call at each pod, and tell whether all hear of it."""
    before = cars.started
    found.calls(what, await cars.call(len(PODS), seconds=1.0))
    new = cars.started - before
    found.must({pod for _, pod in new} == set(PODS), f"{what}: not each pod had a call")
    wanted = {(kind, stream) for kind in ("start", "stop") for stream, _ in new}
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not all(wanted <= set(pod.told) for pod in cars.pods.values()):
        if loop.time() - began > MOST_HEARD_SECONDS:
            return False
        await asyncio.sleep(0.02)
    return True


def at_pod(cars: Cluster, telephone: Baresip) -> str:
    """Return where the call of a telephone is."""
    call = telephone.log.partition("Call-ID: ")[2].split()[0]
    return next(name for name, pod in cars.pods.items() if call in pod.streams.values())


def since(began: float) -> str:
    """Say how long ago that was."""
    return seconds(asyncio.get_running_loop().time() - began)


async def run() -> list[str]:
    """Do all of it; return what is wrong."""
    found = Findings()
    with stalls_beside() as stalls:
        await do(found)
    found.saw("this machine itself was late: times, at most", f"{len(stalls.lengths)}, {seconds(stalls.longest)}")
    return found.problems


async def do(found: Findings) -> None:
    """Do it in a cluster."""
    async with cluster() as cars:
        await two_and_three(cars, found)
        await killed_and_cut(cars, found)
        await without_redis(cars, found)


def main() -> int:
    """Exit with 1 if something is wrong."""
    if missing := [name for name in ("ip", "redis-server", "sipp", "baresip", PROGRAM) if shutil.which(name) is None]:
        print(f"this needs {', '.join(missing)}", file=sys.stderr)
        return 2
    try:
        problems = asyncio.run(run())
    except PermissionError as error:
        print(f"this needs root, for network namespaces: {error}", file=sys.stderr)
        return 2
    print("\n".join(problems) or "ok")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
