from __future__ import annotations

import mmap

import numpy as np

from rtp import Codec, Resampler
from rtp.g711 import decode_one
from sidecar.bench.board import _LAYOUT, FRAMES, Board, open_board


def test_the_number_of_a_frame_is_heard_at_its_end_at_every_rate() -> None:
    with open_board(1) as board:
        fields = np.frombuffer(mmap.mmap(board.descriptor, _LAYOUT.itemsize), _LAYOUT)
        codes, numbers = fields["code"][0].copy(), fields["frame_of_sample"][0].copy()
    for rate in (8000, 16000, 24000, 32000, 48000):
        resampler = Resampler(8000, rate, rows=1)
        for number in range(-1, FRAMES):
            frame = decode_one(bytes([codes[number]]) * 160, Codec.PCMU)
            last = resampler.process(np.array([0]), frame[None, :])[0, -1:]
            assert numbers[last.view(np.uint16)[0]] == number % FRAMES
    assert numbers[0] == -1, "silence is no frame"


def test_percentiles_are_those_of_what_was_counted() -> None:
    with open_board(3) as board:
        assert board.span("gaps") is None
        counted(board, "gaps", [20.0] * 98 + [35.0, 40.0])
        span = board.span("gaps")
        assert span is not None
        assert abs(span.p50 - 20.0) < 0.02
        assert abs(span.p99 - 35.0) < 0.02
        board["sent"] = 7
        board.forget()
        assert board.span("gaps") is None
        assert (board["sent"], board["calls"]) == (0, 3)


def counted(board: Board, name: str, values: list[float]) -> None:
    for value in values:
        board._fields[name][0, int(value * 100)] += 1
