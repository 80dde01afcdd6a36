"""From the bytes of a datagram to a message. See RFC 3261, sections 7 and 18.3."""

from __future__ import annotations

import re
from collections.abc import Callable

from .error import MessageTooLarge, SipError, VersionNotSupported
from .grammar import TOKEN
from .headers import Headers, check_field, parse_line
from .request import Request
from .response import Response

MAX_MESSAGE = 65_535  # bytes
MAX_LINE = 16_384  # bytes, once unfolded
MAX_HEADERS = 256

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_REQUEST_LINE = re.compile(rf"({TOKEN}) +([^\x00-\x20\x7f]+) +SIP/([0-9]{{1,4}}\.[0-9]{{1,4}}) *", re.IGNORECASE)
_MALFORMED_REQUEST_LINE = re.compile(rf"({TOKEN}) +(.+?) +SIP/2\.0 *", re.IGNORECASE)
_STATUS_LINE = re.compile(r"SIP/2\.0 +([1-6][0-9]{2})(?: ([^\x00\r]*))?", re.IGNORECASE)
_SINGLETONS = ("From", "To", "Call-ID", "CSeq", "Max-Forwards")  # a second one is an attempt at confusion

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
    end = _END_OF_HEAD.search(data)
    head, rest = (data, b"") if end is None else (data[: end.start()], data[end.end() :])
    first, *lines = _unfold(head.decode("utf-8", "surrogateescape"))
    headers, body, fault = _parse_headers([line for line in lines if line], rest)
    if end is None:  # it was cut on its way; what has come is enough to say so
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


def _unfold(head: str) -> list[str]:
    """Join folded lines with a single space each (7.3.1)."""
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
    items = []
    lengths = []
    fault: SipError | None = None
    if len(lines) > MAX_HEADERS:
        fault = MessageTooLarge("Too Many Headers")
    for line in lines[:MAX_HEADERS]:
        try:
            if len(line) > MAX_LINE:
                raise MessageTooLarge("Header Too Long")
            item = parse_line(line)
            check_field(*item)
        except SipError as error:
            fault = fault or error
            continue
        if item[0].lower() in ("content-length", "l"):
            lengths.append(item[1])
        else:
            items.append(item)
    body = rest
    try:
        body = _cut_body(lengths, rest)
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
    for name in _SINGLETONS:
        if len(message.headers.get_all(name)) > 1:
            raise SipError(f"Repeated {name}")
    for name, read in _MANDATORY.items():
        if not message.headers.get(name):
            raise SipError(f"Missing {name}")
        try:
            read(message)
        except SipError as error:
            raise SipError(f"Malformed {name}: {error.detail}") from None
