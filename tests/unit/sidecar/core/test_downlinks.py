"""The way down of calls whose bots change their minds: rates, engines, and what is told of them."""

from __future__ import annotations

import numpy as np
import pytest

from rtp import Pcm
from sidecar.core.downlinks import Downlinks, Played
from sidecar.core.playback_events import ChunkPlayed, MarkAnswered, QueueCompleted
from tests.support.tones import find_tone, make_tone

ROW = 3
HZ = 437.0


def new_downlinks(*, rate: int = 8000, seconds: float = 10.0) -> Downlinks:
    downlinks = Downlinks(8)
    downlinks.open(ROW, rate, 8000, preroll_ms=0, playout_seconds=seconds)
    return downlinks


def tone(rate: int, seconds: float = 1.0) -> bytes:
    return make_tone(HZ, level_dbfs=-12.0, seconds=seconds, rate=rate).astype("<i2").tobytes()


def heard(downlinks: Downlinks, frames: int, *, now: float = 0.0) -> Pcm:
    """Play so many frames, at the rate of the wire."""
    pcm = []
    for number in range(frames):
        ((played, _),) = downlinks.frames(np.array([ROW]), now=now + number * 0.02)
        pcm.append(played.pcm[0])
    return np.concatenate(pcm)


def test_a_rate_that_changes_while_nothing_is_queued_is_that_of_the_queue() -> None:
    downlinks = new_downlinks()
    downlinks.change_rate(ROW, 24000, now=0.0)
    assert downlinks.rate(ROW) == 24000
    assert downlinks.takes_frames(ROW)
    downlinks.play(ROW, tone(24000), now=0.0)
    assert find_tone(heard(downlinks, 50)[400:], 8000).frequency_hz == pytest.approx(HZ, abs=1.0)
    assert downlinks.totals(ROW) == Played(1000, 0, 0)


def test_a_rate_that_changes_in_mid_stream_is_heard_without_a_break() -> None:
    whole = make_tone(HZ, level_dbfs=-12.0, seconds=2.0, rate=48000)
    downlinks = new_downlinks(rate=8000)
    downlinks.play(ROW, whole[:48000:6].astype("<i2").tobytes(), now=0.0)
    downlinks.change_rate(ROW, 24000, now=0.0)
    assert not downlinks.takes_frames(ROW)
    data = whole[48000::2].astype("<i2").tobytes()
    for at in range(0, len(data), 999):
        downlinks.play(ROW, data[at : at + 999 // 2 * 2 + 1], now=0.0)
    assert downlinks.rate(ROW) == 8000
    pcm = heard(downlinks, 99)
    assert find_tone(pcm[:8000], 8000).frequency_hz == pytest.approx(HZ, abs=1.0)
    assert find_tone(pcm[8200:], 8000).frequency_hz == pytest.approx(HZ, abs=1.0)
    heard(downlinks, 3)
    assert not downlinks.has_audio(ROW)
    downlinks.play(ROW, tone(24000, 0.1), now=2.1)  # only now, as nothing is queued
    assert downlinks.rate(ROW) == 24000
    assert downlinks.takes_frames(ROW)


def test_a_rate_that_changes_back_and_what_is_not_a_frame_yet() -> None:
    downlinks = new_downlinks()
    downlinks.play(ROW, bytes(320), now=0.0)
    downlinks.change_rate(ROW, 16000, now=0.0)
    downlinks.play(ROW, bytes(100), now=0.0)
    downlinks.change_rate(ROW, 8000, now=0.0)  # which is a reason to play the piece of a frame
    assert downlinks.takes_frames(ROW)
    assert downlinks.buffer(ROW).queued_bytes == 640
    downlinks.change_rate(ROW, 8000, now=0.0)
    assert downlinks.takes_frames(ROW)


def test_an_engine_that_is_kept_goes_on_at_another_rate() -> None:
    downlinks = new_downlinks()
    queue = downlinks.queue(ROW, keep=True)
    downlinks.play(ROW, bytes(320), now=0.0)
    heard(downlinks, 10)
    assert downlinks.take_news() == [(ROW, ChunkPlayed(1, 320, 0)), (ROW, QueueCompleted(1))]
    queue.mark("m", now=0.3)
    downlinks.change_rate(ROW, 16000, now=0.3)
    assert downlinks.queue(ROW) is not queue
    downlinks.play(ROW, bytes(640), now=0.3)
    heard(downlinks, 10, now=0.3)
    assert downlinks.take_news() == [
        (ROW, MarkAnswered("m", "playout")),
        (ROW, ChunkPlayed(2, 640, 0)),
        (ROW, QueueCompleted(1)),
    ]
    assert downlinks.totals(ROW) == Played(40, 0, 0)


def test_a_pause_outlives_a_change_of_the_rate() -> None:
    downlinks = new_downlinks()
    downlinks.queue(ROW).pause()
    downlinks.change_rate(ROW, 16000, now=0.0)
    downlinks.play(ROW, tone(16000), now=0.0)
    assert not heard(downlinks, 5).any()
    downlinks.queue(ROW).resume()
    assert heard(downlinks, 5).any()


def test_a_call_that_ends_leaves_no_news() -> None:
    downlinks = new_downlinks()
    downlinks.queue(ROW).mark("m", now=0.0)
    downlinks.change_rate(ROW, 16000, now=0.0)
    downlinks.close(ROW)
    assert downlinks.take_news() == []
