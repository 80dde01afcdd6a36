"""From the bytes of a datagram to a message. See RFC 3261, sections 7 and 18.3."""

from __future__ import annotations

import re
from collections.abc import Callable

from .error import MessageTooLarge, SipError, VersionNotSupported
from .grammar import TOKEN
from .headers import Headers, canonical_name, parse_line
from .request import Request
from .response import Response

MAX_MESSAGE = 65_535  # bytes
MAX_LINE = 16_384  # bytes, once unfolded
MAX_HEADERS = 256

_REQUEST_LINE = re.compile(rf"({TOKEN}) +([^\x00-\x20\x7f]+) +SIP/([0-9]{{1,4}}\.[0-9]{{1,4}}) *", re.IGNORECASE)
_MALFORMED_REQUEST_LINE = re.compile(rf"({TOKEN}) +(.+?) +SIP/2\.0 *", re.IGNORECASE)
_STATUS_LINE = re.compile(r"SIP/2\.0 +([1-6][0-9]{2})(?: ([^\x00\r]*))?", re.IGNORECASE)
_SINGLETONS = {name.lower(): name for name in ("From", "To", "Call-ID", "CSeq", "Max-Forwards")}

_MANDATORY: dict[str, Callable[[Request | Response], object]] = {
    "Via": lambda message: (message.via, message.vias),
    "From": lambda message: message.from_,
    "To": lambda message: message.to,
    "Call-ID": lambda message: message.call_id,
    "CSeq": lambda message: message.cseq,
}


def parse_message(data: bytes) -> Request | Response:
    """Parse one datagram; raise `SipError`, which carries the request as far as it could be read."""
    if len(data) > MAX_MESSAGE:
        raise MessageTooLarge("Message Too Large")
    data = data.lstrip(b"\r\n")  # RFC 3261, 7.5
    head, rest = _split_head(data)
    first, *lines = _unfold(head.decode("utf-8", "surrogateescape"))
    headers, body, fault = _parse_headers([line for line in lines if line], rest or b"")
    if rest is None:  # it was cut on its way; what has come is enough to say so
        fault = SipError("No Empty Line After The Headers")
    status_line = _STATUS_LINE.fullmatch(first)
    if status_line is not None:
        response = Response(int(status_line[1]), (status_line[2] or "").strip(), headers, body)
        if fault is not None:
            raise fault
        _check(response)
        return response
    return _parse_request(first, headers, body, fault)


def _parse_request(first: str, headers: Headers, body: bytes, fault: SipError | None) -> Request:
    request_line = _REQUEST_LINE.fullmatch(first)
    if request_line is None:
        error = SipError("Malformed Request-URI")
        malformed = _MALFORMED_REQUEST_LINE.fullmatch(first)
        if malformed is not None:
            error.request = Request(malformed[1], malformed[2], headers, body)
        raise error
    request = Request(request_line[1], request_line[2], headers, body)
    try:
        if request_line[3] != "2.0":
            raise VersionNotSupported(f"Version {request_line[3]} Not Supported")
        if fault is not None:
            raise fault
        _check(request)
        if request.cseq.method != request.method:
            raise SipError("Method In CSeq Differs")
    except SipError as error:
        error.request = request
        raise
    return request


def _split_head(data: bytes) -> tuple[bytes, bytes | None]:
    """Split at the first empty line, whose ends may be bare line feeds; without one there is no second part."""
    end, length = data.find(b"\n\r\n"), 3
    bare = data.find(b"\n\n", 0, len(data) if end < 0 else end)
    if bare >= 0:
        end, length = bare, 2
    return (data, None) if end < 0 else (data[:end], data[end + length :])


def _unfold(head: str) -> list[str]:
    """Join folded lines with a single space each (7.3.1)."""
    if "\n " not in head and "\n\t" not in head:
        return head.removesuffix("\r").replace("\r\n", "\n").split("\n")
    lines: list[list[str]] = []
    for line in head.split("\n"):
        line = line.removesuffix("\r")
        if line.startswith((" ", "\t")) and lines:
            lines[-1].append(line.strip(" \t"))
        else:
            lines.append([line])
    return [" ".join(parts) for parts in lines]


def _parse_headers(lines: list[str], rest: bytes) -> tuple[Headers, bytes, SipError | None]:
    """Read what can be read, and keep the first fault: a bad request is answered by its good headers."""
    items: list[tuple[str, str]] = []
    lengths: list[tuple[str, str]] = []
    fault: SipError | None = None
    if len(lines) > MAX_HEADERS:
        fault = MessageTooLarge("Too Many Headers")
    for line in lines[:MAX_HEADERS]:
        try:
            if len(line) > MAX_LINE:
                raise MessageTooLarge("Header Too Long")
            item = parse_line(line)
            kept = lengths if canonical_name(item[0]) == "content-length" else items
            kept.append(item)
        except SipError as error:
            fault = fault or error
    body = rest
    try:
        body = _cut_body([value for _, value in lengths], rest)
    except SipError as error:
        fault = fault or error
    return Headers.of_checked(tuple(items)), body, fault


def _cut_body(lengths: list[str], rest: bytes) -> bytes:
    """Cut what lies beyond Content-Length; without one, the body ends with the datagram (18.3)."""
    if not lengths:
        return rest
    if len(lengths) > 1:
        raise SipError("Repeated Content-Length")
    if not re.fullmatch(r"[0-9]{1,9}", lengths[0]):
        raise SipError("Malformed Content-Length")
    length = int(lengths[0])
    if length > len(rest):
        raise SipError("Body Shorter Than Content-Length")
    return rest[:length]


def _check(message: Request | Response) -> None:
    """Refuse what lacks a mandatory header or repeats one, or has one that cannot be read (8.1.1)."""
    headers = message.headers
    for key in headers.repeated:
        if key in _SINGLETONS:  # a second one is an attempt at confusion
            raise SipError(f"Repeated {_SINGLETONS[key]}")
    for name, read in _MANDATORY.items():
        try:
            read(message)
        except SipError as error:
            if not headers.get(name):
                raise
            raise SipError(f"Malformed {name}: {error.detail}") from None
