"""What a leg must be like to listen to a call."""

from __future__ import annotations

import pytest

from sidecar.core.freeswitch.channel import Channel, is_call_uuid

BRIDGED = (  # of FreeSWITCH 1.10.12, as far as it matters
    "Event-Name: CHANNEL_DATA\nChannel-State: CS_EXECUTE\nUnique-ID: eb46e254-1a8e-4cfc-bb83-dd8ead7cdd8c\n"
    "Answer-State: answered\nChannel-Read-Codec-Name: PCMU\nChannel-Read-Codec-Rate: 8000\n"
    "Other-Leg-Unique-ID: 8be9c5fe-bca4-4dbb-9fc9-167f1f51c2e5\nvariable_rtp_use_codec_ptime: 20\n"
    "variable_rtp_use_codec_channels: 1\nvariable_current_application: bridge\n\n"
)
PARKED = BRIDGED.replace("Other-Leg-Unique-ID", "X").replace("bridge", "park")


def test_a_bridged_call_is_read() -> None:
    assert Channel.parse(BRIDGED) == Channel(8000, 1, 20, is_answered=True, hears_nothing=False)


def test_a_call_without_a_codec_is_taken_for_plain() -> None:
    assert Channel.parse("Answer-State: ringing\n\n") == Channel(8000, 1, 20, is_answered=False, hears_nothing=False)


def test_a_parked_call_hears_nothing_unless_it_is_sent_silence() -> None:
    assert Channel.parse(PARKED).hears_nothing
    assert not Channel.parse("variable_send_silence_when_idle: 400\n" + PARKED).hears_nothing
    assert Channel.parse("variable_send_silence_when_idle: 0\n" + PARKED).hears_nothing


@pytest.mark.parametrize(
    ("call", "rate", "codec"),
    [
        ((8000, 1, 20), 8000, "PCMU@8000h@20i"),
        ((8000, 1, 20), 48000, "PCMU@8000h@20i"),  # a wider leg would play at half its speed
        ((16000, 1, 20), 16000, "L16@16000h@20i"),
        ((48000, 1, 20), 24000, "L16@16000h@20i"),
        ((16000, 1, 20), 8000, "PCMU@8000h@20i"),
        ((16000, 2, 20), 16000, "PCMU@8000h@20i"),
        ((8000, 1, 10), 8000, "PCMU@8000h@10i"),
        ((8000, 1, 5), 8000, "PCMU@8000h@10i"),
        ((16000, 1, 60), 16000, "L16@16000h@20i"),
    ],
)
def test_the_leg_fits_the_call(call: tuple[int, int, int], rate: int, codec: str) -> None:
    assert Channel(*call, is_answered=True, hears_nothing=False).codec_string(rate=rate) == codec


@pytest.mark.parametrize("text", ["eb46e254-1a8e-4cfc-bb83-dd8ead7cdd8c", "my_call.1@host", "a" * 128])
def test_uuids(text: str) -> None:
    assert is_call_uuid(text)


@pytest.mark.parametrize(
    "text", ["", "a b", "a,b", "a)", "(a", "a'", "a\n", "a\\", "${a}", "a=b", "-a", "a" * 129, "ü"]
)
def test_what_could_be_read_as_anything_else_is_no_uuid(text: str) -> None:
    assert not is_call_uuid(text)
