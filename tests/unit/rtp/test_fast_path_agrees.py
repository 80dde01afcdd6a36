"""The fast path gives what the slow path gives: the same samples at the same times, and the same counts.

A `MediaPlane` gets the datagrams of several calls in batches, each call's `ReceiveStream` gets its own one by one.
After every batch, and after every `handle_timeout`, both must have given the same. `handle_timeout` is called on all at
the same times; early or late makes no difference to either, so it need not be called when a deadline is due.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from random import Random
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rtp import Codec, Frames, Leg, MediaPlane, Pcm, ReceiveStream, RtpError, RtpPacket, address_key, is_rtcp
from tests.support.rtp_sender import ACTIONS, PLAIN, Action, RtpSender, batch_of

CALLS = [
    (Codec.PCMU, 0),
    (Codec.PCMA, 8),
    (Codec.PCMU, 96),
    (Codec.L16_8K, 97),
    (Codec.L16_16K, 98),
    (Codec.G722, 9),
    (Codec.OPUS, 99),
]
EVENTS = 101
STRANGER = address_key("192.0.2.66", 6666)
WAITS = (0.0, 0.001, 0.005, 0.020, 0.020, 0.050, 0.060, 0.100)


class Change(NamedTuple):
    """Another codec for call number `call`."""

    call: int
    codec: Codec
    payload_type: int
    follows: bool
    moves: int = 0


def alone(call: int) -> ReceiveStream:
    return ReceiveStream(*CALLS[call], EVENTS, fills_pauses=True)


class TwoReceivers:
    """The same calls twice: as rows of a plane, and each alone."""

    def __init__(self, seed: int) -> None:
        random = Random(seed)
        self.now = 100.0
        self.plane = MediaPlane(capacity=9, random=random)
        self.senders = [RtpSender(random, payload_type=payload_type, codec=codec) for codec, payload_type in CALLS]
        self.sources = [address_key(f"192.0.2.{number}", 4000 + number) for number in range(len(CALLS))]
        self.alone = [alone(call) for call in range(len(CALLS))]
        self.rows = [self._opened(call) for call in range(len(CALLS))]
        self.malformed = self.unknown = 0
        self.lossy_until = 0.0

    def _opened(self, call: int) -> int:
        codec, payload_type = CALLS[call]
        row = self.plane.open(
            Leg(
                codec=codec,
                payload_type=payload_type,
                send_payload_type=payload_type,
                destination=self.sources[call],
                telephone_event_payload_type=EVENTS,
            )
        )
        assert row is not None
        return row

    def end_call(self, call: int) -> None:
        """End a call in the middle of whatever it is doing, and begin another from the same address."""
        assert self.plane.close(self.rows[call]) == self.alone[call].counters
        self.rows[call] = self._opened(call)
        self.alone[call] = alone(call)
        self.senders[call].change(CALLS[call][1], CALLS[call][0])

    def change(self, change: Change) -> None:
        """Give a call another codec, and perhaps another address; its sender follows, or is slow to."""
        self.sources[change.call] ^= address_key("0.0.0.0", change.moves) ^ address_key("0.0.0.0", 0)
        assert self.plane.change(
            self.rows[change.call],
            Leg(
                codec=change.codec,
                payload_type=change.payload_type,
                send_payload_type=0,
                destination=self.sources[change.call],
                telephone_event_payload_type=EVENTS,
            ),
            now=self.now,
        )
        self.alone[change.call].change(change.codec, change.payload_type, EVENTS)
        if change.follows:
            self.senders[change.call].change(change.payload_type, change.codec)

    def lose(self) -> None:
        """Say that datagrams were dropped here."""
        self.plane.lose(now=self.now)
        self.lossy_until = self.now + 1.0

    def deliver(self, actions: Iterable[Action]) -> None:
        """Let all that the actions make arrive in one batch."""
        self._deliver([(each, a.call) for a in actions for each in self.senders[a.call].act(a.kind, a.argument)])

    def deliver_stray(self, datagram: bytes) -> None:
        """Let something come from an address that no call has offered."""
        assert not list(self.plane.receive(*batch_of([(datagram, STRANGER)]), now=self.now))
        self.unknown += 1

    def _deliver(self, arriving: list[tuple[bytes, int]]) -> None:
        batch = batch_of([(datagram, self.sources[call]) for datagram, call in arriving])
        frames = self.plane.receive(*batch, now=self.now)
        for datagram, call in arriving:
            try:
                if not is_rtcp(datagram):  # which goes its own way: RFC 5761
                    lossy = self.now < self.lossy_until
                    self.alone[call].receive(RtpPacket.parse(datagram), now=self.now, skips_gaps=lossy)
            except RtpError:
                self.malformed += 1
        self.compare(frames)

    def wait(self, seconds: float) -> None:
        """Let time pass, and tell all."""
        self.now += seconds
        frames = self.plane.handle_timeout(now=self.now)
        for stream in self.alone if self.now >= self.lossy_until else ():
            stream.handle_timeout(now=self.now)
        self.compare(frames)

    def compare(self, frames: Iterable[Frames]) -> None:
        """Both have given the same samples, and wait for the same time."""
        given_out: dict[int, list[Pcm]] = defaultdict(list)
        for rows, pcm in frames:
            assert len(set(rows.tolist())) == len(rows), "a row comes twice in one batch"
            for row, samples in zip(rows.tolist(), pcm, strict=True):
                given_out[row].append(samples)
        for row, stream in zip(self.rows, self.alone, strict=True):
            ours, theirs = given_out.pop(row, []), stream.take_frames()
            assert np.array_equal(np.array(ours), np.array(theirs)), f"row {row}"
            assert {len(frame) for frame in ours} <= {self.plane.codec(row).frame_samples}
            assert self.plane.take_telephone_events(row) == stream.take_telephone_events()
        assert not given_out
        deadlines = [at for stream in self.alone if (at := stream.next_timeout()) is not None]
        assert self.plane.next_timeout() == min(deadlines, default=None)

    def finish(self) -> None:
        """Let all arrive that is still on its way, and all wait that waits; the counts agree as well."""
        self._deliver([(each, call) for call, sender in enumerate(self.senders) for each in sender.release_all()])
        self.wait(1.0)  # all that was lost here is over
        self.deliver(Action(call, PLAIN) for call in range(len(CALLS)))
        for row, stream in zip(self.rows, self.alone, strict=True):
            assert self.plane.receive_counters(row) == stream.counters
            assert self.plane.close(row) == stream.counters
        assert self.plane.gate.counters.malformed == self.malformed
        assert self.plane.gate.counters.unknown_source == self.unknown
        assert self.plane.next_timeout() is None


calls = st.integers(0, len(CALLS) - 1)
plain_actions = st.builds(Action, calls, st.just(PLAIN))
odd_actions = st.builds(Action, calls, st.sampled_from(ACTIONS), st.integers(0, 60))
changes = st.builds(
    Change, calls, st.sampled_from(Codec), st.sampled_from([0, 8, 96]), st.booleans(), st.integers(0, 1)
)
batches = st.lists(plain_actions | plain_actions | odd_actions, max_size=16)


@settings(max_examples=200)
@given(st.integers(0, 1 << 32), st.lists(batches | st.sampled_from(WAITS) | calls | changes | st.none(), max_size=24))
def test_a_row_gives_what_a_stream_alone_gives(
    seed: int, steps: list[list[Action] | float | int | Change | None]
) -> None:
    both = TwoReceivers(seed)
    for step in steps:
        if step is None:
            both.lose()
        elif isinstance(step, float):
            both.wait(step)
        elif isinstance(step, int):
            both.end_call(step)
        elif isinstance(step, Change):
            both.change(step)
        else:
            both.deliver(step)
    both.finish()


def test_rows_give_what_streams_alone_give_in_a_long_talk() -> None:
    """Minutes of each of four calls, across the wrap of the sequence numbers; each seed is odd in its own way."""
    for seed in range(16):
        random, both = Random(seed), TwoReceivers(seed)
        oddness, kinds = random.choice([0.005, 0.05, 0.2, 0.6]), random.sample(ACTIONS, random.choice([1, 2, 4, 8]))
        for _ in range(300):
            both.deliver(
                Action(random.randrange(len(CALLS)), random.choice(kinds), random.randrange(61))
                if random.random() < oddness
                else Action(random.randrange(len(CALLS)), PLAIN)
                for _ in range(random.choice([1, 2, 4, 8, 30]))
            )
            if random.random() < 0.3:
                both.wait(random.choice(WAITS))
            if random.random() < 0.03:
                both.lose()
            if random.random() < 0.05:
                both.deliver_stray(random.randbytes(172))
            if random.random() < 0.01:
                both.end_call(random.randrange(len(CALLS)))
            if random.random() < 0.02:
                codec, payload_type = random.choice(CALLS)
                both.change(
                    Change(random.randrange(len(CALLS)), codec, payload_type, follows=random.random() < 0.5, moves=1)
                )
        both.finish()


def test_a_stray_is_forgotten_on_the_fast_path_too() -> None:
    both = TwoReceivers(seed=1)
    for kind in (PLAIN, PLAIN, "stray", PLAIN, "stray", PLAIN):
        both.deliver([Action(0, kind)])
    both.finish()
