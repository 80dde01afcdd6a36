"""Coders of one call: tones pass at their level, and what is broken is an error."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtp import Codec, Pcm, RtpError, prepare
from rtp.payload_coding import decode_rows, encode_rows, new_decoder, new_encoder
from tests.support.tones import find_tone, level_at, make_tone

ROW_CODECS = [codec for codec in Codec if not codec.has_memory]


def round_trip(codec: Codec, said: Pcm) -> Pcm:
    encoder, decoder = new_encoder(codec), new_decoder(codec)
    frames = said[: len(said) // codec.frame_samples * codec.frame_samples].reshape(-1, codec.frame_samples)
    return np.concatenate([decoder.decode(encoder.encode(frame)) for frame in frames])


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("hz", [300.0, 1004.0, 3400.0])
def test_a_tone_passes_at_its_pitch_and_level(codec: Codec, hz: float) -> None:
    heard = round_trip(codec, make_tone(hz, level_dbfs=-14.0, seconds=1.0, rate=codec.sample_rate))
    tone = find_tone(heard[codec.sample_rate // 4 :], codec.sample_rate)
    assert tone.frequency_hz == pytest.approx(hz, abs=1.0)
    assert tone.level_dbfs == pytest.approx(-14.0, abs=1.0 if codec is Codec.OPUS else 0.2)


@pytest.mark.parametrize(("codec", "hz", "least_db"), [(Codec.G722, 1000.0, 25.0), (Codec.G722, 6000.0, 15.0)])
def test_g722_has_the_quality_that_it_should(codec: Codec, hz: float, least_db: float) -> None:
    """Signal to noise, against what ITU-T G.722 gives for 64 kbit/s: about 40 dB in the lower band, 20 in the upper."""
    heard = round_trip(codec, make_tone(hz, level_dbfs=-14.0, seconds=1.0, rate=16000))[4000:].astype(float)
    at = np.arange(len(heard)) / 16000
    basis = np.stack([np.sin(2 * np.pi * hz * at), np.cos(2 * np.pi * hz * at)], axis=1)
    fitted = basis @ np.linalg.lstsq(basis, heard, rcond=None)[0]
    assert 10 * np.log10(np.mean(fitted**2) / np.mean((heard - fitted) ** 2)) > least_db


def test_opus_in_stereo_is_heard_in_mono() -> None:
    from av.audio.codeccontext import AudioCodecContext
    from av.audio.frame import AudioFrame
    from av.codec import CodecContext

    context = CodecContext.create("libopus", "w")
    assert isinstance(context, AudioCodecContext)
    context.sample_rate, context.layout, context.format = 48000, "stereo", "s16"
    left, right = (make_tone(hz, level_dbfs=-14.0, seconds=1.0, rate=48000) for hz in (500.0, 1500.0))
    interleaved = np.stack([left, right], axis=1).reshape(-1, 1920)
    decoder, heard = new_decoder(Codec.OPUS), []
    for part in interleaved:
        frame = AudioFrame.from_ndarray(part[None], format="s16", layout="stereo")
        frame.sample_rate = 48000
        heard += [decoder.decode(bytes(packet)) for packet in context.encode(frame)]
    pcm = np.concatenate(heard)
    assert len(pcm) >= 48 * 960
    for hz in (500.0, 1500.0):
        assert level_at(pcm[12000:], 48000, hz) == pytest.approx(-20.0, abs=1.5)


@pytest.mark.parametrize("codec", ROW_CODECS)
def test_many_calls_are_coded_as_each_alone(codec: Codec) -> None:
    pcm = np.random.default_rng(1).integers(-32768, 32768, (5, codec.frame_samples)).astype(np.int16)
    codecs = np.full(5, codec, np.uint8)
    payload = encode_rows(pcm, codecs, codec.frame_bytes)
    assert payload.shape == (5, codec.frame_bytes)
    decoded = decode_rows(payload, codecs)
    for row in range(5):
        assert payload[row].tobytes() == new_encoder(codec).encode(pcm[row])
        assert decoded[row].tobytes() == new_decoder(codec).decode(payload[row].tobytes()).tobytes()


def test_l16_is_in_network_order() -> None:
    """RFC 3551, section 4.5.11."""
    assert new_encoder(Codec.L16_8K).encode(np.array([1, -2], np.int16)) == b"\x00\x01\xff\xfe"
    with pytest.raises(RtpError, match="half a sample"):
        new_decoder(Codec.L16_8K).decode(b"\x00\x01\xff")


@given(st.sampled_from(Codec), st.lists(st.binary(min_size=1, max_size=300), max_size=5))
def test_any_payload_gives_samples_or_an_rtp_error(codec: Codec, payloads: list[bytes]) -> None:
    decoder = new_decoder(codec)
    for payload in payloads:
        try:
            pcm = decoder.decode(payload)
        except RtpError:
            continue
        assert pcm.dtype == np.int16
        assert len(pcm) <= 48000 * 120 // 1000
    for samples in (codec.frame_samples, codec.frame_samples // 2):
        stand_in = decoder.conceal(samples)
        assert stand_in is None or len(stand_in) == samples


def test_what_cannot_be_decoded_is_an_error() -> None:
    with pytest.raises(RtpError, match="opus"):
        new_decoder(Codec.OPUS).decode(b"\xff\xff")
    ended = new_decoder(Codec.G722)
    ended.decode(b"")  # no packet has such a payload: it ends the coder of FFmpeg
    with pytest.raises(RtpError, match=r"G\.722"):
        ended.decode(bytes(160))


def test_what_codecs_need_is_loaded_when_it_is_asked_for() -> None:
    prepare(Codec)
    program = "import sys, rtp; rtp.prepare([rtp.Codec.PCMU, rtp.Codec.L16_16K]); print('av' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True).stdout == "False\n"
    )
