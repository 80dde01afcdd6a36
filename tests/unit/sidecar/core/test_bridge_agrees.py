"""The bridge gives each of its calls what a plain call alone gives: the same messages and the same RTP."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rtp import PACKET_BYTES, Codec, Leg, MediaPlane, RtpPacket, address_key
from sidecar.core.bridge import Bridge, Messages
from sidecar.core.options import MixMode, StreamOptions
from tests.support.plain_call import PlainCall
from tests.support.rtp_sender import ACTIONS, PLAIN, RtpSender, batch_of
from tests.support.websocket_messages import messages_by_row

CAPACITY = 9
PLAYOUT_SECONDS = 2.0


@dataclass
class BothCalls:
    """One call, twice: the row of the bridge, and the plain call; and the telephone at its end."""

    row: int
    address: int
    plain: PlainCall
    sender: RtpSender
    sending: bool = False
    changed: bool = False
    ticks: int = 0  # timestamp units of the packet sent last
    last_sent: RtpPacket | None = None


class TwoBridges:
    """Many calls through one bridge, and each through a plain call of its own."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 1000.0
        self.plane = MediaPlane(CAPACITY, self.random)
        self.bridge = Bridge(self.plane, random_bytes=self.random.randbytes)
        self.calls: dict[int, BothCalls] = {}
        self._packets = np.zeros((CAPACITY, PACKET_BYTES), np.uint8)
        self._lengths = np.zeros(CAPACITY, np.uint64)
        self._destinations = np.zeros(CAPACITY, np.uint64)

    def open(self, options: StreamOptions, codec: Codec) -> None:
        """Begin a call, if there is room."""
        address = address_key("192.0.2.1", self.random.randrange(1024, 65536))
        payload_type = int(codec) * 8
        row = self.plane.open(
            Leg(codec=codec, payload_type=payload_type, send_payload_type=payload_type, destination=address)
        )
        if row is not None:
            self.bridge.open(row, options, playout_seconds=PLAYOUT_SECONDS)
            plain = PlainCall(options, codec, payload_type, playout_seconds=PLAYOUT_SECONDS)
            self.calls[row] = BothCalls(
                row, address, plain, RtpSender(self.random, payload_type=payload_type, codec=codec)
            )

    def start(self, row: int) -> None:
        self.bridge.start(row)
        self.calls[row].sending = True

    def close(self, row: int) -> None:
        """End a call: the last message and the counts agree as well."""
        call = self.calls.pop(row)
        rest, last = call.plain.take_rest(), self.bridge.close(row)
        expected = {row: [rest]} if rest else {}
        assert messages_by_row([last] if last else []) == expected
        assert self.plane.close(row) == call.plain.stream.counters

    def change(self, row: int, codec: Codec) -> None:
        """Let a call go on with another codec, elsewhere."""
        call, payload_type = self.calls[row], int(codec) * 8
        call.address = address_key("192.0.2.2", self.random.randrange(1024, 65536))
        call.changed = self.plane.change(
            row,
            Leg(codec=codec, payload_type=payload_type, send_payload_type=payload_type, destination=call.address),
            now=self.now,
        )
        assert call.changed
        self.bridge.change(row)
        call.plain.change(codec, payload_type)
        if self.random.random() < 0.7:
            call.sender.change(payload_type, codec)

    def receive(self, arriving: Iterable[tuple[int, str, int]]) -> None:
        """Let the telephones do something, all in one batch."""
        datagrams = [
            (datagram, self.calls[row])
            for row, kind, argument in arriving
            for datagram in self.calls[row].sender.act(kind, argument)
        ]
        batch = batch_of([(datagram, call.address) for datagram, call in datagrams])
        messages = self.bridge.receive(*batch, now=self.now)
        expected: dict[int, list[bytes]] = {}
        for datagram, call in datagrams:
            expected.setdefault(call.row, []).extend(call.plain.receive(datagram, now=self.now))
        self._compare(messages, expected)

    def say(self, row: int, size: int) -> None:
        """Let the bot of a call say something."""
        audio = self.random.randbytes(size)
        self.bridge.playback.play(row, audio, now=self.now)
        self.calls[row].plain.playout.write(audio, now=self.now)

    def say_frames(self, frames: dict[int, int]) -> None:
        """Let bots say so many frames of 20 ms each, which are read all at once."""
        reads = []
        for row, count in frames.items():
            playout = self.calls[row].plain.playout
            said = [self.random.randbytes(playout.frame_bytes) for _ in range(count)]
            for audio in said:
                playout.write(audio, now=self.now)
            reads.append(b"".join(b"\x82\x7e" + len(audio).to_bytes(2) + audio for audio in said))
        data = np.zeros((len(reads), max(map(len, reads), default=4)), np.uint8)
        for at, read in enumerate(reads):
            data[at, : len(read)] = np.frombuffer(read, np.uint8)
        lengths = np.array([len(read) for read in reads], np.int64)
        assert self.bridge.playback.play_frames(np.array(list(frames), np.int64), data, lengths, now=self.now).all()

    def clear(self, row: int) -> None:
        self.calls[row].plain.playout.clear()
        self.bridge.playback.queue(row).clear()

    def wait(self, seconds: float) -> None:
        """Let time pass, and send what is due."""
        self.now += seconds
        for _ in range(self.bridge.ticks_due(now=self.now)):
            self._tick()
        expected = {row: call.plain.handle_timeout(now=self.now) for row, call in self.calls.items()}
        self._compare(self.bridge.handle_timeout(now=self.now), expected)

    def _tick(self) -> None:
        count, messages = self.bridge.tick(self._packets, self._lengths, self._destinations, now=self.now)
        by_address = {call.address: call for call in self.calls.values()}
        expected = {}
        for packet, length, destination in zip(
            self._packets[:count], self._lengths[:count].tolist(), self._destinations[:count].tolist(), strict=True
        ):
            call = by_address.pop(destination)
            assert call.sending
            payload, expected[call.row] = call.plain.play(now=self.now)
            self._compare_packet(call, RtpPacket.parse(packet[:length].tobytes()), payload)
        self._compare(messages, expected)

    def _compare_packet(self, call: BothCalls, packet: RtpPacket, payload: bytes) -> None:
        assert packet.payload == payload
        last, call.last_sent = call.last_sent, packet
        marked, call.changed = call.changed, False
        ticks, call.ticks = call.ticks, self.plane.codec(call.row).frame_ticks
        if last is None:
            assert packet.marker
        else:
            elapsed = (packet.timestamp - last.timestamp) % (1 << 32)
            assert packet.sequence_number == (last.sequence_number + 1) % (1 << 16)
            assert packet.ssrc == last.ssrc
            assert packet.marker == (marked or elapsed != ticks)
            assert elapsed % 80 == 0 if marked else elapsed % ticks == 0

    def _compare(self, messages: Iterable[Messages], expected: dict[int, list[bytes]]) -> None:
        assert messages_by_row(messages) == {row: each for row, each in expected.items() if each}


rates = st.sampled_from([8000, 16000, 24000, 40000, 48000])
stream_options = st.builds(
    StreamOptions,
    url=st.just("ws://bot.example"),
    mix=st.sampled_from(MixMode),
    rate=rates,
    sample_rate=st.none() | rates,
    buffer_size=st.sampled_from([20, 40, 100]),
    preroll=st.sampled_from([0, 60]),
)


def some_options(random: Random) -> StreamOptions:
    """Choose from few formats, so that calls share them, and do not."""
    return StreamOptions(
        url="ws://bot.example",
        mix=random.choice(list(MixMode)),
        rate=random.choice([8000, 16000]),
        sample_rate=random.choice([None, None, 24000]),
        buffer_size=random.choice([20, 60]),
        preroll=random.choice([0, 60]),
    )


def talk(both: TwoBridges, random: Random, *, steps: int, oddness: float) -> None:
    """Let all calls do what calls do, each in its own order."""
    for _ in range(steps):
        rows = list(both.calls)
        both.receive(
            (row, random.choice(ACTIONS) if random.random() < oddness else PLAIN, random.randrange(61))
            for row in random.choices(rows, k=random.choice([1, len(rows), 3 * len(rows)]))
        )
        for row in rows:
            if random.random() < 0.1:
                both.say(row, random.choice([1, 320, 639, 640, 3200, 50_000]))
            elif random.random() < 0.02:
                both.clear(row)
            elif random.random() < 0.05:
                both.start(row)
            elif random.random() < oddness / 10:
                both.change(row, random.choice(list(Codec)))
        both.say_frames({row: random.choice([1, 1, 1, 2, 3]) for row in rows if random.random() < 0.4})
        both.wait(random.choice([0.0, 0.001, 0.005, 0.005, 0.020, 0.020, 0.070]))


@settings(max_examples=60)
@given(st.integers(0, 1 << 32), st.lists(stream_options, min_size=1, max_size=CAPACITY), st.booleans())
def test_calls_of_any_format_are_given_what_each_is_given_alone(
    seed: int, formats: list[StreamOptions], odd: bool
) -> None:
    random, both = Random(seed), TwoBridges(seed)
    for options in formats:
        both.open(options, random.choice(list(Codec)))
    for row in list(both.calls):
        both.start(row)
    talk(both, random, steps=10, oddness=0.3 if odd else 0.0)
    for row in list(both.calls):
        both.close(row)


def test_calls_that_come_and_go_leave_nothing_in_their_rows() -> None:
    for seed in range(6):
        random, both = Random(seed), TwoBridges(seed)
        for _ in range(30):
            while len(both.calls) < CAPACITY - 1:
                both.open(some_options(random), random.choice(list(Codec)))
            talk(both, random, steps=4, oddness=0.05)
            for row in random.sample(list(both.calls), 3):
                both.close(row)
        both.wait(1.0)  # a stall: some frames are left out, for all alike
        talk(both, random, steps=10, oddness=0.0)
        for row in list(both.calls):
            both.close(row)
        assert both.plane.calls == 0
