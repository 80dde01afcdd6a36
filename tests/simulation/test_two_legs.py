"""Two legs of one stream: what is said in both at once is heard in both at once, however long it lasts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random

import numpy as np
import pytest

from rtp import Pcm, VoicePair
from sidecar.core.options import MixMode, Track
from tests.support.attached_call import AttachedCall
from tests.support.two_legs import RATE, FarVoice, as_they_come, clicks_in

WITHIN_MS = 20.0


def skews(pcm: Pcm, clicks: list[float]) -> list[float]:
    """Return how many milliseconds lie between the same click left and right; those in frames that were late count
    neither way."""
    left, right = (np.array(clicks_in(channel)) for channel in pcm)
    assert max(len(left), len(right)) <= len(clicks), "no click but those that were sent"
    found = []
    for click in clicks:
        at = [times[np.abs(times - click - 0.15) < 0.2] for times in (left, right)]
        if all(len(times) == 1 for times in at):
            found.append(1000 * abs(float(at[0][0] - at[1][0])))
    return found


@pytest.mark.parametrize("ppm", [(50, -50), (-50, 50), (50, 0)])
def test_clocks_that_differ_do_not_part_two_voices_in_ten_minutes(ppm: tuple[float, float]) -> None:
    seconds, pair, due, heard = 600.0, VoicePair(RATE, most_delay=0.2), 0.0033, list[Pcm]()
    clicks = [5.0 + 10.0 * number for number in range(60)]
    voices = FarVoice(ppm[0]), FarVoice(ppm[1], phase=0.0133, jitter=0.005)
    for at, which, frame in as_they_come(
        *(voice.frames(clicks, seconds=seconds, random=Random(7)) for voice in voices)
    ):
        while due < at:
            heard.append(pair.read(now=due))
            due += 0.020
        pair.write(which, frame, now=at)
    found = skews(np.concatenate(heard, axis=1), clicks)
    assert len(found) == len(clicks)
    assert max(found) < 3.0 < WITHIN_MS
    assert max(found[-10:]) <= max(found[:10]) + 1.0, "and it does not grow"
    assert pair.missed_frames == pair.jumps == 0


@pytest.mark.parametrize(
    ("caller", "callee"),
    [
        (FarVoice(ppm=500), FarVoice(ppm=-500, phase=0.0133)),
        (FarVoice(ppm=-250, phase=0.019, jitter=0.015), FarVoice(ppm=250, delay=0.020, jitter=0.005, lateness=0.080)),
    ],
    ids=["steady", "uneven"],
)
def test_a_click_in_both_legs_lands_within_20_ms(caller: FarVoice, callee: FarVoice) -> None:
    """From RTP to messages: a minute with clocks that differ ten times as much as real ones."""
    found = skews(heard_by_bot(packets_of(caller, callee, Random(7))), CLICKS)
    assert len(found) >= 0.9 * len(CLICKS)
    assert max(found) < WITHIN_MS


@pytest.mark.parametrize("bad", [0, 1], ids=["caller", "callee"])
def test_so_it_does_though_one_of_them_has_a_bad_network(bad: int) -> None:
    """One packet in twenty of that leg is lost, and one comes after the two that follow it."""
    random, packets = Random(7), list[Packet]()
    for at, which, number, frame in packets_of(
        FarVoice(ppm=50, jitter=0.005), FarVoice(ppm=-50, phase=0.0133, jitter=0.005), random, seconds=30.0
    ):
        fate = random.random() if which == bad else 1.0
        if fate >= 0.05:
            packets.append((at + (0.045 if fate < 0.10 else 0.0), which, number, frame))
    found = skews(heard_by_bot(sorted(packets, key=lambda each: each[:3])), CLICKS)
    assert len(found) >= 10, "of the 13 of half a minute"
    assert max(found) < WITHIN_MS


CLICKS = [5.0 + 2.0 * number for number in range(27)]
Packet = tuple[float, int, int, Pcm]
"""When it comes, over which leg, its number, and what is said in it."""


def packets_of(caller: FarVoice, callee: FarVoice, random: Random, *, seconds: float = 60.0) -> Iterator[Packet]:
    """Give what both say, in the order in which it comes."""
    numbers = [0, 0]
    for at, which, frame in as_they_come(
        *(voice.frames(CLICKS, seconds=seconds, random=random) for voice in (caller, callee))
    ):
        yield at, which, numbers[which], frame
        numbers[which] += 1


def heard_by_bot(packets: Iterable[Packet]) -> Pcm:
    """Return what the bot of a stream over two legs hears, left and right."""
    call = AttachedCall(mix=MixMode.STEREO, id="pair", track=Track.CALLER)
    rows = [call.row, call.join(Track.CALLEE)]
    for row in rows:
        call.bridge.start(row)
    begin = call.now
    for at, which, number, frame in packets:
        call.run(until=begin + at)
        call.speak(rows[which], frame, at=begin + at, number=number)
    return call.heard_by_bot(channels=2)
