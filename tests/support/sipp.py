"""Places many real calls with sipp 3.6.1, as a scenario file tells.

What sipp 3.6.1 does, and how that shows here:

* The values of its keys (`-key`) are taken as they are, line breaks included: so one key, `headers`, holds
  all the header lines that a call adds. A status and a regular expression cannot be keys: for these a
  scenario has `$names`, which are filled in from `values`. What many scenarios have in common is filled in
  likewise, from the files in `scenarios/parts`, each by its name without suffix; its own variables are `$$names`.
* A capture is looked for beside the scenario: so both are copied into the directory of the run.
* It binds two RTP ports, `media_port` and the next even one, and sends the RTP of all calls from a raw
  socket. Call n (from 1) offers port `media_port + 8 + 4 * (n - 1)`: nothing is bound there, so a test may
  be, and hear what the call hears.
* It sends every request to the target, whatever Route and Contact say: these are only written down.
* A 200 whose audio has port 0 ends the whole run, if the scenario plays a capture.
* It has no TLS.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import itertools
import re
import string
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Literal, get_args
from xml.sax.saxutils import escape

import pytest

from tests.support.capture import TimedPacket, write_capture
from tests.support.ports import LOOPBACK, free_port, is_taken, some_port
from tests.support.rtp_receiver import RtpReceiver

SCENARIOS = Path(__file__).parent.parent / "integration" / "scenarios"
PARTS = sorted((SCENARIOS / "parts").iterdir())
Transport = Literal["udp", "tcp"]
over_each_transport = pytest.mark.parametrize("transport", get_args(Transport))

TAKES_COPIES = ("-default_behaviors", "all,-abortunexp")
"""Arguments: a call goes on when something comes that the scenario does not wait for.

Else a copy of a message ends it, over TCP any, and over UDP one to which the scenario has not reacted.
"""

CALLS_WITH_MESSAGES = 50
BIND_ATTEMPTS = 4
END_SECONDS = 5.0

_PART = re.compile(r"(?<!\$)\$([a-z_]+)")
_PARTS_IN_PARTS = 3

# Each run offers ports of its own: where another call has its media, the product sends none. Nobody listens there.
_MEDIA_PORTS = itertools.cycle(SystemRandom().sample(range(20_000, 32_000, 400), k=30))

_FIRST_OFFERED = 8
_OFFERED_STEP = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """What sipp counted, and what it wrote down."""

    counters: Mapping[str, str]
    exit_code: int
    log: str

    @property
    def successful(self) -> int:
        return int(self.counters["SuccessfulCall"])

    @property
    def failed(self) -> int:
        """How many calls did not go as the scenario tells, or were still up when the time was over."""
        started = int(self.counters["OutgoingCall"]) + int(self.counters["IncomingCall"])
        return started - self.successful

    @property
    def response_seconds(self) -> float:
        """The mean time from a send to the receive that is marked with `rtd`."""
        hours, minutes, seconds, *micro = self.counters["ResponseTime1"].split(":")
        return int(hours) * 3600 + int(minutes) * 60 + int(seconds) + float(f"0.{micro[0] if micro else 0}")

    @property
    def retransmissions(self) -> int:
        """How often sipp had to send a message again."""
        return int(self.counters["Retransmissions"])

    @property
    def failures(self) -> dict[str, int]:
        """Why calls failed, such as {"UnexpectedMessage": 1}."""
        return {
            name.removeprefix("Failed"): int(count)
            for name, count in self.counters.items()
            if name.startswith("Failed") and name != "FailedCall" and int(count)
        }

    def assert_all_successful(self, calls: int = 1) -> None:
        assert (self.successful, self.failed) == (calls, 0), f"{self.failures}\n{self.log}"


async def run(
    scenario: str | Path,
    target: str,
    directory: Path,
    *,
    user: str = "service",
    headers: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
    packets: Sequence[TimedPacket] | None = None,
    calls: int = 1,
    rate: float = 10.0,
    seconds: float = 0.0,
    transport: Transport | Literal["tcp each"] = "udp",
    host: str = LOOPBACK,
    media_port: int | None = None,
    arguments: Sequence[str] = (),
    inside: Sequence[str] = (),
    within: float = 30.0,
) -> Outcome:
    """Run a scenario, one of ours by its name, against `target` (host:port), and say what came of it.

    `rate` is in new calls a second, `seconds` the length of the pauses of the scenario, `packets` what it
    plays, and `values` what replaces its `$names`. With "tcp each" every call has a connection of its own.
    After `within` seconds what is still up has failed. `inside` is the command that sipp is run by.
    """
    _write_directory(scenario, directory, values or {}, packets)
    of_the_run = [
        *("-t", {"udp": "u1", "tcp": "t1", "tcp each": "tn"}[transport], "-r", f"{rate:g}", "-s", user, "-i", host),
        *("-d", str(round(seconds * 1000)), *arguments),
    ]
    if transport == "tcp each":
        of_the_run += ["-max_socket", "1000"]  # else it wants more file descriptors than there are
    for _ in range(BIND_ATTEMPTS):
        (directory / "errors").unlink(missing_ok=True)
        options = _options(calls, free_port(), headers or {}, within=within)
        ports_of_media = ("-mp", str(media_port or next(_MEDIA_PORTS)))
        command = [*inside, "sipp", target, *options, *of_the_run, *ports_of_media]
        exit_code = await _finish(command, directory, within + END_SECONDS)
        if "Unable to bind" not in _read(directory / "errors") + _read(directory / "output"):
            break
        await asyncio.sleep(0.2)  # no call was placed: somebody else had a port
    return _outcome(directory, exit_code)


@contextlib.asynccontextmanager
async def telephone(
    scenario: str,
    directory: Path,
    *,
    headers: Mapping[str, str] | None = None,
    values: Mapping[str, str] | None = None,
    calls: int = 1,
    within: float = 30.0,
) -> AsyncIterator[str]:
    """Let sipp take calls over UDP, at the address that this gives; they must all go as the scenario tells."""
    _write_directory(scenario, directory, values or {}, None)
    port = free_port()
    command = ["sipp", *_options(calls, port, headers or {}, within=within), "-t", "u1"]
    running = asyncio.create_task(_finish(command, directory, within + END_SECONDS))
    try:
        while not is_taken(port) and not running.done():  # noqa: ASYNC110  it does not say when it is ready
            await asyncio.sleep(0.01)
        yield f"{LOOPBACK}:{port}"
        _outcome(directory, await running).assert_all_successful(calls)
    finally:
        running.cancel()
        await asyncio.wait([running])


def _options(calls: int, port: int, headers: Mapping[str, str], *, within: float) -> list[str]:
    options = [
        *("-sf", "scenario.xml", "-nostdin", "-i", LOOPBACK, "-mi", LOOPBACK, "-p", str(port), "-m", str(calls)),
        *("-key", "headers", "".join(f"\r\n{name}: {value}" for name, value in headers.items())),
        *("-trace_stat", "-stf", "statistics.csv", "-fd", "1", "-trace_err", "-error_file", "errors"),
        *("-timeout", f"{max(1, round(within))}s", "-timeout_error"),
    ]
    if calls <= CALLS_WITH_MESSAGES:
        options += ["-trace_msg", "-message_file", "messages", "-trace_logs", "-log_file", "logged"]
    return options


def _outcome(directory: Path, exit_code: int) -> Outcome:
    log = "\n".join(_read(directory / name) for name in ("output", "errors", "logged", "messages"))
    if "need to run as root?" in log:
        pytest.skip("sipp may not play captures: run as root, or setcap cap_net_raw+ep $(which sipp)")
    assert (directory / "statistics.csv").exists(), f"sipp did not start\n{log}"
    return Outcome(_last_counters(directory / "statistics.csv"), exit_code, log)


@contextlib.asynccontextmanager
async def listeners(calls: int = 1) -> AsyncIterator[tuple[int, list[RtpReceiver]]]:
    """Give a `media_port` for `run`, and for each of its calls what hears the audio that is sent to it."""
    stack, receivers = await _bind_receivers(calls)
    async with stack:
        yield receivers[0].port - _FIRST_OFFERED, receivers


async def _bind_receivers(calls: int) -> tuple[contextlib.AsyncExitStack, list[RtpReceiver]]:
    while True:
        async with contextlib.AsyncExitStack() as stack:
            receivers = []
            with contextlib.suppress(OSError):
                first = await stack.enter_async_context(RtpReceiver(port=some_port()))
                receivers.append(first)
                for index in range(1, calls):
                    receiver = RtpReceiver(port=first.port + _OFFERED_STEP * index)
                    receivers.append(await stack.enter_async_context(receiver))
                if not is_taken(first.port - _FIRST_OFFERED) and not is_taken(first.port - _FIRST_OFFERED + 2):
                    return stack.pop_all(), receivers  # sipp can have these two


def _write_directory(
    scenario: str | Path, directory: Path, values: Mapping[str, str], packets: Sequence[TimedPacket] | None
) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    path = SCENARIOS / f"{scenario}.xml" if isinstance(scenario, str) else scenario
    text = path.read_text()
    assert packets is not None or "capture.pcap" not in text, f"{path.name} plays packets: give it some"
    (directory / "scenario.xml").write_text(_filled_in(text, values))
    if packets is not None:
        write_capture(directory / "capture.pcap", packets)


def _filled_in(text: str, values: Mapping[str, str]) -> str:
    """Fill in the parts, which may hold other parts, then the values."""
    parts = {path.stem: path.read_text().strip() for path in PARTS}
    for _ in range(_PARTS_IN_PARTS):
        text = _PART.sub(lambda match: parts.get(match[1], match[0]), text)
    escaped = {name: escape(value, {'"': "&quot;"}) for name, value in values.items()}
    return string.Template(text).safe_substitute(escaped)


async def _finish(command: Sequence[str], directory: Path, within: float) -> int:
    with (directory / "output").open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=directory, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        return await asyncio.wait_for(process.wait(), within)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _last_counters(path: Path) -> dict[str, str]:
    """Take the cumulative counters, those marked (C), from the last row."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    return {name.removesuffix("(C)"): value for name, value in rows[-1].items() if name.endswith("(C)")}


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
