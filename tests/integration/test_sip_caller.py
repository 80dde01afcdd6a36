"""`sidecar call` rings at a telephone that sipp plays: what it is told, it tells; its exit code says how it went."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support import sipp

pytestmark = pytest.mark.peer("sipp")


class Refusal(NamedTuple):
    """What a telephone answers, and what the caller is to say of it."""

    status: str
    headers: Mapping[str, str] = {}
    told: str = ""


REFUSALS = {
    "moved": Refusal("302 Moved Temporarily", {"Contact": "<sip:elsewhere@127.0.0.1:5099>"}),
    "unauthorized": Refusal("401 Unauthorized", {"WWW-Authenticate": 'Digest realm="x", nonce="1"'}),
    "not found": Refusal("404 Not Found"),
    "busy": Refusal("486 Busy Here", {"Reason": 'Q.850;cause=17;text="on the other line"'}, "on the other line"),
    "broken": Refusal("500 Server Internal Error"),
    "declined": Refusal("603 Decline"),
}


async def sidecar_call(address: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run `sidecar call`; return its exit code, what it printed, and what it complained of."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sidecar", "call", f"sip:telephone@{address}", "--json", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode or 0, json.loads(output), errors.decode()


async def test_each_refusal_is_told_with_its_reason_and_fails(tmp_path: Path) -> None:
    async def ring(name: str, refusal: Refusal) -> None:
        async with sipp.telephone(
            "telephone_refuses", tmp_path / name, values={"status": refusal.status}, headers=refusal.headers
        ) as address:
            exit_code, said, complaint = await sidecar_call(address)
        status, _, phrase = refusal.status.partition(" ")
        assert exit_code == 1
        assert (said["ok"], said["status"], said["hung_up_by"]) == (False, int(status), None)
        for told in (phrase, refusal.told):
            assert told in said["reason"]
            assert told in complaint
        assert status in complaint

    await asyncio.gather(*(ring(name, refusal) for name, refusal in REFUSALS.items()))


async def test_a_telephone_that_answers_is_talked_to_and_hung_up_on(tmp_path: Path) -> None:
    async with sipp.telephone("telephone_answers", tmp_path) as address:
        exit_code, said, complaint = await sidecar_call(address, "--seconds", "0.3")
    assert exit_code == 0, complaint
    assert (said["ok"], said["status"], said["hung_up_by"]) == (True, 200, "caller")


async def test_a_telephone_that_hangs_up_is_told_apart(tmp_path: Path) -> None:
    async with sipp.telephone("telephone_hangs_up", tmp_path) as address:
        exit_code, said, complaint = await sidecar_call(address, "--seconds", "5")
    assert exit_code == 0, complaint
    assert (said["ok"], said["status"], said["hung_up_by"]) == (True, 200, "callee")
