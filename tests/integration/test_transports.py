"""Whole calls over TCP, TLS and IPv6, by real peers; the media goes its own way."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any, Literal

import pytest
from structlog.testing import capture_logs

from sidecar.core.listening import judge
from sidecar.io.caller import CallPlan, HungUpBy, place_call
from sidecar.io.sip_connection import Ending
from sidecar.sample import load_melody
from sip import Message, Request, Response, SipUri
from tests.integration.conftest import StartSidecar
from tests.support import sipp
from tests.support.baresip import Baresip, CallFailed
from tests.support.bots import Bot, EchoBot
from tests.support.capture import rtp_packets
from tests.support.certificates import write_certificate
from tests.support.sidecar import SidecarUnderTest, sidecar_under_test
from tests.support.sip_messages import OFFER, request
from tests.support.sip_stream import SipStream, connected, listening
from tests.support.stalls import measured_stalls
from tests.support.tones import find_tone, gaps, make_tone

TONE_HZ = 437.0
LOOPBACK = "127.0.0.1"
MELODY = load_melody()[: 8 * 600]
PACKETS = rtp_packets(make_tone(TONE_HZ, level_dbfs=-14.0, seconds=1.0, rate=8000))


@pytest.fixture
def start_sidecar() -> StartSidecar:
    """SIP goes its own way: one way of reading media is enough."""
    return sidecar_under_test


async def talk(car: SidecarUnderTest, caller: Baresip, transport: Literal["tcp", "tls"]) -> None:
    """Say a tone, and demand it back from the echo bot."""
    async with measured_stalls() as stalls:
        await caller.dial(car.uri(transport=transport))
        await asyncio.sleep(2.5)
        await caller.hang_up()
        await car.until_no_calls()
    heard, rate = caller.heard
    tone = heard[heard.nonzero()[0][0] + 800 :][:12000]
    assert find_tone(tone, rate).frequency_hz == pytest.approx(TONE_HZ, abs=1.0)
    assert len(gaps(tone, rate)) <= stalls.forgiven


def caller_tone() -> Any:
    return make_tone(TONE_HZ, level_dbfs=-14.0, seconds=5.0, rate=8000)


@pytest.mark.peer("baresip")
async def test_baresip_calls_over_tls_and_hears_the_bot(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    certificate = write_certificate(tmp_path)
    async with (
        EchoBot() as bot,
        start_sidecar(stream={"url": bot.url, "preroll": "200"}, sip={"tls_certificate": certificate}) as car,
        Baresip(tmp_path / "caller", says=caller_tone(), transport="tls", ca=certificate) as caller,
    ):
        await talk(car, caller, "tls")
        assert "SIP/2.0/TLS" in caller.log
        assert car.sidecar.streams.counters.accepted == 1


@pytest.mark.peer("baresip")
async def test_baresip_calls_over_tcp_and_hears_the_bot(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    async with (
        EchoBot() as bot,
        start_sidecar(stream={"url": bot.url, "preroll": "200"}) as car,
        Baresip(tmp_path, says=caller_tone(), transport="tcp") as caller,
    ):
        await talk(car, caller, "tcp")
        assert car.sidecar.streams.counters.accepted == 1
        assert car.sidecar.streams.counters.opened == 0


@pytest.mark.peer("baresip")
async def test_baresip_needs_a_certificate_where_one_is_demanded(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    certificate = write_certificate(tmp_path)
    (tmp_path / "strangers").mkdir()
    strangers = write_certificate(tmp_path / "strangers")
    async with EchoBot() as bot:
        settings = {"tls_certificate": certificate, "tls_client_ca": certificate}
        async with start_sidecar(stream={"url": bot.url, "preroll": "200"}, sip=settings) as car:
            counters = car.sidecar.streams.counters
            for number, shown in enumerate([None, strangers], 1):
                with capture_logs() as logs:
                    async with Baresip(
                        tmp_path / f"{number}", says=caller_tone(), transport="tls", certificate=shown, ca=certificate
                    ) as refused:
                        with pytest.raises(CallFailed):  # baresip does not say that it cannot connect
                            await refused.dial(car.uri(transport="tls"), within=1.0)
                        async with asyncio.timeout(10.0):
                            while counters.ended[Ending.NOT_SHAKEN] < number:  # noqa: ASYNC110  nobody tells of it
                                await asyncio.sleep(0.01)
                assert any("certificate" in str(log.get("why")) for log in logs), logs
            assert bot.calls == []
            known = Baresip(
                tmp_path / "known", says=caller_tone(), transport="tls", certificate=certificate, ca=certificate
            )
            async with known as caller:
                await talk(car, caller, "tls")


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("transport", ["tcp", "tcp each"])
async def test_sipp_calls_over_tcp(
    start_sidecar: StartSidecar, tmp_path: Path, transport: Literal["tcp", "tcp each"]
) -> None:
    async with EchoBot() as bot, start_sidecar(stream={"url": bot.url}) as car:
        outcome = await sipp.run(
            "call_with_pcap", car.address, tmp_path, packets=PACKETS, calls=20, seconds=1.2, transport=transport
        )
        outcome.assert_all_successful(20)
        assert outcome.retransmissions == 0
        await bot.closed(20)
        assert all(
            0.7 * 8000 <= len(call.heard) <= 2 * 8000 for call in bot.calls
        )  # a second, on a machine that may stall
        assert car.sidecar.streams.counters.accepted == (1 if transport == "tcp" else 20)


@pytest.mark.peer("sipp")
@pytest.mark.parametrize("listen_at", ["::1", "::"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_sipp_calls_over_ipv6_with_media_on_ipv4(
    start_sidecar: StartSidecar, tmp_path: Path, listen_at: str, transport: Literal["udp", "tcp"]
) -> None:
    async with EchoBot() as bot, start_sidecar(stream={"url": bot.url}, sip={"host": listen_at}) as car:
        target = f"[::1]:{car.sidecar.sip_address[1]}"
        outcome = await sipp.run(
            "call_with_pcap",
            target,
            tmp_path,
            packets=PACKETS,
            calls=2,
            seconds=1.2,
            transport=transport,
            host="[::1]",
        )
        outcome.assert_all_successful(2)
        await bot.closed(2)
        assert all(8000 <= len(call.heard) <= 1.6 * 8000 for call in bot.calls)
        assert f"Contact: <sip:{target}" in outcome.log
        assert f"c=IN IP4 {LOOPBACK}" in outcome.log


@pytest.mark.peer("sipp")
async def test_on_all_addresses_each_caller_is_told_the_one_it_has_reached(
    start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    hosts = {"sip": {"host": "0.0.0.0"}, "rtp": {"host": "0.0.0.0"}}
    async with EchoBot() as bot, start_sidecar(stream={"url": bot.url}, **hosts) as car:
        port = car.sidecar.sip_address[1]
        outcome = await sipp.run("call_with_pcap", f"{LOOPBACK}:{port}", tmp_path, packets=PACKETS, seconds=1.2)
        outcome.assert_all_successful()
        await bot.closed()
        assert 8000 <= len(bot.call.heard) <= 1.6 * 8000
        assert f"Contact: <sip:{LOOPBACK}:{port}" in outcome.log
        assert outcome.log.count(f"c=IN IP4 {LOOPBACK}") >= 2  # theirs and ours


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("sip:bot@127.0.0.1:{port};transport=tcp", "127.0.0.1"),
        ("sip:bot@127.0.0.1:{tls_port};transport=tls", "127.0.0.1"),
        ("sips:bot@[::1]:{tls_port}", "::1"),
        ("sip:bot@[::1]:{port}", "::1"),
        ("sip:bot@[::1]:{port};transport=TCP", "::"),
        ("sip:bot@localhost:{port};transport=tcp", "::"),
    ],
)
async def test_the_test_caller_calls_by_every_transport(
    start_sidecar: StartSidecar, tmp_path: Path, uri: str, host: str
) -> None:
    certificate = write_certificate(tmp_path, address="127.0.0.1" if host == "::" else host)
    settings = {"host": host, "tls_certificate": certificate}
    async with EchoBot() as bot, start_sidecar(stream={"url": bot.url}, sip=settings) as car:
        ports = {"port": car.sidecar.sip_address[1], "tls_port": car.sidecar.tls_port}
        plan = CallPlan(SipUri.parse(uri.format(**ports)), MELODY, seconds=1.0, tls_ca=certificate)
        result = await place_call(plan)
        assert (result.status, result.hung_up_by) == (200, HungUpBy.CALLER), result.reason
        assert judge(result.recording).frames_received > 25
        assert (car.sidecar.streams.counters.accepted > 0) == (plan.transport != "UDP")
        await bot.closed()


async def test_the_test_caller_trusts_nobody_else(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    certificate = write_certificate(tmp_path)
    async with start_sidecar(sip={"tls_certificate": certificate}) as car:
        uri = SipUri.parse(f"sips:bot@{LOOPBACK}:{car.sidecar.tls_port}")
        with capture_logs() as logs:
            result = await place_call(CallPlan(uri, MELODY, seconds=1.0))
        assert (result.status, result.reason) == (408, "nobody there answers SIP over TLS")
        assert "self-signed" in str(logs)


@pytest.mark.parametrize("known", [True, False], ids=["known", "another authority"])
async def test_a_client_that_knows_another_authority_refuses_us(
    start_sidecar: StartSidecar, tmp_path: Path, known: bool
) -> None:
    certificate = write_certificate(tmp_path)
    (tmp_path / "another").mkdir()
    another = write_certificate(tmp_path / "another")
    async with start_sidecar(sip={"tls_certificate": certificate}) as car:
        context = ssl.create_default_context(cafile=certificate if known else another)
        address = (LOOPBACK, car.sidecar.tls_port)
        if known:
            async with connected(address, tls=context) as stream:
                stream.write(request("OPTIONS", via="Via: SIP/2.0/TLS h;branch=z9hG4bK-1"))
                assert isinstance(await stream.read(), Response)
            return
        with pytest.raises(ssl.SSLCertVerificationError):
            async with connected(address, tls=context):
                pass
        await asyncio.sleep(0.1)
        assert car.sidecar.streams.counters.ended[Ending.NOT_SHAKEN] == 1


async def answered_call(car: SidecarUnderTest, bot: Bot, stream: SipStream, contact: str) -> Message:
    """Place a call over `stream`; return its 200."""
    headers = (f"X-STREAM_URL: {bot.url}",)
    body = OFFER.replace(b"192.0.2.10", LOOPBACK.encode())
    stream.write(request(via=via(1, contact), contact=contact, headers=headers, body=body))
    while (response := await stream.read()) and isinstance(response, Response) and response.status < 200:
        pass
    assert isinstance(response, Response)
    assert response.status == 200
    stream.write(request("ACK", via=via(2, contact), contact=contact, to_tag=response.to.tag))
    return response


def via(number: int, contact: str) -> str:
    transport = "TLS" if "tls" in contact else "TCP"
    address = contact.partition("sip:")[2].partition(";")[0]
    return f"Via: SIP/2.0/{transport} {address};branch=z9hG4bK-{number}"


async def ended_by_bye(stream: SipStream) -> Request:
    bye = await stream.read()
    assert isinstance(bye, Request)
    assert bye.method == "BYE"
    stream.write(bytes(Response.answering(bye, 200)))
    return bye


async def test_a_call_survives_its_connection_and_goes_on_by_a_new_one(start_sidecar: StartSidecar) -> None:
    async with Bot() as bot, start_sidecar() as car, listening() as peer:
        contact = peer.uri()
        async with connected(car.sidecar.sip_address) as stream:
            ok = await answered_call(car, bot, stream, contact)
        async with connected(car.sidecar.sip_address) as stream:  # their side asks by a connection of theirs
            stream.write(request("INVITE", via=via(3, contact), contact=contact, cseq=2, to_tag=ok.to.tag))
            provisional_or_final = await stream.read()
            assert isinstance(provisional_or_final, Response)
            assert provisional_or_final.status != 481
            assert car.sidecar.control.calls == 1
            stream.write(request("BYE", via=via(4, contact), contact=contact, cseq=3, to_tag=ok.to.tag))
            while not (isinstance(last := await stream.read(), Response) and last.cseq.method == "BYE"):
                pass
            assert last.status == 200
        await bot.closed()


@pytest.mark.parametrize("peer_listens", [True, False])
async def test_our_bye_goes_by_a_new_connection_to_their_contact(
    start_sidecar: StartSidecar, peer_listens: bool
) -> None:
    async with Bot() as bot, start_sidecar() as car, listening() as peer:
        contact = peer.uri() if peer_listens else f"<sip:{LOOPBACK}:1;transport=tcp>"
        async with connected(car.sidecar.sip_address) as stream:
            await answered_call(car, bot, stream, contact)
        await bot.hang_up()
        if peer_listens:
            await ended_by_bye(await peer.next())
        else:
            await car.until_no_bye_is_open()
        await car.until_no_calls()
        assert car.sidecar.streams.counters.opened == 1
        assert car.sidecar.streams.counters.ended[Ending.NOT_OPENED] == (0 if peer_listens else 1)


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "another authority"])
async def test_a_connection_of_ours_verifies_the_peer(
    start_sidecar: StartSidecar, tmp_path: Path, trusted: bool
) -> None:
    certificate = write_certificate(tmp_path)
    (tmp_path / "another").mkdir()
    another = write_certificate(tmp_path / "another")
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(certificate)
    settings = {"tls_certificate": certificate, "tls_ca": certificate if trusted else another}
    with capture_logs() as logs:
        async with Bot() as bot, start_sidecar(sip=settings) as car, listening(tls=serving) as peer:
            contact = peer.uri().replace("tcp", "tls")
            trusting = ssl.create_default_context(cafile=certificate)
            async with connected((LOOPBACK, car.sidecar.tls_port), tls=trusting) as stream:
                ok = await answered_call(car, bot, stream, contact)
                assert ok.contact is not None
                assert ok.contact.uri == f"sip:{LOOPBACK}:{car.sidecar.tls_port};transport=tls"
            await bot.hang_up()
            if trusted:
                await ended_by_bye(await peer.next())
            else:
                await car.until_no_bye_is_open()
            await car.until_no_calls()
    failures = [log["why"] for log in logs if log["event"] == "no SIP connection"]
    assert failures == [] if trusted else len(failures) == 1
    assert trusted or "self-signed" in failures[0]


async def test_a_handshake_that_never_ends_is_ended(start_sidecar: StartSidecar, tmp_path: Path) -> None:
    async with start_sidecar(sip={"tls_certificate": write_certificate(tmp_path)}) as car:
        async with connected((LOOPBACK, car.sidecar.tls_port)) as stream:
            await stream.closed(within=8.0)
        assert car.sidecar.streams.counters.ended == {Ending.NOT_SHAKEN: 1}
