"""What must hold whatever bytes come in: each target takes some, and raises if it does not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import TypeVar

from sip import (
    CallReceived,
    Codec,
    MediaCapabilities,
    OfferReceived,
    Origin,
    SdpError,
    SessionDescription,
    SipError,
    StreamFramer,
    accept_answer,
    answer_offer,
    make_offer,
    parse_message,
)
from sip.digest import parse_authorization
from tests.support.dialogs import ANSWER, Dialog
from tests.support.sip_messages import CALLER, OFFER, Peer, request, response

Item = TypeVar("Item")

TORTURE = Path(__file__).parents[1] / "conformance" / "messages"
CAPABILITIES = MediaCapabilities(
    "192.0.2.20",
    40_000,
    (Codec("PCMU", 8000), Codec("PCMA", 8000), Codec("G722", 8000), Codec("opus", 48_000, 2)),
    telephone_event=True,
    rtcp_mux=True,
    srtp_suites=("AES_CM_128_HMAC_SHA1_80", "AEAD_AES_128_GCM"),
)
ORIGIN = Origin(1, 1, "192.0.2.20")
METHODS = ("INVITE", "UPDATE", "INFO", "PRACK", "REFER", "NOTIFY", "BYE", "OPTIONS", "ACK", "CANCEL", "MESSAGE")
STATUSES = (100, 180, 183, 200, 202, 302, 401, 405, 408, 422, 481, 487, 488, 491, 503, 603)
PAUSES = (0.0, 0.1, 3.0, 40.0)
TRANSACTIONS_MAX = 30


class Choices:
    """Reads decisions off the bytes of the fuzzer."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def is_over(self) -> bool:
        """Whether no bytes are left."""
        return not self._data

    def byte(self) -> int:
        """Return the next byte; 0 at the end."""
        first, self._data = self._data[:1], self._data[1:]
        return first[0] if first else 0

    def pick(self, items: Sequence[Item]) -> Item:
        """Return one of the items."""
        return items[self.byte() % len(items)]

    def text(self) -> bytes:
        """Return the bytes up to the next 0xff."""
        taken, _, self._data = self._data.partition(b"\xff")
        return taken


def check_parser(data: bytes) -> None:
    """A message is read or refused; what was read is written so that it reads the same."""
    try:
        message = parse_message(data)
    except SipError:
        return
    again = parse_message(bytes(message))
    assert again == message, (again, message)


def check_description(data: bytes) -> None:
    """A description is read or refused, can be answered or not, and reads as it was written."""
    try:
        description = SessionDescription.parse(data)
    except SdpError:
        return
    assert SessionDescription.parse(bytes(description)) == description
    with contextlib.suppress(SipError):
        agreed = answer_offer(description, capabilities=CAPABILITIES, origin=ORIGIN, random=Random(1))
        assert len(agreed.description.media) == len(description.media)
        assert SessionDescription.parse(bytes(agreed.description)) == agreed.description
    with contextlib.suppress(SipError):
        accept_answer(make_offer(CAPABILITIES, origin=ORIGIN), description)


def check_framer(data: bytes) -> None:
    """However a stream is cut into pieces, the same messages come out of it."""
    choices = Choices(data[:8])
    data = data[8:]
    cuts: list[int] = []
    for _ in range(len(data)):
        cuts.append((cuts[-1] if cuts else 0) + (choices.byte() or 1))
    pieces = [data[start:end] for start, end in pairwise([0, *cuts]) if start < len(data)]
    assert b"".join(pieces) == data
    assert _framed([data]) == _framed(pieces)


def _framed(pieces: list[bytes]) -> tuple[list[bytes], bool, int]:
    """Return the messages of a stream, whether it ended by an error, and how many pings there were."""
    framer = StreamFramer(max_message=512)
    messages: list[bytes] = []
    try:
        for piece in [*pieces, b""]:  # what is wrong behind a message is told by the next call
            messages += framer.receive_data(piece)
    except SipError:
        return messages, True, framer.keepalives
    return messages, False, framer.keepalives


def check_digest(data: bytes) -> None:
    """An Authorization header is read or refused."""
    with contextlib.suppress(SipError):
        parse_authorization(data.decode("utf-8", "surrogateescape"))


def check_agent(data: bytes) -> None:
    """Whatever is said to an agent that has a call, it raises nothing, stays within bounds, and forgets it all."""
    choices = Choices(data)
    peer = Peer(max_transactions=TRANSACTIONS_MAX)
    dialog = Dialog(peer, placed_by_agent=choices.byte() % 2 == 1)
    for number in range(16):
        if choices.is_over:
            break
        _act(peer, dialog, choices, number)
        assert len(peer.agent._layer) <= 2 * TRANSACTIONS_MAX + 16
        assert peer.agent.calls <= 10
    for ref in range(1, peer.agent._calls._last_ref + 1):
        peer.agent.hang_up(ref, now=peer.now)  # type: ignore[arg-type]
    peer.wait_blindly(250.0)
    assert peer.agent.idle


def _act(peer: Peer, dialog: Dialog, choices: Choices, number: int) -> None:
    """Send one thing to the agent, let its owner do what owners do, and let time pass."""
    agent = peer.agent
    kind = choices.pick(("dialog", "new", "raw", "response", "offer", "hang up"))
    if kind == "offer":
        agent.reoffer(dialog.call, ANSWER, method=choices.pick(("INVITE", "UPDATE")), now=peer.now)
    elif kind == "hang up":
        agent.hang_up(dialog.call, now=peer.now)
    elif kind == "raw":
        agent.receive_datagram(choices.text(), CALLER, now=peer.now)
    else:
        _send(peer, dialog, choices, number, kind)
    while (event := agent.next_event()) is not None:
        if isinstance(event, CallReceived) and choices.byte() % 4:
            agent.respond(event.call, 183, body=ANSWER, now=peer.now)
            agent.answer(event.call, ANSWER, now=peer.now)
        elif isinstance(event, OfferReceived) and choices.byte() % 4:
            agent.accept_offer(event.call, ANSWER, now=peer.now)
    peer.wait_blindly(choices.pick(PAUSES))


def _send(peer: Peer, dialog: Dialog, choices: Choices, number: int, kind: str) -> None:
    """Send a request or response that is right but for its headers and body, which are the fuzzer's."""
    text = choices.text().decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()
    lines = tuple(line for line in text.replace("\r", "").split("\n") if line)
    body = choices.pick((b"", OFFER, b"SIP/2.0 200 OK", b"Signal=1", b"v=0\r\n"))
    if kind == "response":
        asked = list(peer.agent._layer._clients.values())
        if asked:
            first, _, rest = response(choices.pick(asked).request, choices.pick(STATUSES), body=body).partition(b"\n")
            data = b"\n".join([first, *(line.encode() + b"\r" for line in lines), rest])
            peer.agent.receive_datagram(data, CALLER, now=peer.now)
        return
    names: dict[str, object] = {**dialog.names, "cseq": 200 + number, "branch": f"z9hG4bK-{number}"}
    if kind == "new":
        names |= {"to_tag": None, "call_id": f"call-{number}"}
    data = request(choices.pick(METHODS), headers=lines, body=body, **names)  # type: ignore[arg-type]
    peer.agent.receive_datagram(data, CALLER, now=peer.now)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "parser": check_parser,
    "description": check_description,
    "framer": check_framer,
    "digest": check_digest,
    "agent": check_agent,
}


def seeds(name: str) -> list[bytes]:
    """Return bytes to begin with."""
    messages = [path.read_bytes() for path in sorted(TORTURE.glob("*/*.dat"))]
    if name == "description":
        return [OFFER, *(message.partition(b"\r\n\r\n")[2] for message in messages)]
    if name == "framer":
        return [b"\x05\x10\x20\x03" * 2 + data for data in (request(body=OFFER) * 2, b"\r\n\r\n" + request())]
    if name == "digest":
        return [b'Digest username="a", realm="b", nonce="c\\"d", uri="sip:e", response="f", qop=auth, nc=00000001']
    if name == "agent":
        lines = (b"Require: 100rel\n", b"Session-Expires: 90;refresher=uas\nSupported: timer\n", b"RAck: 1 1 INVITE\n")
        return [bytes([n, n]) + line + b"\xff\x01\x00\x01" * 4 for n in range(6) for line in lines]
    return messages
