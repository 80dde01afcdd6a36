"""Frames become packets of the length that the other side asks for."""

from __future__ import annotations

import numpy as np
import pytest

from rtp import Codec
from rtp.packetizer import LONGEST_PAYLOAD, Packetizer, packet_ms
from rtp.payload_coding import new_decoder

PTIMES = [10, 20, 30, 40, 60]


@pytest.mark.parametrize(
    ("codec", "asked", "chosen"),
    [
        (Codec.PCMU, 20, 20),
        (Codec.PCMU, 25, 20),
        (Codec.PCMU, 59, 40),
        (Codec.PCMU, 60, 60),
        (Codec.PCMU, 5, 10),
        (Codec.G722, 30, 30),
        (Codec.OPUS, 30, 20),
        (Codec.OPUS, 60, 60),
        (Codec.L16_8K, 60, 60),
        (Codec.L16_16K, 60, 40),
    ],
)
def test_packets_are_not_longer_than_asked_for_nor_than_a_network_takes(codec: Codec, asked: int, chosen: int) -> None:
    assert packet_ms(codec, asked) == chosen


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("ptime_ms", PTIMES)
def test_packets_hold_what_was_written(codec: Codec, ptime_ms: int) -> None:
    ptime_ms = packet_ms(codec, ptime_ms)
    packetizer, plain = Packetizer(codec, ptime_ms), Packetizer(codec, 20)
    said = np.rint(9000 * np.sin(np.arange(12 * codec.frame_samples) / 7)).astype(np.int16)
    frames = said.reshape(12, -1)
    payloads = [payload for frame in frames for payload in packetizer.write(frame)]
    assert len(payloads) == 240 // ptime_ms
    assert max(map(len, payloads)) <= LONGEST_PAYLOAD
    decoder = new_decoder(codec)
    heard = [decoder.decode(payload) for payload in payloads]
    assert {len(each) for each in heard} == {codec.sample_rate * ptime_ms // 1000}
    if codec.frame_bytes:
        assert b"".join(payloads) == b"".join(payload for frame in frames for payload in plain.write(frame))
    assert packetizer.clear() == 0


@pytest.mark.parametrize("codec", [Codec.PCMU, Codec.G722, Codec.OPUS, Codec.L16_16K])
def test_what_is_not_sent_is_forgotten_and_its_time_known(codec: Codec) -> None:
    packetizer = Packetizer(codec, 40)
    frame = np.zeros(codec.frame_samples, np.int16)
    assert packetizer.write(frame) == []
    assert packetizer.clear() == codec.frame_ticks
    assert packetizer.clear() == 0
    assert packetizer.write(frame) == []
    assert len(packetizer.write(frame)) == 1
