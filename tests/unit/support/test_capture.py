from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.support.capture import PCMA, PCMU, pcm_of, rtp_packets, write_capture
from tests.support.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw
from tests.support.tones import find_tone, gaps, make_tone

TONE = make_tone(437.0, level_dbfs=-12.0, seconds=1.0, rate=8000)


def test_the_known_codes_of_g711_come_out() -> None:
    samples = np.array([0, 32767, -32768, 1000, -1000], dtype=np.int16)
    assert encode_ulaw(samples) == bytes([0xFF, 0x80, 0x00, 0xCE, 0x4E])
    assert encode_alaw(samples) == bytes([0xD5, 0xAA, 0x2A, 0xFA, 0x7A])


def test_each_code_survives_decoding_and_encoding() -> None:
    codes = bytes(range(256))
    assert encode_alaw(decode_alaw(codes)) == codes
    assert encode_ulaw(decode_ulaw(codes)) == codes.replace(b"\x7f", b"\xff")  # there are two zeros


@pytest.mark.parametrize("payload_type", [PCMU, PCMA])
def test_a_tone_survives_the_way_through_packets(payload_type: int) -> None:
    packets = rtp_packets(TONE, payload_type=payload_type)
    assert len(packets) == 50
    assert {len(packet.data) for packet in packets} == {172}
    found = find_tone(pcm_of(packets), 8000)
    assert abs(found.frequency_hz - 437.0) < 1.0
    assert abs(found.level_dbfs + 12.0) < 0.2


def test_packets_are_put_where_they_belong_and_a_missing_one_is_a_gap() -> None:
    packets = rtp_packets(TONE)
    whole = pcm_of(packets)
    assert np.array_equal(pcm_of([*packets[1::2], *packets[0::2]]), whole)
    (gap,) = gaps(pcm_of(packets[:10] + packets[11:]), 8000)
    assert abs(gap.start_ms - 200.0) < 1.0
    assert abs(gap.length_ms - 20.0) < 1.0


def test_no_packet_is_no_audio() -> None:
    assert len(pcm_of([])) == 0


@pytest.mark.peer("tshark")
def test_another_program_reads_the_capture_as_rtp(tmp_path: Path) -> None:
    write_capture(tmp_path / "tone.pcap", rtp_packets(TONE))
    fields = ["rtp.p_type", "rtp.ssrc", "rtp.marker", "ip.checksum.status", "frame.time_relative"]
    read = subprocess.run(
        [
            *("tshark", "-r", tmp_path / "tone.pcap", "-d", "udp.port==40000,rtp", "-T", "fields"),
            *("-o", "ip.check_checksum:TRUE", *(part for field in fields for part in ("-e", field))),
        ],
        capture_output=True,
        check=True,
        text=True,
    )
    lines = [line.split("\t") for line in read.stdout.splitlines()]
    assert len(lines) == 50
    assert lines[0][:4] == ["0", "0x00005eed", "1", "1"]
    assert lines[1][:4] == ["0", "0x00005eed", "0", "1"]
    assert float(lines[49][4]) == pytest.approx(0.98)
