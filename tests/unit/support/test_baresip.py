from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

import pytest

from tests.support.baresip import PCMA, PCMU, Baresip, CallFailed, Codec
from tests.support.ports import LOOPBACK, free_port
from tests.support.tones import Pcm, find_tone, gaps, make_tone, splices

pytestmark = pytest.mark.peer("baresip")


def tone_of(frequency_hz: float, *, seconds: float = 60.0) -> Pcm:
    return make_tone(frequency_hz, level_dbfs=-12.0, seconds=seconds, rate=8000)


def assert_is_tone(heard: tuple[Pcm, int], frequency_hz: float, *, seconds: float) -> None:
    pcm, rate = heard
    found = find_tone(pcm, rate)
    assert abs(found.frequency_hz - frequency_hz) < 1.0
    assert abs(found.level_dbfs + 12.0) < 0.5
    assert gaps(pcm, rate) == []
    assert splices(pcm, rate) == []
    assert len(pcm) / rate > seconds


@pytest.mark.parametrize("codec", [PCMU, PCMA])
async def test_each_of_two_callers_hears_the_tone_of_the_other_whole(codec: Codec, tmp_path: Path) -> None:
    bob = Baresip(tmp_path / "bob", says=tone_of(1010.0), codec=codec, user="bob", answers=True)
    alice = Baresip(tmp_path / "alice", says=tone_of(437.0), codec=codec)
    async with bob, alice:
        await alice.dial(bob.uri)
        await bob.established()
        await asyncio.sleep(1.5)
        await alice.hang_up()
        assert await bob.closed() == "Connection reset by peer"
    assert_is_tone(alice.heard, 1010.0, seconds=1.0)
    assert_is_tone(bob.heard, 437.0, seconds=1.0)
    assert f"a=rtpmap:{0 if codec is PCMU else 8} {codec.name.upper()}/8000" in alice.log


async def test_digits_headers_and_a_hold_reach_the_other_side(tmp_path: Path) -> None:
    bob = Baresip(tmp_path / "bob", says=tone_of(1010.0), user="bob", answers=True)
    headers = {"X-STREAM_URL": "ws://127.0.0.1:1/ws", "X-STREAM_MIX": "mono"}
    alice = Baresip(tmp_path / "alice", says=tone_of(437.0), headers=headers)
    async with bob, alice:
        await alice.dial(bob.uri)
        await bob.established()
        await alice.press("42#")
        await alice.hold()
        await asyncio.sleep(0.2)
        await alice.resume()
        await asyncio.sleep(0.2)
        await bob.hang_up()
        await alice.closed()
    assert bob.digits_heard == "42#"
    invites = re.findall(r"\nINVITE .*?\n\n", bob.log.replace("\r", ""), re.DOTALL)
    assert "X-STREAM_URL: ws://127.0.0.1:1/ws\nX-STREAM_MIX: mono\n" in invites[0]
    assert all("X-STREAM" not in invite for invite in invites[1:])
    assert "a=sendonly" in bob.log


async def test_a_call_that_nobody_takes_fails_with_the_reason(tmp_path: Path) -> None:
    async with Baresip(tmp_path, says=tone_of(437.0, seconds=0.1)) as alice:
        with pytest.raises(CallFailed, match=r"within 0\.3 s"):
            await alice.dial(f"sip:nobody@{LOOPBACK}:{free_port()}", within=0.3)


async def test_the_end_of_the_audio_file_ends_the_call(tmp_path: Path) -> None:
    bob = Baresip(tmp_path / "bob", says=tone_of(1010.0), user="bob", answers=True)
    alice = Baresip(tmp_path / "alice", says=tone_of(437.0, seconds=0.3), longest_call=0.3)
    async with bob, alice:
        await alice.dial(bob.uri)
        assert await alice.closed(within=2.0) == "end of file"


async def test_no_process_stays_behind_when_the_test_breaks_off(tmp_path: Path) -> None:
    alice = Baresip(tmp_path, says=tone_of(437.0, seconds=0.1))

    async def break_off() -> None:
        async with alice:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await break_off()
    with pytest.raises(ProcessLookupError):
        os.kill(alice.process_id, 0)
