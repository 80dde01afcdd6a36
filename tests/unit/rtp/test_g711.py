"""G.711 by tables against the published values, and against the standard library where it still has them."""

from __future__ import annotations

import sys
import warnings
from types import ModuleType

import numpy as np
import pytest

from rtp import Codec
from rtp.g711 import decode, decode_one, encode, encode_one

ALL_CODES = bytes(range(256))
ALL_SAMPLES = np.arange(-32768, 32768).astype(np.int16)


def import_audioop() -> ModuleType:
    """Import the standard library's G.711, which Python 3.13 has no more."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop: ModuleType = pytest.importorskip("audioop")
        return audioop


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="audioop is gone")
@pytest.mark.parametrize("codec", [Codec.PCMU, Codec.PCMA])
def test_every_code_decodes_as_in_the_standard_library(codec: Codec) -> None:
    audioop = import_audioop()
    decoder = {Codec.PCMU: audioop.ulaw2lin, Codec.PCMA: audioop.alaw2lin}[codec]
    assert decode_one(ALL_CODES, codec).tobytes() == decoder(ALL_CODES, 2)


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="audioop is gone")
@pytest.mark.parametrize("codec", [Codec.PCMU, Codec.PCMA])
def test_every_sample_encodes_as_in_the_standard_library(codec: Codec) -> None:
    audioop = import_audioop()
    encoder = {Codec.PCMU: audioop.lin2ulaw, Codec.PCMA: audioop.lin2alaw}[codec]
    assert encode_one(ALL_SAMPLES, codec) == encoder(ALL_SAMPLES.tobytes(), 2)


def test_codes_have_the_values_of_itu_t_g711() -> None:
    """The ends and the zeroes of tables 1 and 2, scaled from 13 and 14 bits to 16."""
    ulaw = dict(zip(range(256), decode_one(ALL_CODES, Codec.PCMU).tolist(), strict=True))
    alaw = dict(zip(range(256), decode_one(ALL_CODES, Codec.PCMA).tolist(), strict=True))
    assert {code: ulaw[code] for code in (0x00, 0x7F, 0x80, 0xFF)} == {0x00: -32124, 0x7F: 0, 0x80: 32124, 0xFF: 0}
    assert {code: alaw[code] for code in (0x2A, 0x55, 0xAA, 0xD5)} == {0x2A: -32256, 0x55: -8, 0xAA: 32256, 0xD5: 8}
    assert (encode_one(np.zeros(1, np.int16), Codec.PCMU), encode_one(np.zeros(1, np.int16), Codec.PCMA)) == (
        b"\xff",
        b"\xd5",
    )


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
