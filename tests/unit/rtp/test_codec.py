"""What codecs are called, and how they count."""

from __future__ import annotations

import pytest

from rtp import Codec


@pytest.mark.parametrize("codec", Codec)
def test_each_is_found_by_its_rtpmap_whatever_the_case(codec: Codec) -> None:
    assert Codec.of_rtpmap(codec.encoding.swapcase(), codec.clock_rate) is codec
    assert list(Codec)[codec] is codec


@pytest.mark.parametrize(("encoding", "rate"), [("PCMU", 16000), ("L16", 44100), ("speex", 8000)])
def test_what_we_do_not_have_is_an_error(encoding: str, rate: int) -> None:
    with pytest.raises(ValueError, match=f"no codec {encoding}/{rate}"):
        Codec.of_rtpmap(encoding, rate)


def test_g722_counts_half_of_its_samples() -> None:
    """RFC 3551, section 4.5.2."""
    assert (Codec.G722.clock_rate, Codec.G722.sample_rate) == (8000, 16000)
    assert (Codec.G722.frame_ticks, Codec.G722.frame_samples) == (160, 320)
    assert (Codec.G722.ticks(320), Codec.G722.samples(160)) == (160, 320)


@pytest.mark.parametrize("codec", Codec)
def test_a_frame_is_20_ms_by_either_count(codec: Codec) -> None:
    assert codec.ticks(codec.frame_samples) == codec.frame_ticks == codec.clock_rate // 50
    assert codec.samples(codec.frame_ticks) == codec.frame_samples == codec.sample_rate // 50
