"""What calls were heard to send."""

from __future__ import annotations

import numpy as np

from rtp import Reception, RtpPacket
from rtp.headers import read_headers
from rtp.heard_rows import HeardRows


def receive(heard: HeardRows, sequence: int, *, payload_type: int = 0, ssrc: int = 7, now: float = 0.0) -> None:
    packet = bytes(RtpPacket(payload_type, sequence, 160 * sequence, ssrc, b""))
    data = np.frombuffer(packet, np.uint8)[None, :]
    heard.receive(np.array([0]), read_headers(data, np.array([len(packet)], np.uint32)), now=now)


def test_nothing_is_known_before_anything_came() -> None:
    heard = HeardRows(1)
    heard.open(0)
    assert (heard.last(0), heard.reception(0)) == (None, None)


def test_packets_of_the_source_count_but_not_telephone_events() -> None:
    heard = HeardRows(1)
    heard.open(0)
    heard.set_telephone_event(0, 101)
    heard.set_source(0, 7, clock_rate=8000)
    for sequence in range(5):
        receive(heard, sequence, now=0.02 * sequence)
    receive(heard, 5, payload_type=101, now=3.0)
    assert heard.last(0) == 3.0
    assert heard.reception(0) == (7, Reception(4, 5, 5, 0))


def test_another_source_and_another_call_begin_anew() -> None:
    heard = HeardRows(1)
    heard.open(0)
    heard.set_telephone_event(0, None)
    heard.set_source(0, 7, clock_rate=8000)
    receive(heard, 1)
    heard.set_source(0, 7, clock_rate=8000)
    receive(heard, 2, now=0.02)
    assert heard.reception(0) == (7, Reception(2, 2, 2, 0))
    receive(heard, 900, ssrc=8)
    heard.set_source(0, 8, clock_rate=8000)
    receive(heard, 901, ssrc=8, now=0.02)
    assert heard.reception(0) == (8, Reception(901, 1, 1, 0))
    heard.open(0)
    assert heard.reception(0) is None
