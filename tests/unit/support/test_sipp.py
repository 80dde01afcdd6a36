from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import pytest

from tests.support import sipp
from tests.support.capture import CLOCK_RATE, rtp_packets
from tests.support.ports import LOOPBACK
from tests.support.rtp_receiver import RtpReceiver
from tests.support.tones import find_tone, gaps, make_tone, splices

pytestmark = pytest.mark.peer("sipp")

PACKETS = rtp_packets(make_tone(437.0, level_dbfs=-12.0, seconds=0.6, rate=CLOCK_RATE))
HEADERS = {"X-STREAM_URL": "ws://127.0.0.1:1/ws", "X-STREAM_MIX": "mono"}

Answer = Callable[["Server", str], Iterator[str]]


class Server(asyncio.DatagramProtocol):
    """Answers each SIP request with what a function makes of it."""

    def __init__(self, answer: Answer, *, rtp_port: int = 9) -> None:
        self.requests: list[str] = []
        self.rtp_port = rtp_port
        self._answer = answer
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def address(self) -> str:
        assert self._transport is not None
        host, port = self._transport.get_extra_info("sockname")
        return f"{host}:{port}"

    @property
    def methods(self) -> list[str]:
        return [request.split(" ", 1)[0] for request in self.requests]

    async def __aenter__(self) -> Server:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (LOOPBACK, 0))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._transport is not None
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        self.requests.append(data.decode())
        for message in self._answer(self, data.decode()):
            self._transport.sendto(message.encode(), addr)

    def respond(self, request: str, status: str, *extra: str) -> str:
        """Write a response; one to an INVITE that says 200 or 183 has a session description."""
        kept = re.findall(r"^(?:Via|From|To|Call-ID|CSeq|Record-Route):.*?(?=\r$)", request, re.MULTILINE)
        lines = [line + ";tag=s" if line.startswith("To:") and ";tag=" not in line else line for line in kept]
        body = ""
        if request.startswith("INVITE") and status.startswith(("183", "200")):
            lines.append("Content-Type: application/sdp")
            body = (
                f"v=0\r\no=- 1 1 IN IP4 {LOOPBACK}\r\ns=-\r\nc=IN IP4 {LOOPBACK}\r\nt=0 0\r\n"
                f"m=audio {self.rtp_port} RTP/AVP 0\r\n"
            )
        lines += [f"Contact: <sip:contact@{self.address}>", *extra, f"Content-Length: {len(body)}"]
        return "\r\n".join([f"SIP/2.0 {status}", *lines, "", body])


def accept(server: Server, request: str) -> Iterator[str]:
    if request.startswith("INVITE"):
        yield server.respond(request, "100 Trying")
        yield server.respond(request, "183 Session Progress")
        yield server.respond(request, "200 OK")
    elif not request.startswith("ACK"):
        yield server.respond(request, "200 OK")


async def test_the_audio_of_a_capture_arrives_whole_and_in_time(tmp_path: Path) -> None:
    async with RtpReceiver() as receiver, Server(accept, rtp_port=receiver.port) as server:
        outcome = await sipp.run(
            "call_with_pcap", server.address, tmp_path, packets=PACKETS, headers=HEADERS, user="sales", seconds=0.7
        )
    outcome.assert_all_successful()
    assert outcome.retransmissions == 0
    assert server.methods == ["INVITE", "ACK", "BYE"]
    assert server.requests[0].startswith("INVITE sip:sales@")
    assert "\r\nX-STREAM_URL: ws://127.0.0.1:1/ws\r\nX-STREAM_MIX: mono\r\n" in server.requests[0]
    assert "X-STREAM" not in server.requests[1]
    assert server.requests[1].startswith(f"ACK sip:contact@{server.address} SIP/2.0")
    assert len(receiver.packets) == 30
    (offered,) = re.findall(r"m=audio (\d+)", server.requests[0])
    assert receiver.sources == {(LOOPBACK, int(offered))}
    found = find_tone(receiver.pcm, CLOCK_RATE)
    assert abs(found.frequency_hz - 437.0) < 1.0
    assert abs(found.level_dbfs + 12.0) < 0.2
    assert gaps(receiver.pcm, CLOCK_RATE) == []
    assert splices(receiver.pcm, CLOCK_RATE) == []
    assert sum(receiver.intervals_ms) == pytest.approx(580, abs=60)


async def test_a_test_hears_what_is_sent_to_each_of_several_calls(tmp_path: Path) -> None:
    def send_back(server: Server, request: str) -> Iterator[str]:
        if request.startswith("ACK"):
            assert server._transport is not None
            for index, receiver in enumerate(receivers[: server.methods.count("ACK")]):
                server._transport.sendto(b"call %d" % index, (LOOPBACK, receiver.port))
        yield from accept(server, request)

    async with sipp.listeners(calls=3) as (media_port, receivers), Server(send_back) as server:
        outcome = await sipp.run("early_bye", server.address, tmp_path, calls=3, rate=50, media_port=media_port)
    outcome.assert_all_successful(calls=3)
    offered = {int(port) for request in server.requests for port in re.findall(r"m=audio (\d+)", request)}
    assert offered == {receiver.port for receiver in receivers}
    assert [receiver.packets[0].data for receiver in receivers] == [b"call 0", b"call 1", b"call 2"]


async def test_requests_within_the_call_follow_the_record_route(tmp_path: Path) -> None:
    def record_route(server: Server, request: str) -> Iterator[str]:
        for response in accept(server, request):
            yield response.replace("\r\nContact:", f"\r\nRecord-Route: <sip:{server.address};lr>\r\nContact:")

    async with Server(record_route) as server:
        (await sipp.run("early_bye", server.address, tmp_path)).assert_all_successful()
        assert server.methods == ["INVITE", "ACK", "BYE"]
        for request in server.requests[1:]:
            assert f"\r\nRoute: <sip:{server.address};lr>\r\n" in request
            assert " sip:contact@" in request.split("\r\n")[0]


async def test_a_refusal_must_have_the_status_and_the_explanation_that_are_expected(tmp_path: Path) -> None:
    def refuse(server: Server, request: str) -> Iterator[str]:
        if request.startswith("INVITE"):
            yield server.respond(request, "400 Bad Request", 'Warning: 399 sidecar "RATE: 7k is no rate"')

    values = {"status": "400", "header": "Warning", "pattern": '^ *399 [^ ]+ "RATE: .*"$'}
    async with Server(refuse) as server:
        right = await sipp.run("call_refused", server.address, tmp_path / "right", values=values)
        other_words = values | {"pattern": "MIX"}
        wrong_words = await sipp.run("call_refused", server.address, tmp_path / "words", values=other_words)
        other_status = values | {"status": "503"}
        wrong_status = await sipp.run("call_refused", server.address, tmp_path / "status", values=other_status)
        other_header = values | {"header": "Reason"}
        wrong_header = await sipp.run("call_refused", server.address, tmp_path / "header", values=other_header)
    right.assert_all_successful()
    assert server.methods[:2] == ["INVITE", "ACK"]
    assert wrong_words.failures == {"RegexpDoesntMatch": 1}
    assert wrong_status.failures == {"UnexpectedMessage": 1}
    assert wrong_header.failures == {"RegexpHdrNotFound": 1}
    with pytest.raises(AssertionError, match=r"SIP/2\.0 400 Bad Request"):
        wrong_status.assert_all_successful()


@pytest.mark.parametrize("provisional", [["100 Trying"], ["180 Ringing"], ["100 Trying", "180 Ringing"]])
async def test_a_call_is_cancelled_once_it_is_under_way(provisional: list[str], tmp_path: Path) -> None:
    def ring(server: Server, request: str) -> Iterator[str]:
        if request.startswith("INVITE"):
            for status in provisional:
                yield server.respond(request, status)
        elif request.startswith("CANCEL"):
            yield server.respond(request, "200 OK")
            yield server.respond(server.requests[0], "487 Request Terminated")

    async with Server(ring) as server:
        (await sipp.run("cancel", server.address, tmp_path, seconds=0.1)).assert_all_successful()
    assert server.methods == ["INVITE", "CANCEL", "ACK"]
    assert len({re.findall(r"branch=([^;]*)", request)[0] for request in server.requests}) == 1


async def test_a_call_stays_up_until_the_server_ends_it(tmp_path: Path) -> None:
    def hang_up(server: Server, request: str) -> Iterator[str]:
        if request.startswith("ACK"):
            fields = dict(re.findall(r"^(From|To|Call-ID): (.*)\r$", request, re.MULTILINE))
            yield (
                f"BYE sip:sipp@{LOOPBACK} SIP/2.0\r\nVia: SIP/2.0/UDP {server.address};branch=z9hG4bK1;rport\r\n"
                f"From: {fields['To']}\r\nTo: {fields['From']}\r\nCall-ID: {fields['Call-ID']}\r\n"
                "CSeq: 1 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            )
        elif request.startswith("INVITE"):
            yield from accept(server, request)

    async with Server(hang_up) as server:
        outcome = await sipp.run("bye_from_server", server.address, tmp_path, packets=PACKETS)
    outcome.assert_all_successful()
    assert server.methods == ["INVITE", "ACK", "SIP/2.0"]
    assert server.requests[2].startswith("SIP/2.0 200 OK")


async def test_an_invite_is_sent_twice_octet_for_octet(tmp_path: Path) -> None:
    async with Server(accept) as server:
        (await sipp.run("retransmitted_invite", server.address, tmp_path)).assert_all_successful()
    invites = [request for request in server.requests if request.startswith("INVITE")]
    assert len(invites) == 2
    assert invites[0] == invites[1]


async def test_the_server_is_asked_for_its_options(tmp_path: Path) -> None:
    said = {"header": "Contact", "pattern": "sip:contact@"}
    async with Server(accept) as server:
        right = await sipp.run("options", server.address, tmp_path / "right", values={"status": "200", **said})
        wrong = await sipp.run("options", server.address, tmp_path / "wrong", values={"status": "503", **said})
    right.assert_all_successful()
    assert wrong.failures == {"UnexpectedMessage": 1}


async def test_calls_that_nobody_answers_fail_in_time(tmp_path: Path) -> None:
    async with Server(lambda server, request: iter(())) as server:
        outcome = await sipp.run("early_bye", server.address, tmp_path, within=1.0)
    assert (outcome.successful, outcome.failed) == (0, 1)
    assert outcome.retransmissions >= 1
    with pytest.raises(AssertionError, match="INVITE sip:service@"):
        outcome.assert_all_successful()
