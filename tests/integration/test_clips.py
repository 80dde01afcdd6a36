"""Clips of every kind, good and bad, through the process that decodes them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import numpy as np
import pytest

from rtp import Codec
from rtp.g711 import encode_one
from sidecar.core.clip import ClipError, parse_stream_audio
from sidecar.io.clip_decoder import ClipDecoder
from tests.support.clips import encoded_file, opus_packets, stream_audio
from tests.support.tones import Pcm, find_tone, make_tone

TONE_HZ = 437.0


def tone(rate: int, seconds: float = 1.0) -> Pcm:
    return make_tone(TONE_HZ, level_dbfs=-12.0, seconds=seconds, rate=rate)


@asynccontextmanager
async def decoder(**bounds: Any) -> AsyncIterator[ClipDecoder]:
    async with ClipDecoder(**bounds) as decoder:
        yield decoder


async def decoded(decoder: ClipDecoder, data: dict[str, Any], *, rate: int = 16000, stream: str = "one") -> Pcm:
    pieces = [piece async for piece in decoder.decode(stream, parse_stream_audio(data), rate)]
    return np.frombuffer(b"".join(pieces), "<i2").astype(np.int16)


async def refusal(decoder: ClipDecoder, data: dict[str, Any]) -> str:
    with pytest.raises(ClipError) as caught:
        await decoded(decoder, data)
    return str(caught.value)


FILES = {
    "wav": ("wav", "wav", "pcm_s16le", 24000),
    "wav of 44.1 kHz": ("wav", "wav", "pcm_s16le", 44100),
    "wav of mu-law": ("wav", "wav", "pcm_mulaw", 8000),
    "mp3": ("mp3", "mp3", "libmp3lame", 24000),
    "ogg with opus": ("ogg", "ogg", "libopus", 48000),
    "ogg with flac": ("ogg", "ogg", "flac", 16000),
    "an ogg file that is called opus": ("opus", "ogg", "libopus", 48000),
}


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize(("kind", "container", "codec", "rate_in"), FILES.values(), ids=FILES)
async def test_a_file_is_heard(kind: str, container: str, codec: str, rate_in: int, rate: int) -> None:
    async with decoder() as clips:
        data = stream_audio(encoded_file(tone(rate_in), rate_in, container=container, codec=codec), kind)
        heard = await decoded(clips, data, rate=rate)
    assert len(heard) == pytest.approx(rate, abs=rate * 0.08)  # MP3 and Opus pad their ends
    middle = heard[rate // 4 : rate * 3 // 4]
    assert find_tone(middle, rate).frequency_hz == pytest.approx(TONE_HZ, abs=1.0)
    assert find_tone(middle, rate).level_dbfs == pytest.approx(-12.0, abs=1.0)


@pytest.mark.parametrize("rate_in", [8000, 16000, 24000, 32000, 48000, 64000])
async def test_raw_audio_of_every_rate(rate_in: int) -> None:
    async with decoder() as clips:
        heard = await decoded(clips, stream_audio(tone(rate_in).tobytes(), "raw", sampleRate=rate_in))
    assert len(heard) == pytest.approx(16000, abs=40)
    assert find_tone(heard[4000:12000], 16000).frequency_hz == pytest.approx(TONE_HZ, abs=1.0)


@pytest.mark.parametrize(("kind", "codec"), [("pcmu", Codec.PCMU), ("pcma", Codec.PCMA)])
async def test_g711(kind: str, codec: Codec) -> None:
    async with decoder() as clips:
        heard = await decoded(clips, stream_audio(encode_one(tone(8000), codec), kind), rate=8000)
    assert len(heard) == pytest.approx(8000, abs=16)
    assert find_tone(heard[2000:6000], 8000).frequency_hz == pytest.approx(TONE_HZ, abs=1.0)


async def test_pieces_of_one_sound_are_joined_without_a_click() -> None:
    """A resampler that starts anew with each piece would break the tone 50 times a second."""
    said = tone(24000)
    pieces = [said.tobytes()[at : at + 959] for at in range(0, 48000, 959)]  # odd: halves of samples, too
    async with decoder() as clips:
        heard = np.concatenate([await decoded(clips, stream_audio(each, "raw", sampleRate=24000)) for each in pieces])
        whole = await decoded(clips, stream_audio(said.tobytes(), "raw", sampleRate=24000), stream="two")
    assert len(heard) == pytest.approx(16000, abs=40)
    size = min(len(heard), len(whole))
    assert np.abs(heard[:size].astype(int) - whole[:size]).max() <= 1


async def test_packets_of_opus() -> None:
    async with decoder() as clips:
        parts = [await decoded(clips, stream_audio(each, "opus"), rate=8000) for each in opus_packets(tone(48000))]
    heard = np.concatenate(parts)
    assert find_tone(heard[2000:6000], 8000).frequency_hz == pytest.approx(TONE_HZ, abs=1.0)
    assert find_tone(heard[2000:6000], 8000).level_dbfs == pytest.approx(-12.0, abs=1.0)


async def test_both_channels_are_heard() -> None:
    async with decoder() as clips:
        data = encoded_file(tone(48000), 48000, container="ogg", codec="libopus", layout="stereo")
        heard = await decoded(clips, stream_audio(data, "ogg"))
    assert find_tone(heard[4000:12000], 16000).frequency_hz == pytest.approx(TONE_HZ, abs=1.0)


async def test_the_first_audio_comes_before_all_is_decoded() -> None:
    """Ten minutes of MP3: the beginning can be played while the rest is at work."""
    data = stream_audio(encoded_file(tone(24000, 600.0), 24000, container="mp3", codec="libmp3lame"), "mp3")
    async with decoder(most_seconds=700.0) as clips:
        await decoded(clips, stream_audio(bytes(320), "raw", sampleRate=8000))  # the process is up
        loop = asyncio.get_running_loop()
        times = [loop.time()]
        async for _ in clips.decode("one", parse_stream_audio(data), 8000):
            times.append(loop.time())
    assert len(times) > 1000
    assert times[1] - times[0] < (times[-1] - times[0]) / 4


# --- what is wrong


def wav_of(codec_tag: int, rate: int = 8000, channels: int = 1) -> bytes:
    header = struct.pack("<HHIIHH", codec_tag, channels, rate, rate * 2 * channels, 2 * channels, 16)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + 3200)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + header
        + (b"data" + struct.pack("<I", 3200) + bytes(3200))
    )


BAD = {
    "not base64": ({"audioDataType": "wav", "audioData": "!!!!"}, "not base64"),
    "noise for mp3": (stream_audio(np.random.default_rng(1).bytes(5000), "mp3"), "audioData: "),
    "noise for ogg": (stream_audio(np.random.default_rng(2).bytes(5000), "ogg"), "not ogg"),
    "noise for wav": (stream_audio(np.random.default_rng(3).bytes(5000), "wav"), "not wav"),
    "noise for opus": (stream_audio(b"\xff" * 5000, "opus"), "not opus"),
    "nothing but a header": (stream_audio(b"RIFF\0\0\0\0WAVE", "wav"), "audioData: "),
    "a codec that nobody needs": (stream_audio(wav_of(0x0002), "wav"), "is not taken"),
    "too many channels": (stream_audio(wav_of(1, channels=64), "wav"), "audioData: "),
    "a playlist": (stream_audio(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "mp3"), "audioData: "),
}


@pytest.mark.parametrize(("data", "why"), BAD.values(), ids=BAD)
async def test_a_bad_clip_is_refused_and_the_next_is_heard(data: dict[str, Any], why: str) -> None:
    async with decoder() as clips:
        if data["audioDataType"] == "mp3":  # frames are looked for in whatever comes: there may be none
            with contextlib.suppress(ClipError):
                assert len(await decoded(clips, data)) < 16000
        else:
            assert why in await refusal(clips, data)
            assert clips.refused == 1
        heard = await decoded(clips, stream_audio(tone(8000).tobytes(), "raw", sampleRate=8000))
        assert len(heard) > 15_000
        assert clips.restarts == 1


async def test_a_decompression_bomb_is_cut_off() -> None:
    """An hour of silence in FLAC is a few hundred KiB; slow samples make much of little, too."""
    hour = encoded_file(np.zeros(8000 * 3600, np.int16), 8000, container="ogg", codec="flac")
    async with decoder(most_seconds=60.0) as clips:
        assert "more than 60 s" in await refusal(clips, stream_audio(hour, "ogg"))
        assert "more than 60 s" in await refusal(clips, stream_audio(wav_of(1, rate=1), "wav"))
    async with decoder(most_seconds=7200.0, most_cpu_seconds=0.05) as clips:
        assert "takes more than 0.05 s" in await refusal(clips, stream_audio(hour, "ogg"))


async def test_a_decoder_that_is_killed_takes_one_clip_with_it() -> None:
    data = stream_audio(encoded_file(tone(24000, 300.0), 24000, container="mp3", codec="libmp3lame"), "mp3")
    async with decoder() as clips:
        await decoded(clips, stream_audio(bytes(320), "raw", sampleRate=8000))
        process = await clips._running()
        first = asyncio.create_task(refusal(clips, data))
        second = asyncio.create_task(decoded(clips, stream_audio(tone(8000).tobytes(), "raw", sampleRate=8000)))
        await asyncio.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        assert await first == "audioData: broke the decoder"
        assert len(await second) > 15_000
        assert clips.restarts == 2


async def test_a_decoder_that_hangs_is_replaced() -> None:
    async with decoder(silence=0.5) as clips:
        await decoded(clips, stream_audio(bytes(320), "raw", sampleRate=8000))
        process = await clips._running()
        os.kill(process.pid, signal.SIGSTOP)
        assert "too long" in await refusal(clips, stream_audio(bytes(320), "raw", sampleRate=8000))
    async with decoder() as clips:
        assert len(await decoded(clips, stream_audio(tone(8000).tobytes(), "raw", sampleRate=8000))) > 15_000


async def test_who_does_not_want_the_rest_gets_no_more() -> None:
    data = stream_audio(encoded_file(tone(24000, 300.0), 24000, container="mp3", codec="libmp3lame"), "mp3")
    async with decoder() as clips:
        async with aclosing(clips.decode("one", parse_stream_audio(data), 8000)) as pieces:
            async for _ in pieces:
                break
        assert len(await decoded(clips, stream_audio(tone(8000).tobytes(), "raw", sampleRate=8000))) > 15_000


async def test_only_so_many_clips_may_wait() -> None:
    async with decoder(most_waiting=2) as clips:
        short = stream_audio(bytes(320), "raw", sampleRate=8000)
        results = await asyncio.gather(*[decoded(clips, short) for _ in range(4)], return_exceptions=True)
    refused = [result for result in results if isinstance(result, ClipError)]
    assert [str(each) for each in refused] == ["too many clips wait to be decoded"]
