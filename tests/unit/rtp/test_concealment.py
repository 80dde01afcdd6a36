"""A lost packet sounds like what was before it, goes on in its period, and fades."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtp import Pcm
from rtp.concealment import FADE_FROM_MS, FADE_TO_MS, HISTORY_MS, JOIN_MS, Concealment

RATES = [8000, 16000, 48000]


def voice(rate: int, *, hz: float, ms: int) -> Pcm:
    """Return a voiced sound: a tone with overtones."""
    at = np.arange(rate * ms // 1000) / rate
    return np.rint(sum(6000 / n * np.sin(2 * np.pi * n * hz * at) for n in range(1, 6))).astype(np.int16)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hz", [80.0, 123.0, 200.0, 310.0])
def test_a_voice_goes_on_as_it_would_have(rate: int, hz: float) -> None:
    whole = voice(rate, hz=hz, ms=HISTORY_MS + FADE_FROM_MS)
    said, expected = np.split(whole, [rate * HISTORY_MS // 1000])
    heard = Concealment(said, rate).take(len(expected))
    error = heard.astype(float) - expected
    assert np.mean(error**2) < np.mean(expected.astype(float) ** 2) / 10**1.5  # 15 dB


@pytest.mark.parametrize("rate", RATES)
def test_it_begins_where_the_sound_has_ended(rate: int) -> None:
    for ms in range(50, 60):
        said = voice(rate, hz=137.0, ms=ms)
        steps = np.abs(np.diff(said.astype(int)))
        assert abs(int(Concealment(said, rate).take(1)[0]) - int(said[-1])) <= 1.5 * steps.max()


@pytest.mark.parametrize("rate", RATES)
def test_it_fades_to_silence_and_stays_there(rate: int) -> None:
    heard = Concealment(voice(rate, hz=150.0, ms=HISTORY_MS), rate).take(rate // 5)
    blocks = heard[: rate * FADE_TO_MS // 1000].reshape(-1, rate // 100).astype(float)
    levels = np.sqrt(np.mean(blocks**2, axis=1))
    assert (np.diff(levels[FADE_FROM_MS // 10 :]) < 0).all()
    assert levels[-1] < 0.2 * levels[0]
    assert not heard[rate * FADE_TO_MS // 1000 :].any()


def test_it_is_audible_until_it_has_faded() -> None:
    concealment = Concealment(voice(8000, hz=150.0, ms=HISTORY_MS), 8000)
    concealment.take(8 * FADE_TO_MS - 1)
    assert concealment.is_audible
    concealment.take(1)
    assert not concealment.is_audible
    assert not Concealment(np.zeros(480, np.int16), 8000).is_audible


def test_what_comes_next_is_faded_in() -> None:
    said, samples = voice(8000, hz=150.0, ms=HISTORY_MS), 8 * JOIN_MS
    concealment, same = Concealment(said, 8000), Concealment(said, 8000)
    concealment.take(160)
    going_on = same.take(160 + samples)[160:].astype(float)
    following = np.full(160, 9000, np.int16)
    joined = concealment.join(following)
    assert (joined[samples:] == following[samples:]).all()
    weight = (np.arange(samples) + 1) / (samples + 1)
    assert (joined[:samples] == np.rint(weight * 9000 + (1 - weight) * going_on)).all()
    assert len(concealment.join(following[:5])) == 5


def test_noise_lies_beneath_it_and_stays() -> None:
    heard = Concealment(np.zeros(480, np.int16), 8000, noise_level=50.0).take(8000)
    assert np.sqrt(np.mean(heard.astype(float) ** 2)) == pytest.approx(50.0, rel=0.05)


@given(st.binary(max_size=960), st.lists(st.integers(0, 700), max_size=6), st.sampled_from(RATES))
def test_any_past_gives_as_much_as_is_asked_for_whatever_the_pieces(said: bytes, pieces: list[int], rate: int) -> None:
    past = np.frombuffer(said[: len(said) // 2 * 2], np.int16)
    concealment = Concealment(past, rate, noise_level=3.0)
    heard = [concealment.take(samples) for samples in pieces]
    assert [len(each) for each in heard] == pieces
    whole = Concealment(past, rate, noise_level=3.0).take(sum(pieces))
    assert np.concatenate([np.empty(0, np.int16), *heard]).tobytes() == whole.tobytes()
