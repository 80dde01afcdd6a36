"""Calls with ports of their own."""

from __future__ import annotations

from rtp import PortAllocator
from rtp.port_allocator import REST
from sidecar.core.link import BotConnected, OpenStream, StreamRefused
from sip import CallEnded, SessionDescription
from tests.support.call_rig import BOT, CallRig

ANY_BOT = {"X-STREAM_URL": BOT}


def rig_with_ports(count: int) -> tuple[CallRig, PortAllocator]:
    ports = PortAllocator(20000, 20000 + 2 * count - 1)
    return CallRig(ports=ports), ports


def test_a_call_is_answered_with_a_port_of_its_own_that_is_given_back() -> None:
    rig, ports = rig_with_ports(1)
    call = rig.call(ANY_BOT)
    (opened,) = rig.told
    assert isinstance(opened, OpenStream)
    assert opened.port == 20000
    rig.worker_says(BotConnected(rig.stream))
    (answered,) = (event.response for event in rig.heard if hasattr(event, "response"))
    assert SessionDescription.parse(answered.body).media[0].port == 20000
    assert ports.taken == 1
    rig.hang_up(call)
    assert ports.taken == 1  # the worker has it still
    rig.end_stream()
    assert ports.taken == 0


def test_without_a_port_a_call_is_refused_for_now() -> None:
    rig, ports = rig_with_ports(1)
    rig.call(ANY_BOT)
    rig.call(ANY_BOT)
    ended = rig.heard[-1]
    assert isinstance(ended, CallEnded)
    assert ended.status == 503
    assert ended.message is not None
    assert ended.message.headers.get("Retry-After") == "5"
    rig.worker_says(StreamRefused(rig.stream, "port 20000: in use"))
    assert (ports.taken, ports.refused) == (0, 1)
    rig.run(REST)
    rig.call(ANY_BOT)
    assert ports.taken == 1


def test_an_offer_that_cannot_be_taken_takes_no_port() -> None:
    rig, ports = rig_with_ports(1)
    rig.call(ANY_BOT, media_address="224.0.0.1")
    ended = rig.heard[-1]
    assert isinstance(ended, CallEnded)
    assert ended.status == 488
    assert ports.taken == 0
