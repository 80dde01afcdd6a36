"""A FreeSWITCH as far as its event socket goes, built from what a FreeSWITCH 1.10.12 was seen to say and do.

It knows a few commands, and takes note of any other: `problems` must stay empty. A leg that it is asked for is a real
call over SIP and RTP, that says what `eavesdrop` would let it say; what comes back is noted for whoever would hear it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

import numpy as np

from rtp import Pcm
from sidecar.io.caller import CallPlan, CallResult, CallState, place_call
from sip import SipUri
from tests.support.ports import LOOPBACK

GOODBYE = "Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
MOST_SECONDS = 60.0

KNOWN_VARIABLES = frozenset(
    "origination_uuid origination_caller_id_name origination_caller_id_number absolute_codec_string originate_timeout "
    "media_timeout sip_contact_user eavesdrop_enable_dtmf eavesdrop_bridge_aleg eavesdrop_bridge_bleg "
    "eavesdrop_whisper_aleg eavesdrop_whisper_bleg sip_h_X-Sidecar-Ticket".split()
)

CAUSES = {400: "NORMAL_TEMPORARY_FAILURE", 403: "CALL_REJECTED", 488: "INCOMPATIBLE_DESTINATION"}
"""What FreeSWITCH makes of a refusal."""


@dataclass(slots=True)
class LiveCall:
    """A call that is up: two parties who each say something."""

    uuid: str
    says: Pcm  # int16[n] at 8 kHz
    hears: Pcm  # what the other party says
    application: str = "bridge"
    answer_state: str = "answered"
    heard: dict[str, list[Pcm]] = field(default_factory=lambda: {"caller": [], "callee": []})  # of the legs
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def dump(self) -> str:
        """Say it as `uuid_dump` does."""
        headers = {
            "Event-Name": "CHANNEL_DATA",
            "Channel-State": "CS_EXECUTE",
            "Channel-Name": f"sofia/internal/caller@{LOOPBACK}:37266",
            "Unique-ID": self.uuid,
            "Answer-State": self.answer_state,
            "Channel-Read-Codec-Name": "PCMU",
            "Channel-Read-Codec-Rate": "8000",
            "Caller-Caller-ID-Name": 'Ann: "A" O\'Hara',
            "variable_rtp_use_codec_ptime": "20",
            "variable_rtp_use_codec_channels": "1",
            "variable_current_application": self.application,
        }
        if self.application == "bridge":
            headers["Other-Leg-Unique-ID"] = "8be9c5fe-bca4-4dbb-9fc9-167f1f51c2e5"
        return "".join(f"{name}: {quote(value, safe='/@')}\n" for name, value in headers.items()) + "\n"


@dataclass(slots=True)
class Leg:
    """A leg that was asked for."""

    variables: Mapping[str, str]
    target: str
    result: CallResult | None = None
    killed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class FiredEvent:
    """An event that subscribers would get."""

    headers: Mapping[str, str]
    body: str


class ScriptedFreeSwitch:
    """The event socket, its calls, and what came of them."""

    def __init__(self, *, password: str = "ClueCon", has_lua: bool = True) -> None:
        self.password = password
        self.has_lua = has_lua
        self.port = 0
        self.calls: dict[str, LiveCall] = {}
        self.legs: dict[str, Leg] = {}
        self.fired: list[FiredEvent] = []
        self.lost: list[FiredEvent] = []  # queued to a live session, where nobody sees them
        self.scripts: list[str] = []  # of `api lua`
        self.logins = 0
        self.problems: list[str] = []
        self.answers: dict[str, str] = {}  # to commands of `api`, beside those it knows
        self.forbids_lua = False
        self.is_away = False
        self.calls_us = asyncio.Event()  # legs that are asked for do not call before
        self.calls_us.set()
        self.is_deaf = False  # commands are read, and not answered
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Condition()

    def begin(self, call: LiveCall) -> LiveCall:
        """Let a call be up."""
        self.calls[call.uuid] = call
        return call

    def end(self, call: LiveCall) -> None:
        """Let a call end, and with it the legs that listen to it."""
        del self.calls[call.uuid]
        call.ended.set()

    async def listen(self) -> None:
        """Take connections on a free port."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def go_away(self) -> None:
        """Drop all connections, and those that come, until `come_back`."""
        self.is_away = True
        for writer in self._writers:
            writer.transport.abort()

    def come_back(self) -> None:
        """Take connections again."""
        self.is_away = False

    async def close(self) -> None:
        """Stop."""
        self.go_away()
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def until_no_legs(self) -> None:
        """Wait until all legs have hung up."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def until_fired(self, count: int, *, within: float = 5.0) -> None:
        """Wait until so many events were fired, or lost."""
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(lambda: len(self.fired) + len(self.lost) + len(self.scripts) >= count)

    # --- the protocol

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if self.is_away:
            writer.transport.abort()
        try:
            writer.write(b"Content-Type: auth/request\n\n")
            line, _, _ = await _read_command(reader)
            if line != f"auth {self.password}":
                _reply(writer, "-ERR invalid")
                _send(writer, "text/disconnect-notice", GOODBYE)
                return
            self.logins += 1
            _reply(writer, "+OK accepted")
            while True:
                line, headers, body = await _read_command(reader)
                if not self.is_deaf:
                    await self._obey(writer, line, headers, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _obey(self, writer: asyncio.StreamWriter, line: str, headers: dict[str, str], body: str) -> None:
        verb, _, rest = line.partition(" ")
        if line == "event plain BACKGROUND_JOB":
            _reply(writer, "+OK event listener enabled plain")
        elif verb == "api":
            await self._api(writer, rest)
        elif verb == "bgapi" and rest.startswith("originate ") and "job-uuid" in headers:
            _reply(writer, f"+OK Job-UUID: {headers['job-uuid']}", f"Job-UUID: {headers['job-uuid']}\n")
            task = asyncio.create_task(self._originate(writer, rest, headers["job-uuid"]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif line == "sendevent CUSTOM":
            await self._fire(headers, body)
            _reply(writer, "+OK 0a8e1d1c-2b5e-4a5f-9a55-1e6a4d8b1f00")
        else:
            self.problems.append(line)
            _reply(writer, "-ERR command not found")

    async def _api(self, writer: asyncio.StreamWriter, command: str) -> None:
        verb, _, argument = command.partition(" ")
        if command in self.answers:
            answer = self.answers[command]
        elif verb == "uuid_dump":
            call = self.calls.get(argument)
            answer = "-ERR No such channel!\n" if call is None else call.dump()
        elif verb == "uuid_kill":
            leg = self.legs.get(argument)
            answer = "-ERR No such channel!\n"
            if leg is not None and (leg.result is None):
                leg.killed.set()
                answer = "+OK\n"
        elif verb == "uuid_exists":
            answer = str(argument in self.calls).lower()
        elif command == "echo ping":
            answer = "ping"
        elif command == "module_exists mod_lua":
            answer = str(self.has_lua).lower()
        elif verb == "lua" and self.forbids_lua:
            answer = "-ERR permission denied\n"
        elif verb == "lua" and argument.startswith("~") and self.has_lua:
            self.scripts.append(argument[1:])
            answer = "-ERR no reply\n"
            async with self._changed:
                self._changed.notify_all()
        else:
            self.problems.append(command)
            answer = f"-ERR {verb} Command not found!\n"
        _send(writer, "api/response", answer)

    async def _fire(self, headers: dict[str, str], body: str) -> None:
        """An event that names a live session by its very UUID goes to that session, and not to subscribers."""
        event = FiredEvent(headers, body)
        (self.lost if headers.get("unique-id") in self.calls else self.fired).append(event)
        async with self._changed:
            self._changed.notify_all()

    # --- legs

    async def _originate(self, writer: asyncio.StreamWriter, command: str, job: str) -> None:
        match = re.fullmatch(r"originate \{([^{}]*)\}sofia/external/(sip:\S+) &eavesdrop\((\S+)\)", command)
        variables = dict(each.split("=", 1) for each in match[1].split(",")) if match else {}
        if match is None or variables.keys() - KNOWN_VARIABLES:
            self.problems.append(command)
            return
        call = self.calls.get(match[3])
        if call is None:
            self.problems.append(f"a leg to {match[3]}, which is over")
            return
        leg = self.legs[variables["origination_uuid"]] = Leg(variables, match[2])
        await self.calls_us.wait()
        leg.result = await self._talk(writer, job, call, leg)
        if leg.result.answered:
            into = {"caller": "eavesdrop_whisper_bleg", "callee": "eavesdrop_whisper_aleg"}
            needs = {"caller": "eavesdrop_bridge_aleg", "callee": "eavesdrop_bridge_bleg"}  # of the other party: deaf
            for party, whisper in into.items():
                if whisper in variables and needs[party] not in variables:
                    call.heard[party].append(leg.result.recording.heard)
        else:
            self._job_done(writer, job, f"-ERR {CAUSES.get(leg.result.status, 'NORMAL_TEMPORARY_FAILURE')}\n")

    async def _talk(self, writer: asyncio.StreamWriter, job: str, call: LiveCall, leg: Leg) -> CallResult:
        answered = False

        def on_state(state: CallState) -> None:
            nonlocal answered
            if state.phase == "talking" and not answered:
                answered = True
                self._job_done(writer, job, f"+OK {leg.variables['origination_uuid']}\n")

        stopped = asyncio.Event()
        ends = [asyncio.create_task(each.wait()) for each in (call.ended, leg.killed)]
        for end in ends:
            end.add_done_callback(lambda _: stopped.set())
        headers = [
            (name.removeprefix("sip_h_"), value) for name, value in leg.variables.items() if name.startswith("sip_h_")
        ]
        plan = CallPlan(SipUri.parse(leg.target), _signal(call, leg), MOST_SECONDS, headers)
        try:
            return await place_call(plan, on_state=on_state, stopped=stopped)
        finally:
            for end in ends:
                end.cancel()

    def _job_done(self, writer: asyncio.StreamWriter, job: str, text: str) -> None:
        inner = f"Event-Name: BACKGROUND_JOB\nJob-UUID: {job}\nContent-Length: {len(text)}\n\n{text}"
        _send(writer, "text/event-plain", inner)


def _signal(call: LiveCall, leg: Leg) -> Pcm:
    """Return what `eavesdrop` lets a leg hear of a call."""
    if "eavesdrop_bridge_aleg" in leg.variables:
        return call.says
    if "eavesdrop_bridge_bleg" in leg.variables:
        return call.hears
    return (call.says.astype(np.int32) + call.hears).clip(-32768, 32767).astype(np.int16)


async def _read_command(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], str]:
    head = (await reader.readuntil(b"\n\n")).decode()
    line, *lines = head.removesuffix("\n\n").split("\n")
    headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return line, headers, body.decode()


def _reply(writer: asyncio.StreamWriter, text: str, headers: str = "") -> None:
    writer.write(f"Content-Type: command/reply\nReply-Text: {text}\n{headers}\n".encode())


def _send(writer: asyncio.StreamWriter, content_type: str, body: str) -> None:
    data = body.encode()
    writer.write(f"Content-Length: {len(data)}\nContent-Type: {content_type}\n\n".encode() + data)


@asynccontextmanager
async def scripted_freeswitch(*, password: str = "ClueCon", has_lua: bool = True) -> AsyncIterator[ScriptedFreeSwitch]:
    """Run one until the block ends; fail if it was asked for what it does not know."""
    peer = ScriptedFreeSwitch(password=password, has_lua=has_lua)
    await peer.listen()
    try:
        yield peer
    finally:
        for call in list(peer.calls.values()):
            peer.end(call)
        await peer.until_no_legs()
        await peer.close()
    assert not peer.problems
