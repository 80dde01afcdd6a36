"""G.711 against the published tables of the Recommendation, and against the standard library where it has them."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import numpy.typing as npt
import pytest

from rtp import Codec
from rtp.g711 import decode, decode_one, encode, encode_one

ALL_CODES = bytes(range(256))
ALL_SAMPLES = np.arange(-32768, 32768).astype(np.int16)


LAWS = [Codec.PCMU, Codec.PCMA]

# Tables 1a and 2a of ITU-T G.711: so many intervals, each so wide, from zero to the loudest; and what scales them to
# 16 bits.
INTERVALS = {
    Codec.PCMU: ([(1, 1), (15, 2), *((16, 4 << segment) for segment in range(7))], 4),
    Codec.PCMA: ([(32, 2), *((16, 4 << segment) for segment in range(6))], 8),
}


def decision_values(codec: Codec) -> npt.NDArray[np.int64]:
    """Return the borders of the 128 intervals of positive samples, from zero to the loudest."""
    intervals, scale = INTERVALS[codec]
    widths = [width for count, width in intervals for _ in range(count)]
    return scale * np.cumsum([0, *widths])


def code_of_interval(codec: Codec, interval: npt.NDArray[np.int64], negative: npt.NDArray[np.bool_]) -> bytes:
    """Number the intervals as tables 1 and 2 do: outwards, the sign in the first bit; all or the even bits inverted."""
    codes = {
        Codec.PCMU: np.where(negative, 127, 255) - interval,
        Codec.PCMA: (np.where(negative, 0, 128) + interval) ^ 0x55,
    }[codec]
    return codes.astype(np.uint8).tobytes()


@pytest.mark.parametrize(("codec", "last_but_one", "last"), [(Codec.PCMU, 4063, 8159), (Codec.PCMA, 2048, 4096)])
def test_the_tables_are_those_of_itu_t_g711(codec: Codec, last_but_one: int, last: int) -> None:
    values = decision_values(codec) // INTERVALS[codec][1]
    assert (len(values), values[112], values[128]) == (129, last_but_one, last)


@pytest.mark.parametrize("codec", LAWS)
def test_every_sample_has_the_code_of_its_interval(codec: Codec) -> None:
    negative = ALL_SAMPLES < 0
    magnitude = np.where(negative, ~ALL_SAMPLES, ALL_SAMPLES).astype(
        np.int64
    )  # on a border: the interval nearer to zero
    interval = np.searchsorted(decision_values(codec), magnitude, side="right") - 1
    assert encode_one(ALL_SAMPLES, codec) == code_of_interval(codec, interval.clip(max=127), negative)


@pytest.mark.parametrize("codec", LAWS)
def test_every_code_has_the_value_in_the_middle_of_its_interval(codec: Codec) -> None:
    borders = decision_values(codec)
    middle = (borders[:-1] + borders[1:]) // 2
    if codec is Codec.PCMU:
        middle[0] = 0
    for negative in (False, True):
        codes = code_of_interval(codec, np.arange(128), np.full(128, negative))
        assert (decode_one(codes, codec) == (-middle if negative else middle)).all()


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="audioop is gone")
@pytest.mark.parametrize("codec", LAWS)
def test_every_code_decodes_as_in_the_standard_library(codec: Codec) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop = pytest.importorskip("audioop")
    decoder = {Codec.PCMU: audioop.ulaw2lin, Codec.PCMA: audioop.alaw2lin}[codec]
    assert decode_one(ALL_CODES, codec).tobytes() == decoder(ALL_CODES, 2)


@pytest.mark.parametrize("codec", [Codec.PCMU, Codec.PCMA])
def test_encoding_what_was_decoded_gives_the_same_code(codec: Codec) -> None:
    again = encode_one(decode_one(ALL_CODES, codec), codec)
    expected = ALL_CODES if codec is Codec.PCMA else ALL_CODES.replace(b"\x7f", b"\xff")  # there is one zero only
    assert again == expected


@pytest.mark.parametrize("codec", [Codec.PCMU, Codec.PCMA])
def test_the_error_of_a_sample_is_at_most_half_a_step(codec: Codec) -> None:
    error = np.abs(decode_one(encode_one(ALL_SAMPLES, codec), codec).astype(int) - ALL_SAMPLES)
    clipped = {Codec.PCMU: 644, Codec.PCMA: 512}[codec]
    step = np.maximum(np.abs(ALL_SAMPLES.astype(int)) / 16, 16)
    assert (error <= step).all()
    assert error.max() <= max(clipped, 1024)


def test_a_batch_decodes_each_row_by_its_own_codec() -> None:
    payload = np.random.default_rng(1).integers(0, 256, (5, 160), np.uint8)
    codecs = np.array([0, 1, 1, 0, 1], np.uint8)
    pcm = decode(payload, codecs)
    assert pcm.dtype == np.int16
    for row, codec in enumerate(codecs):
        assert (pcm[row] == decode_one(payload[row].tobytes(), list(Codec)[codec])).all()


@pytest.mark.parametrize("codecs", [[0, 1, 1, 0, 1], [0] * 5, [1] * 5])
def test_a_batch_encodes_each_row_by_its_own_codec(codecs: list[int]) -> None:
    pcm = np.random.default_rng(2).integers(-32768, 32768, (5, 160)).astype(np.int16)
    payload = encode(pcm, np.array(codecs, np.uint8))
    for row, codec in enumerate(codecs):
        assert payload[row].tobytes() == encode_one(pcm[row], list(Codec)[codec])


def test_a_slice_of_a_larger_array_encodes_as_a_copy_of_it() -> None:
    pcm = np.random.default_rng(3).integers(-32768, 32768, (4, 320)).astype(np.int16)
    codecs = np.array([0, 1, 0, 1], np.uint8)
    assert (encode(pcm[:, ::2], codecs) == encode(pcm[:, ::2].copy(), codecs)).all()
    assert encode_one(pcm[0, ::2], Codec.PCMU) == encode_one(pcm[0, ::2].copy(), Codec.PCMU)


def test_no_calls_are_a_batch_too() -> None:
    nothing = np.empty((0, 160), np.int16)
    assert encode(nothing, np.empty(0, np.uint8)).shape == (0, 160)
    assert decode(nothing.astype(np.uint8), np.empty(0, np.uint8)).shape == (0, 160)
