"""Frames made in a batch are read by the `websockets` library as by a server."""

from __future__ import annotations

import numpy as np
import pytest
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from sidecar.core.websocket_frames import binary_payloads, count_binary_frames, masked_binary_frames, unmasked_payload


@pytest.mark.parametrize("size", [0, 4, 124, 128, 320, 640, 65532, 65536, 96000])
def test_a_server_reads_what_was_written(size: int) -> None:
    generator = np.random.default_rng(size)
    payloads = generator.integers(0, 256, (3, size), np.uint8)
    masks = generator.integers(0, 1 << 32, 3, np.uint32)
    frames = masked_binary_frames(payloads, masks)
    assert frames.dtype == np.uint8
    for frame, payload, mask in zip(frames, payloads, masks, strict=True):
        server = ServerProtocol(state=State.OPEN, max_size=None)
        server.receive_data(frame.tobytes())
        assert server.events_received() == [Frame(Opcode.BINARY, payload.tobytes())]
        assert server.parser_exc is None
        assert mask.tobytes() in frame[:14].tobytes()
        assert unmasked_payload(frame.tobytes()) == payload.tobytes()


def test_the_same_payload_looks_different_under_each_mask() -> None:
    payloads = np.zeros((2, 8), np.uint8)
    one, two = masked_binary_frames(payloads, np.array([0x11223344, 0x55667788], np.uint32))
    assert one.tobytes()[6:] == one.tobytes()[2:6] * 2
    assert one.tobytes() != two.tobytes()


def test_no_payloads_give_no_frames() -> None:
    assert masked_binary_frames(np.empty((0, 320), np.uint8), np.empty(0, np.uint32)).shape == (0, 328)


def test_what_has_the_length_of_a_frame_need_not_be_one() -> None:
    said = [b"\x82\x7e\x01\x40" + bytes([number]) * 320 for number in range(3)]
    lengths = np.full(3, 324)
    (everything,) = binary_payloads(np.array([list(frame) for frame in said], np.uint8), lengths, 320)
    assert [payload.tobytes() for payload in everything[1]] == [frame[4:] for frame in said]
    said[1] = b"\x81" + said[1][1:]
    (others,) = binary_payloads(np.array([list(frame) for frame in said], np.uint8), lengths, 320)
    assert np.arange(3)[others[0]].tolist() == [payload[0] for payload in others[1]] == [0, 2]
    text = np.array([list(said[1])], np.uint8)
    assert list(binary_payloads(text, lengths[:1], 320)) == []


def test_frames_of_a_server_are_told_from_all_else() -> None:
    size = 320
    frame = b"\x82\x7e\x01\x40" + bytes(size)
    rows = {
        frame: 1,
        2 * frame: 2,
        3 * frame: 3,
        frame[:-1]: 0,
        frame + b"\x82": 0,
        b"": 0,
        b"\x02" + frame[1:]: 0,  # a fragment
        b"\x81" + frame[1:]: 0,  # text
        frame[:1] + b"\xfe" + frame[2:]: 0,  # masked, which no server may
        frame[:3] + b"\x41" + frame[4:]: 0,  # another size
        frame + b"\x81" + frame[1:]: 0,
        frame + frame + b"\x89" + frame[1:]: 0,
    }
    data = np.zeros((len(rows), 1000), np.uint8)
    for at, row in enumerate(rows):
        data[at, : len(row)] = np.frombuffer(row, np.uint8)
    lengths = np.array([len(row) for row in rows], np.int64)
    assert count_binary_frames(data, lengths, size).tolist() == list(rows.values())
    assert count_binary_frames(data[:1], np.array([-1]), size).tolist() == [0], "nothing was read"
    assert count_binary_frames(data[:0], lengths[:0], size).tolist() == []
