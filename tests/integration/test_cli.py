"""The command line as a shell meets it: what it prints where, and its exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from sidecar import __version__
from sidecar.sample import load_melody
from sip import EndCause
from tests.support.echo_telephone import Behaviour, echo_telephone
from tests.support.ports import LOOPBACK, free_port
from tests.support.tones import find_tone, make_tone, read_wav, write_wav


@dataclass(frozen=True, slots=True)
class Run:
    code: int
    output: str
    errors: str


async def start(
    *arguments: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sidecar",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "COLUMNS": "200", **(environment or {})},
    )


async def run(*arguments: str, cwd: Path | None = None, environment: Mapping[str, str] | None = None) -> Run:
    process = await start(*arguments, cwd=cwd, environment=environment)
    output, errors = await process.communicate()
    assert process.returncode is not None
    return Run(process.returncode, output.decode(), errors.decode())


async def test_help_and_version() -> None:
    helped, version = await asyncio.gather(run("--help"), run("--version"))
    assert helped.code == version.code == 0
    for command in ("serve", "doctor", "freeswitch", "demo", "echo", "call", "bench"):
        assert command in helped.output
    assert version.output.strip() == __version__


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("nonsense",), "nonsense"),
        (("call",), "SIP-URI"),
        (("call", "127.0.0.1:5070"), "SIP-URI"),
        (("call", "sip:a@127.0.0.1;transport=sctp"), "SIP-URI"),
        (("call", "sips:a@127.0.0.1", "--ca", "/no/such.pem"), "--ca"),
        (("call", "sip:a@127.0.0.1", "--play", "missing.wav"), "--play"),
        (("call", "sip:a@127.0.0.1", "--record", "missing/x.wav"), "--record"),
        (("call", "sip:a@127.0.0.1", "--header", "no colon"), "--header"),
        (("call", "sip:a@127.0.0.1", "--header", "X: a\r\nY: b"), "--header"),
        (("call", "sip:a@127.0.0.1", "--header", "Call-ID: mine"), "--header"),
        (("call", "sip:a@127.0.0.1", "--header", "i: mine"), "--header"),
        (("call", "sip:a@127.0.0.1", "--header", "L: 0"), "--header"),
        (("call", "sip:a@127.0.0.1", "--seconds", "0"), "--seconds"),
        (("demo", "--output", "missing/x.wav"), "--output"),
        (("demo", "--seconds", "soon"), "--seconds"),
        (("echo", "--port", "70000"), "--port"),
        (("serve", "--config", "missing.toml"), "missing.toml"),
        (("doctor", "--config", "missing.toml"), "missing.toml"),
    ],
)
async def test_wrong_use_is_2_and_names_the_argument(arguments: tuple[str, ...], named: str, tmp_path: Path) -> None:
    result = await run(*arguments, cwd=tmp_path)
    assert result.code == 2, result
    assert named in result.errors
    assert "Traceback" not in result.errors
    assert result.output == ""


async def test_a_doctor_that_finds_nothing_that_fails() -> None:
    ports = {"SIDECAR_SIP__PORT": "0", "SIDECAR_RTP__PORT": "0", "SIDECAR_API__PORT": "0"}
    as_text, as_json = await asyncio.gather(
        run("doctor", environment=ports), run("doctor", "--json", environment=ports)
    )
    assert as_text.code == as_json.code == 0, as_text
    told = json.loads(as_json.output)
    assert told["ok"] is True
    lines = as_text.output.splitlines()
    assert [line.split()[0] for line in lines] == [each["verdict"] for each in told["checks"]]
    assert lines[0].split() == ["ok", "settings", "the", "environment:", "valid"]


async def test_a_call_says_a_file_and_records_what_it_hears(tmp_path: Path) -> None:
    write_wav(tmp_path / "say.wav", make_tone(437.0, level_dbfs=-12.0, seconds=0.5, rate=16000), 16000)
    async with echo_telephone() as telephone:
        result = await run(
            *("call", str(telephone.uri), "--play", "say.wav", "--record", "heard.wav", "--json", "--codec", "pcma"),
            *("--header", "X-STREAM_URL: ws://bot:8080/", "--header", "X-Empty:", "--seconds", "1"),
            cwd=tmp_path,
        )
    assert result.code == 0, result
    told = json.loads(result.output)
    assert told["ok"] is True
    assert (told["status"], told["hung_up_by"], told["recording"]) == (200, "caller", "heard.wav")
    assert told["frames_sent"] <= 50
    invite = telephone.invites[0]
    assert invite.headers.get("X-STREAM_URL") == "ws://bot:8080/"
    assert invite.headers.get("X-Empty") == ""
    heard, rate = read_wav(tmp_path / "heard.wav")
    assert rate == 8000
    assert find_tone(heard[:3200], rate).frequency_hz == pytest.approx(437.0, abs=1.0)


async def test_without_a_file_a_call_says_the_melody() -> None:
    async with echo_telephone(Behaviour(hang_up_after=50)) as telephone:
        result = await run("call", str(telephone.uri))
    assert result.code == 0, result
    assert "hung up by      callee" in result.output
    assert "level" in result.output
    assert len(load_melody()) > 50 * 160


@pytest.mark.parametrize("as_json", [True, False])
async def test_a_call_that_is_refused_is_1_and_says_why(as_json: bool) -> None:
    async with echo_telephone(Behaviour(status=486)) as telephone:
        result = await run("call", str(telephone.uri), *(["--json"] if as_json else []))
    assert result.code == 1
    assert "486 Busy Here" in result.errors
    if as_json:
        told = json.loads(result.output)
        assert (told["ok"], told["status"], told["reason"]) == (False, 486, "Busy Here")
        assert told["round_trip_ms"] == {"p50": None, "p99": None}
    else:
        assert result.output == ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_call_that_is_stopped_says_bye_and_tells_what_it_heard(number: signal.Signals, tmp_path: Path) -> None:
    async with echo_telephone() as telephone:
        process = await start(
            *("call", str(telephone.uri), "--json", "--seconds", "60", "--record", "heard.wav"), cwd=tmp_path
        )
        while len(telephone.packets) < 25:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        process.send_signal(number)
        output, errors = await asyncio.wait_for(process.communicate(), 10.0)
    assert process.returncode == 1
    assert [ended.cause for ended in telephone.ended] == [EndCause.REMOTE_BYE]
    assert b"stopped" in errors
    assert b"Traceback" not in errors
    told = json.loads(output)
    assert (told["ok"], told["status"], told["hung_up_by"]) == (False, 200, "caller")
    assert told["frames_received"] >= 10
    assert read_wav(tmp_path / "heard.wav")[0].any()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_echo_bot_runs_until_it_is_told_to_stop(number: signal.Signals) -> None:
    process = await start("echo", "--port", "0")
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode()
    assert "ws://127.0.0.1:" in line
    port = line.strip().rpartition(":")[2]
    second = await run("echo", "--port", port)
    assert second.code == 1
    assert port in second.errors
    process.send_signal(number)
    await process.communicate()
    assert process.returncode == 0


async def test_serve_says_that_the_rtp_port_is_taken() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((LOOPBACK, 0))
        port = taken.getsockname()[1]
        result = await run(
            "serve", environment={"SIDECAR_SIP__PORT": "0", "SIDECAR_RTP__PORT": str(port), "SIDECAR_API__PORT": "0"}
        )
    assert result.code == 1, result
    assert f"cannot listen: RTP on {LOOPBACK}:{port}: Address already in use" in result.errors
    assert "SIP" not in result.errors


async def test_serve_says_that_the_rest_port_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        ports = {"SIDECAR_SIP__PORT": "0", "SIDECAR_RTP__PORT": "0", "SIDECAR_API__PORT": str(taken.getsockname()[1])}
        result = await run("serve", environment=ports)
    assert result.code == 1, result
    assert f"cannot listen: REST on {LOOPBACK}:{ports['SIDECAR_API__PORT']}: Address already in use" in result.errors


async def test_serve_is_not_open_to_others_without_a_token() -> None:
    result = await run("serve", environment={"SIDECAR_API__HOST": "0.0.0.0"})
    assert result.code == 2, result
    assert "api: host is 0.0.0.0, which others reach: that needs a token (api.tokens)" in result.errors


async def test_serve_refuses_a_name_for_an_address() -> None:
    result = await run("serve", environment={"SIDECAR_SIP__HOST": "localhost"})
    assert result.code == 2, result
    assert "sip.host: " in result.errors
    assert "Traceback" not in result.errors


async def test_serve_and_echo_and_call_work_together(tmp_path: Path) -> None:
    sip_port, bot_port = free_port(), free_port()
    bot = await start("echo", "--port", str(bot_port))
    environment = {"SIDECAR_SIP__PORT": str(sip_port), "SIDECAR_RTP__PORT": "0", "SIDECAR_API__PORT": "0"}
    server = await start("serve", environment=environment)
    assert bot.stdout is not None
    assert server.stderr is not None
    await bot.stdout.readline()
    assert b"ready" in await server.stderr.readline()
    taken = await run("serve", environment=environment)
    assert taken.code == 1, taken
    assert f"SIP on 127.0.0.1:{sip_port}: Address already in use" in taken.errors
    assert "RTP" not in taken.errors
    called = await run(
        *("call", f"sip:bot@127.0.0.1:{sip_port}", "--header", f"X-STREAM_URL: ws://127.0.0.1:{bot_port}/"),
        *("--seconds", "1.5", "--record", "heard.wav", "--json"),
        cwd=tmp_path,
    )
    assert called.code == 0, called
    assert json.loads(called.output)["round_trip_ms"]["p50"] < 1000
    assert np.abs(read_wav(tmp_path / "heard.wav")[0]).max() > 3000
    without_url = await run("call", f"sip:bot@127.0.0.1:{sip_port}", "--json")
    assert without_url.code == 1
    assert json.loads(without_url.output)["status"] == 400
    for process in (bot, server):
        process.terminate()
        await process.communicate()
        assert process.returncode == 0
