from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .call_part import CallPart
from .error import BadInfoPackage, SipError, UnsupportedMediaType
from .event import DigitReceived, InfoAnswered, InfoReceived
from .request import Request
from .response import Response

if TYPE_CHECKING:
    from .transaction_layer import AnyClientTransaction, AnyServerTransaction

DTMF_RELAY = "application/dtmf-relay"
DTMF = "application/dtmf"

_NAMES = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D", "16": "!"}  # RFC 4733, table 3
_DIGIT = re.compile(r"[0-9A-D*#!]")
_DURATION_MS = 250  # where none is said
_DURATION_MAX_MS = 10_000


def parse_digit(content_type: str, body: bytes) -> tuple[str, int]:
    """Read the digit of an INFO, and how long it lasts in ms; raise `SipError` if there is none."""
    text = body.decode("ascii", "replace")
    if content_type == DTMF:
        fields = {"signal": text}
    else:
        pairs = (line.partition("=") for line in text.splitlines())
        fields = {name.strip().lower(): value for name, _, value in pairs}
    signal = fields.get("signal", "").strip().upper()
    digit = _NAMES.get(signal, signal)
    if not _DIGIT.fullmatch(digit):
        raise SipError("Malformed DTMF")
    duration = fields.get("duration", "").strip()
    known = re.fullmatch(r"[0-9]{1,6}", duration) and int(duration)
    return digit, min(known or _DURATION_MS, _DURATION_MAX_MS)


class Info(CallPart):
    """What is said beside the call, in INFO requests: digits, and what only the owners know. See RFC 6086."""

    def receive(self, request: Request, transaction: AnyServerTransaction, *, now: float) -> None:
        """Take an INFO; raise the `SipError` that answers it."""
        call = self._call
        if "Info-Package" in request.headers:
            raise BadInfoPackage("Bad Info Package", headers=[("Recv-Info", "")])
        kind = request.content_type
        if (request.body and kind is None) or request.is_encoded:
            raise UnsupportedMediaType("Unsupported Media Type", headers=[("Accept", f"{DTMF_RELAY}, {DTMF}")])
        if kind in (DTMF_RELAY, DTMF):
            digit, duration_ms = parse_digit(kind, request.body)
            call.events.append(DigitReceived(call.ref, digit, duration_ms))
        elif request.body:
            call.events.append(InfoReceived(call.ref, request))
        call.respond_to(transaction, 200, now=now)

    def send(self, content_type: str, body: bytes, *, headers: Sequence[tuple[str, str]], now: float) -> None:
        """Send an INFO."""
        self._call.request_in_dialog(
            "INFO", self, headers=[("Content-Type", content_type), *headers], body=body, now=now
        )

    def receive_response(self, transaction: AnyClientTransaction, response: Response, *, now: float) -> None:
        """Tell the owner what became of it."""
        if response.status >= 200 and not self._call.has_ended:
            self._call.events.append(InfoAnswered(self._call.ref, response.status))

    def handle_no_response(self, transaction: AnyClientTransaction, *, now: float) -> None:
        """Tell the owner that nothing became of it."""
        if not self._call.has_ended:
            self._call.events.append(InfoAnswered(self._call.ref, 408))
