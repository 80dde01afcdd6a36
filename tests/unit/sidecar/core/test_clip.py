"""What a `streamAudio` message may say."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.core import clip
from sidecar.core.clip import Clip, ClipError, ClipKind, decoded_pieces, parse_stream_audio


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"audioDataType": "raw", "sampleRate": 8000}, Clip(ClipKind.RAW, 8000, "AAA=")),
        ({"audioDataType": "RAW", "sampleRate": 24000.0, "more": 1}, Clip(ClipKind.RAW, 24000, "AAA=")),
        ({"audioDataType": "pcmu"}, Clip(ClipKind.PCMU, 8000, "AAA=")),
        ({"audioDataType": "pcma", "sampleRate": 16000}, Clip(ClipKind.PCMA, 16000, "AAA=")),
        ({"audioDataType": "wav", "sampleRate": "ignored"}, Clip(ClipKind.WAV, None, "AAA=")),
        ({"audioDataType": "mp3"}, Clip(ClipKind.MP3, None, "AAA=")),
        ({"audioDataType": "ogg"}, Clip(ClipKind.OGG, None, "AAA=")),
        ({"audioDataType": "opus", "sampleRate": 48000}, Clip(ClipKind.OPUS, None, "AAA=")),
    ],
)
def test_a_clip_is_read(data: dict[str, Any], expected: Clip) -> None:
    assert parse_stream_audio({**data, "audioData": "AAA="}) == expected


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (None, "data"),
        ([], "data"),
        ({"audioDataType": "aac", "audioData": "AAA="}, "audioDataType"),
        ({"audioDataType": 1, "audioData": "AAA="}, "audioDataType"),
        ({"audioDataType": ["raw"], "audioData": "AAA="}, "audioDataType"),
        ({"audioData": "AAA="}, "audioDataType"),
        ({"audioDataType": "raw", "sampleRate": 8000}, "audioData"),
        ({"audioDataType": "raw", "sampleRate": 8000, "audioData": ""}, "audioData"),
        ({"audioDataType": "raw", "sampleRate": 8000, "audioData": [1]}, "audioData"),
        ({"audioDataType": "raw", "audioData": "AAA="}, "sampleRate"),
        ({"audioDataType": "raw", "sampleRate": "8000", "audioData": "AAA="}, "sampleRate"),
        ({"audioDataType": "raw", "sampleRate": True, "audioData": "AAA="}, "sampleRate"),
        ({"audioDataType": "raw", "sampleRate": 8000.5, "audioData": "AAA="}, "sampleRate"),
        ({"audioDataType": "raw", "sampleRate": float("nan"), "audioData": "AAA="}, "sampleRate"),
        ({"audioDataType": "raw", "sampleRate": float("inf"), "audioData": "AAA="}, "sampleRate"),
        ({"audioDataType": "raw", "sampleRate": 0, "audioData": "AAA="}, "sampleRate"),
        ({"audioDataType": "raw", "sampleRate": 10**40, "audioData": "AAA="}, "sampleRate"),
    ],
)
def test_a_wrong_clip_is_refused_by_the_name_of_the_field(data: Any, field: str) -> None:
    with pytest.raises(ClipError, match=f"^{field}: "):
        parse_stream_audio(data)


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip, "MOST_ENCODED_BYTES", 8)
    parse_stream_audio({"audioDataType": "wav", "audioData": "AAAAAAAA"})
    with pytest.raises(ClipError, match="audioData: more than"):
        parse_stream_audio({"audioDataType": "wav", "audioData": "AAAAAAAAA"})


json = st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=4)


@given(json | st.dictionaries(st.sampled_from(["audioDataType", "sampleRate", "audioData"]), json | st.just("raw")))
def test_nothing_but_a_clip_error_is_raised(data: Any) -> None:
    with contextlib.suppress(ClipError):
        assert parse_stream_audio(data).encoded


@given(st.binary(max_size=3000), st.integers(1, 50), st.booleans(), st.sampled_from(["", "\n", " \r\n"]))
def test_base64_is_decoded_bit_by_bit(data: bytes, width: int, padded: bool, between: str) -> None:
    encoded = base64.b64encode(data).decode()
    encoded = encoded if padded else encoded.rstrip("=")
    text = between.join(encoded[at : at + width] for at in range(0, len(encoded), width))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clip, "_PIECE_CHARACTERS", 100)
        assert b"".join(decoded_pieces(text)) == data


@pytest.mark.parametrize("text", ["!", "AAA*", "\xe4\xf6AA", "A", "AA=A", "AAA=AAAA"])
def test_what_is_no_base64_is_an_error(text: str) -> None:
    with pytest.raises(ClipError, match="audioData: not base64 text"):
        list(decoded_pieces(text))
