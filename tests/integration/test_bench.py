"""The bench: its own callers, bots and floor around a sidecar of its own."""

from __future__ import annotations

import asyncio
import json
import shutil

import pytest

from tests.integration.test_cli import run

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


@needs_compiler
async def test_the_bench_prints_one_object() -> None:
    result = await run("bench", "--calls", "10", "--seconds", "3", "--json", environment={"SIDECAR_SIP__PORT": "5070"})
    assert result.code == 0, result
    told = json.loads(result.output)
    assert list(told) == [
        "calls",
        "seconds",
        "mix",
        "rate",
        "ptime_ms",
        "rtp_mode",
        "tls",
        "deflate",
        "cpu_us_per_frame",
        "cores",
        "floor_us_per_frame",
        "ratio_to_floor",
        "uplink_ms",
        "gap_ms",
        "lost_frames",
        "rss_kib_per_call",
        "workers",
    ]
    assert (told["calls"], told["seconds"], told["mix"], told["rate"]) == (10, 3.0, "mono", 16000)
    assert 1 < told["floor_us_per_frame"] < told["cpu_us_per_frame"] < 10_000
    assert told["ratio_to_floor"] == pytest.approx(told["cpu_us_per_frame"] / told["floor_us_per_frame"], rel=0.01)
    assert 0 < told["uplink_ms"]["p50"] <= told["uplink_ms"]["p99"] < 1000
    assert 15 < told["gap_ms"]["p50"] <= told["gap_ms"]["p99"] < 1000
    assert 0 <= told["lost_frames"] < 1000
    assert told["rss_kib_per_call"] > 0
    assert told["workers"] >= 1


@needs_compiler
@pytest.mark.parametrize(
    "options",
    [
        ("--tls", "--deflate", "--ptime", "10"),
        ("--rtp-mode", "ports", "--ptime", "30"),
    ],
    ids=" ".join,
)
async def test_what_is_encrypted_compressed_or_cut_otherwise_is_heard_too(options: tuple[str, ...]) -> None:
    result = await run("bench", "--calls", "2", "--seconds", "1", "--json", *options)
    assert result.code == 0, result
    told = json.loads(result.output)
    used = [name for name in ("tls", "deflate") if told[name]]
    assert [f"--{name}" for name in used] == [option for option in options if option in ("--tls", "--deflate")]
    assert str(told["ptime_ms"]) in options
    assert told["rtp_mode"] in ("one", *options)
    assert told["uplink_ms"]["p50"] > 0, "the bots know the frames"
    assert told["gap_ms"]["p99"] < 1000
    assert told["lost_frames"] < 50
    assert "all the way" not in result.errors
    assert told["workers"] == 1


@needs_compiler
@pytest.mark.parametrize("mix", ["stereo", "mixed"])
async def test_paired_voices_are_heard_in_the_bench_too(mix: str) -> None:
    result = await run("bench", "--calls", "2", "--seconds", "1", "--mix", mix, "--rate", "8k")
    assert result.code == 0, result
    for words in ("CPU of a frame", "ratio to floor", "2, ", mix, "8000 Hz", "KiB"):
        assert words in result.output
    assert "do not hear" not in result.output


async def test_a_bench_without_compiler_says_what_is_missing() -> None:
    result = await run("bench", "--calls", "1", "--seconds", "1", environment={"CC": "/nowhere/cc"})
    assert result.code == 1
    assert "/nowhere/cc" in result.errors
    assert "Traceback" not in result.errors


async def test_a_bench_of_what_does_not_exist_is_wrong_use() -> None:
    wrong = {"--mix": "none", "--rate": "11k", "--calls": "0", "--ptime": "25", "--rtp-mode": "two"}
    results = await asyncio.gather(*(run("bench", option, value) for option, value in wrong.items()))
    for option, result in zip(wrong, results, strict=True):
        assert result.code == 2, result
        assert option in result.errors
