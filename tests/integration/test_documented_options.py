"""The tables of docs/websocket-protocol.md, row by row, on real calls with real bots."""

from __future__ import annotations

import ast
import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from sidecar.io.caller import CallPlan, CallResult, place_call
from sip import SipUri
from tests.integration.conftest import StartSidecar
from tests.support.baresip import Baresip
from tests.support.bots import Bot, BotCall
from tests.support.clips import encoded_file, stream_audio
from tests.support.sidecar import sidecar_under_test
from tests.support.tones import Pcm, find_tone, make_tone

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/websocket-protocol.md").read_text()
JSON = re.compile(r'`(\{"type":.+?\})`')
SAYS, ANSWERS = 437.0, 1130.0


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading."""
    below = PAGE[PAGE.index(f"\n{heading}\n") :]
    table = below[below.index("\n|") :].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in table.strip().splitlines()[2:]]


# --- option by option


@dataclass
class Seen:
    """What came of a call whose caller says a tone, and whose bot sends another, at 8 kHz, at once as it connects."""

    bot: BotCall
    call: CallResult
    logs: list[EventDict]

    @property
    def sizes(self) -> set[int]:
        return {len(message) for message in self.bot.binaries[:-1]}

    @property
    def first(self) -> Any:
        return json.loads(self.bot.texts[0])

    @property
    def played(self) -> Pcm:
        """What the caller heard of the bot."""
        heard = self.call.recording.heard
        loud = np.flatnonzero(np.abs(heard) > 1000)
        return heard[loud[0] : loud[-1]] if len(loud) else heard[:0]

    @property
    def stopped(self) -> Any:
        return next(log["body"] for log in self.logs if log["event"] == "stop")

    def hears(self) -> float:
        return find_tone(self.bot.heard[2400:], 8000).frequency_hz

    def starts_at(self) -> float:
        """Return when the bot was first heard, in seconds of what was heard."""
        return float(np.flatnonzero(np.abs(self.call.recording.heard) > 1000)[0]) / 8000


CHECKS: dict[str, Callable[[Seen], bool]] = {
    "MIX: stereo": lambda seen: seen.sizes == {640} and np.abs(seen.bot.heard[1::2]).max() > 1000,
    "MIX: callee": lambda seen: abs(seen.hears() - ANSWERS) < 5,
    "RATE": lambda seen: seen.sizes == {640},
    "BUFFER_SIZE": lambda seen: seen.sizes == {1600},
    "SAMPLE_RATE": lambda seen: (
        seen.sizes == {320} and abs(find_tone(seen.played[400:-400], 8000).frequency_hz - 2 * ANSWERS) < 5
    ),
    "METADATA": lambda seen: seen.bot.texts == ['{"tenant": 7}'] == [seen.bot.messages[0].data],
    "EXTRA_HEADERS": lambda seen: seen.bot.headers["X-Key"] == "a b",
    "MESSAGE_DEFLATE": lambda seen: "permessage-deflate" in seen.bot.headers["Sec-WebSocket-Extensions"],
    "PLAYBACK": lambda seen: not len(seen.played),
    "PLAYBACK_MAX": lambda seen: 0.5 < len(seen.played) / 8000 < 1.6 and seen.stopped["playback_refused_ms"] > 400,
    "PREROLL": lambda seen: len(seen.played) > 1000 and seen.starts_at() > 0.4,
    "ANSWER": lambda seen: seen.call.answered,
    "SUPPRESS_LOG": lambda seen: "json" not in [log["event"] for log in seen.logs],
    "CALL": lambda seen: {log["call"] for log in seen.logs if "call" in log} == {"3f1c0de5-6b0a"},
    "EVENTS": lambda seen: seen.first["type"] == "call" and seen.first["data"]["event"] == "start",
}


async def call_with(name: str, value: str) -> Seen:
    says = make_tone(SAYS, level_dbfs=-12.0, seconds=3.0, rate=8000)
    seconds = 0.2 if name == "PREROLL" else 2.0
    answer = make_tone(ANSWERS, level_dbfs=-12.0, seconds=seconds, rate=8000).astype("<i2").tobytes()
    with capture_logs() as logs:
        async with Bot() as bot, sidecar_under_test(stream={"preroll": "0"}) as car:
            headers = [("X-STREAM_URL", bot.url), (f"X-STREAM_{name}", value)]
            plan = CallPlan(SipUri.parse(car.uri()), says, 2.5, headers=headers)
            call = asyncio.create_task(place_call(plan))
            await bot.connected()
            await bot.send(answer)
            await bot.send("said")
            result = await call
            await bot.closed()
            await car.until_no_calls()
    return Seen(bot.call, result, logs)


OPTIONS = [(*re.findall(r"`X-STREAM_(\w+): (.+)`", example)[0], row) for example, *row in rows("### Option by option")]


@pytest.mark.parametrize(("name", "value", "row"), OPTIONS, ids=[f"{name}={value}" for name, value, _ in OPTIONS])
async def test_an_option_does_what_its_row_says(name: str, value: str, row: list[str]) -> None:
    seen = await call_with(name, value)
    assert CHECKS.get(f"{name}: {value}", CHECKS.get(name, lambda _: False))(seen)
    for example in JSON.findall(row[0]):
        assert shape(seen.first) == shape(json.loads(example))


# --- what bots send


def shape(message: Any) -> Any:
    """Return a message without what differs from call to call."""
    if not isinstance(message, dict):
        return type(message)
    return {key: value if key in ("type", "event", "name") else shape(value) for key, value in message.items()}


TONE = make_tone(ANSWERS, level_dbfs=-12.0, seconds=0.1, rate=24000)
MP3 = stream_audio(encoded_file(TONE, 24000, container="mp3", codec="libmp3lame"), "mp3")["audioData"]


def examples() -> list[tuple[str, list[str]]]:
    """Return each message that a bot may send, and the answers that its row shows."""
    found = []
    for sent, *_, answers, _ in rows("## From the bot"):
        for message in JSON.findall(sent):
            found.append((message, JSON.findall(answers)))
    return found


@pytest.mark.parametrize(("sent", "answers"), examples(), ids=[json.loads(sent)["type"] for sent, _ in examples()])
async def test_a_message_is_answered_as_its_row_says(sent: str, answers: list[str]) -> None:
    kind = json.loads(sent)["type"]
    early = {"answer": "early"} if kind == "answer" else {}
    with capture_logs() as logs:
        async with Bot() as bot, sidecar_under_test(stream={"url": bot.url, **early}) as car:
            call = asyncio.create_task(place_call(CallPlan(SipUri.parse(car.uri()), np.zeros(0, np.int16), 1.2)))
            await bot.connected()
            if not early:
                await bot.received(5)
            await bot.send(sent.replace("<base64>", MP3))
            await call
            await bot.closed()
            await car.until_no_calls()
    got = [json.loads(text) for text in bot.call.texts]
    assert json.loads(next(log["body"] for log in logs if log["event"] == "json"))["type"] == kind
    wanted = [json.loads(answer) for answer in answers if "cleared" not in answer or kind in ("clear", "killAudio")]
    if kind in ("pause", "resume"):  # one row for both
        wanted[0]["type"] = kind
    if kind == "transfer":  # our caller does as it is told by nobody
        wanted[0]["data"]["ok"] = False
    assert [shape(each) for each in got if each["type"] != "mark" or kind == "mark"] == [shape(each) for each in wanted]


# --- what bots are told unasked


@pytest.mark.peer("baresip")
async def test_digits_and_hold_are_told(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    quiet = make_tone(SAYS, level_dbfs=-14.0, seconds=8.0, rate=8000)
    async with Bot() as bot, start_sidecar(stream={"url": bot.url, "events": "dtmf,call"}) as car:
        async with Baresip(tmp_path, says=quiet) as caller:
            await caller.dial(car.uri())
            await bot.received(10)
            await caller.press("5")
            await asyncio.sleep(0.5)
            await caller.hold()
            await asyncio.sleep(0.5)
            await caller.resume()
            await asyncio.sleep(0.5)
            await caller.hang_up()
        await bot.closed()
    told = [json.loads(text) for text in bot.call.texts]
    assert [each["data"].get("event", each["type"]) for each in told] == ["start", "answered", "dtmf", "hold", "unhold"]
    shown = [json.loads(each) for row in rows("## What a bot is told unasked") for each in JSON.findall(row[1])]
    assert all(shape(each) in [shape(example) for example in shown] for each in told)


# --- the names of tests


def test_each_row_of_a_table_with_tests_names_one() -> None:
    for table in re.findall(r"(?:^\|.+\n)+", PAGE, re.M):
        head, _, *lines = table.splitlines()
        if "shown by" in head:
            assert [line for line in lines if not re.search(r"`test_\w+(\.py)?`", line.rpartition(" | ")[2])] == []


def test_each_test_that_a_table_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    files = set(re.findall(r"`(test_\w+\.py)`", PAGE))
    defined = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert len(named) > 30
    assert named <= defined
    assert files <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}
