"""G.722 against another implementation, to the last bit."""

from __future__ import annotations

from array import array

import numpy as np
import pytest
from G722 import G722
from hypothesis import given
from hypothesis import strategies as st

from rtp import Pcm
from rtp.g722 import G722Decoder, G722Encoder
from tests.support.tones import make_tone

RATE, BITS_PER_SECOND = 16000, 64000
FRAME = 320
NUMBERS = np.random.default_rng(722)
SOUNDS = {
    "silence": np.zeros(RATE, np.int16),
    "a whisper": NUMBERS.integers(-3, 4, RATE).astype(np.int16),
    "noise": NUMBERS.integers(-32768, 32768, RATE).astype(np.int16),
    "square": np.where(np.arange(RATE) // 50 % 2, 32767, -32768).astype(np.int16),
    "low": make_tone(437.0, level_dbfs=-14.0, seconds=1.0, rate=RATE),
    "high": make_tone(6100.0, level_dbfs=-3.1, seconds=1.0, rate=RATE),
}


def encode(pcm: Pcm) -> bytes:
    encoder = G722Encoder()
    return b"".join(encoder.encode(frame) for frame in pcm.reshape(-1, FRAME))


@pytest.mark.parametrize("sound", SOUNDS)
def test_it_encodes_and_decodes_as_another_does(sound: str) -> None:
    pcm = SOUNDS[sound]
    codes = encode(pcm)
    assert codes == G722(RATE, BITS_PER_SECOND).encode(array("h", pcm.tolist()))
    assert list(G722Decoder().decode(codes)) == list(G722(RATE, BITS_PER_SECOND).decode(codes))


@given(st.lists(st.binary(min_size=1, max_size=480), min_size=1, max_size=10))
def test_any_packets_decode_as_another_decodes_them(packets: list[bytes]) -> None:
    ours, theirs = G722Decoder(), G722(RATE, BITS_PER_SECOND)
    for packet in packets:
        assert list(ours.decode(packet)) == list(theirs.decode(packet))


def test_loud_codes_by_chance_decode_as_another_decodes_them() -> None:
    codes = NUMBERS.bytes(RATE)
    assert list(G722Decoder().decode(codes)) == list(G722(RATE, BITS_PER_SECOND).decode(codes))
