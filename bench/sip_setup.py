"""Says what a call costs in SIP alone: two user agents, no sockets, INVITE, 100, 180, 200, ACK, BYE, 200.

    python bench/sip_setup.py --calls 1000 [--profile]

The time is that of both sides; the clock of the calls is virtual, so that transactions are forgotten as in life.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from random import Random
from statistics import median

from sip import Address, CallReceived, SipUri, UserAgent

CALLER: Address = ("192.0.2.10", 5060)
SIDECAR: Address = ("192.0.2.20", 5070)
OFFER = (
    b"v=0\r\no=FreeSWITCH 1 1 IN IP4 192.0.2.10\r\ns=FreeSWITCH\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    b"m=audio 24680 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n"
)
ANSWER = OFFER.replace(b"192.0.2.10", b"192.0.2.20")
HEADERS = tuple((f"X-STREAM_OPTION_{number}", "a value") for number in range(6))
SECONDS_A_CALL = 0.02  # of virtual time: 50 calls a second
ROUNDS = 7


class Pair:
    """A caller and a sidecar with a perfect wire between them."""

    def __init__(self) -> None:
        self.caller = UserAgent(contact=CALLER, random=Random(1))
        self.callee = UserAgent(contact=SIDECAR, random=Random(2))
        self.messages = 0

    def call(self, now: float) -> None:
        """Place a call, answer it, end it."""
        ref = self.caller.invite(
            SipUri(*SIDECAR, user="bot"),
            destination=SIDECAR,
            from_uri=SipUri(*CALLER, user="caller"),
            body=OFFER,
            headers=HEADERS,
            now=now,
        )
        self._exchange(now)
        self.caller.hang_up(ref, now=now)
        self._exchange(now)
        for agent in (self.caller, self.callee):
            agent.handle_timeout(now=now)
            agent.datagrams_to_send()

    def _exchange(self, now: float) -> None:
        is_busy = True
        while is_busy:
            is_busy = self._carry(self.caller, self.callee, CALLER, now) | self._carry(
                self.callee, self.caller, SIDECAR, now
            )
            self._answer(now)
            while self.caller.next_event() is not None:
                pass

    def _carry(self, sender: UserAgent, receiver: UserAgent, source: Address, now: float) -> bool:
        datagrams = sender.datagrams_to_send()
        for data, _ in datagrams:
            receiver.receive_datagram(data, source, now=now)
            self.messages += 1
        sender.next_timeout()
        return bool(datagrams)

    def _answer(self, now: float) -> None:
        while (event := self.callee.next_event()) is not None:
            if isinstance(event, CallReceived):
                self.callee.respond(event.call, 180, now=now)
                self.callee.answer(event.call, ANSWER, now=now)


def run(calls: int) -> Pair:
    """Run calls one after another."""
    pair = Pair()
    for number in range(calls):
        pair.call(number * SECONDS_A_CALL)
    assert pair.callee.counters.calls_ended == calls
    return pair


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--profile", action="store_true", help="say where the time goes")
    arguments = parser.parse_args()
    if arguments.profile:
        with cProfile.Profile() as profile:
            run(arguments.calls)
        pstats.Stats(profile).sort_stats("tottime").print_stats(35)
        return
    run(200)
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        pair = run(arguments.calls)
        rounds.append((time.process_time() - start) / arguments.calls / 2 * 1e6)
    print(f"{arguments.calls} calls, {pair.messages / arguments.calls:.0f} messages each")
    print(f"{min(rounds):.0f} us a call and side in the best of {ROUNDS} rounds, {median(rounds):.0f} in the median")


if __name__ == "__main__":
    main()
