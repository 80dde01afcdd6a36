"""Echoes made by hand: each fault must be heard, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sidecar.core.listening import find_echoes, judge, level_dbfs, side_by_side, silences_ms
from sidecar.core.talker import Recording
from sidecar.sample import load_melody
from tests.support.tones import Pcm, make_silence, make_tone

FRAME = 160
SECONDS = 4
LEVEL_DB = 20 * np.log10(0.5)


def grid(frames: int) -> NDArray[np.float64]:
    """The times of frames that come every 20 ms."""
    return np.linspace(100.0, 100.0 + 0.020 * frames, frames, endpoint=False, dtype=np.float64)


def echoed(*, delay: float = 0.080, gain: float = 1.0) -> Recording:
    """The melody, then half a second of silence, and its echo after `delay` seconds, a multiple of 20 ms."""
    sent = np.concatenate([load_melody()[: SECONDS * 8000], make_silence(seconds=0.5, rate=8000)])
    frames = len(sent) // FRAME
    sent_at = grid(frames)
    late = round(delay * 50)
    heard = np.concatenate([np.zeros(late * FRAME, np.int16), (sent * gain).round().astype(np.int16)])[: len(sent)]
    return Recording(sent, sent_at, heard, sent_at.copy())


def with_hole(recording: Recording, *, at: float, seconds: float) -> Recording:
    """Put silence into the echo, and push back what follows, as a playout queue that runs dry does."""
    cut = round(at * 50) * FRAME
    heard = np.concatenate([recording.heard[:cut], make_silence(seconds=seconds, rate=8000), recording.heard[cut:]])
    return replace(recording, heard=heard[: len(recording.sent)])


def test_the_melody_has_no_hole_and_room_for_peaks() -> None:
    melody = load_melody()
    assert 7.5 <= len(melody) / 8000 <= 8.5
    assert max(silences_ms(melody), default=0.0) <= 30.0
    assert np.abs(melody.astype(int)).max() < 10 ** (-3 / 20) * 32767
    assert -25.0 < level_dbfs(melody) < -14.0


def test_the_level_of_a_sine_is_that_of_its_peak() -> None:
    assert level_dbfs(make_tone(400.0, level_dbfs=-12.0, seconds=1.0, rate=8000)) == pytest.approx(-12.0, abs=0.05)
    assert level_dbfs(make_silence(seconds=1.0, rate=8000)) == -200.0


def test_silences_are_those_between_sounds() -> None:
    sound, silence = make_tone(400.0, level_dbfs=-12.0, seconds=0.1, rate=8000), make_silence(seconds=0.05, rate=8000)
    assert silences_ms(np.concatenate([silence, sound, silence, sound, silence, silence])) == [50.0]
    assert silences_ms(silence) == []
    assert silences_ms(np.empty(0, np.int16)) == []


@pytest.mark.parametrize("delay", [0.0, 0.020, 0.080, 0.500, 1.500])
def test_a_faithful_echo_is_ok_and_its_delay_is_found(delay: float) -> None:
    heard = judge(echoed(delay=delay))
    found = heard.round_trip_ms
    assert found is not None
    assert (found.p50, found.p99) == pytest.approx((delay * 1000, delay * 1000))
    assert heard.gaps == 0
    if delay <= 0.5:  # what comes later is cut off by the end of the call
        assert heard.ok, heard.problems


def test_the_delay_of_every_window_is_found_though_it_changes() -> None:
    recording = with_hole(echoed(delay=0.060), at=2.0, seconds=0.100)
    echoes, looked_for = find_echoes(recording)
    assert len(echoes) >= 0.9 * looked_for
    delays = {round(echo.delay_ms) for echo in echoes if not 1700 <= echo.at_ms <= 2100}
    assert delays == {60, 160}


def test_the_packet_that_completes_a_window_counts() -> None:
    recording = echoed(delay=0.060)
    shift = np.concatenate([np.zeros(40, np.int16), recording.heard[:-40]])  # 5 ms: into the next frame
    heard = judge(replace(recording, heard=shift))
    assert heard.round_trip_ms is not None
    assert heard.round_trip_ms.p50 == pytest.approx(80.0)


@pytest.mark.parametrize("seconds", [0.020, 0.040, 0.300])
def test_a_hole_in_the_echo_is_heard(seconds: float) -> None:
    heard = judge(with_hole(echoed(), at=1.3, seconds=seconds))
    assert heard.gaps == 1
    assert heard.longest_gap_ms == pytest.approx(seconds * 1000, abs=10.0)
    assert not heard.ok


def test_a_hole_that_the_caller_itself_made_is_not_held_against_the_sidecar() -> None:
    recording = echoed()
    late = recording.sent_at.copy()
    late[60:65] = late[64]  # a stall of the caller: five frames at once
    heard = judge(with_hole(replace(recording, sent_at=late), at=1.3, seconds=0.080))
    assert heard.gaps == 0


def test_an_echo_at_another_level_is_not_ok() -> None:
    assert judge(echoed(gain=0.8)).ok
    heard = judge(echoed(gain=0.5))
    assert heard.problems == (f"the level changed by {LEVEL_DB:.1f} dB",)


def test_silence_and_other_sounds_are_no_echo() -> None:
    recording = echoed()
    noise: Pcm = np.random.default_rng(1).integers(-5000, 5000, len(recording.sent)).astype(np.int16)
    for heard in (np.zeros_like(recording.sent), noise):
        judged = judge(replace(recording, heard=heard))
        assert judged.round_trip_ms is None
        assert not judged.ok


def test_a_call_that_loses_frames_is_not_ok() -> None:
    recording = echoed()
    keep = round(0.9 * len(recording.heard_at))
    cut = replace(recording, heard=recording.heard[: keep * FRAME], heard_at=recording.heard_at[:keep])
    assert any("came back" in problem for problem in judge(cut).problems)
    assert any("came back" in problem for problem in judge(replace(recording, packets_lost=20)).problems)


def test_a_call_without_any_audio_is_judged_too() -> None:
    for recording in (Recording(), replace(echoed(), heard=np.empty(0, np.int16), heard_at=np.empty(0))):
        heard = judge(recording)
        assert not heard.ok
        assert heard.arrival_ms is None


def test_a_long_call_is_looked_at_in_500_places_at_most() -> None:
    frames = 6000
    sent = np.resize(load_melody(), frames * FRAME)
    _, looked_for = find_echoes(Recording(sent, grid(frames), np.empty(0, np.int16), np.empty(0)))
    assert 400 <= looked_for <= 501


def test_side_by_side_shows_the_delay() -> None:
    recording = replace(echoed(delay=0.0), heard_at=echoed().heard_at + 0.040)
    stereo = side_by_side(recording)
    np.testing.assert_array_equal(stereo[: len(recording.sent), 0], recording.sent)
    np.testing.assert_array_equal(stereo[320:, 1], recording.heard)
    assert side_by_side(Recording()).shape == (0, 2)
    silent = side_by_side(replace(recording, heard=np.empty(0, np.int16), heard_at=np.empty(0)))
    assert not silent[:, 1].any()
