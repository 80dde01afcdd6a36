"""The few rules of RFC 3261, section 25.1, that more than one header needs."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from .error import SipError

TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"  # noqa: S105  of the grammar
HOST = r"\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+"  # an underscore is no host name, but is in use

_TOKEN = re.compile(TOKEN)
_HOST_PORT = re.compile(rf"({HOST})(?:\s*:\s*([0-9]{{1,5}}))?")
_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_MARKS = re.compile(r'\\.|[",;<>]', re.DOTALL)


def is_token(text: str) -> bool:
    """Tell whether `text` is a token."""
    return _TOKEN.fullmatch(text) is not None


def split_outside_quotes(text: str, separator: str) -> tuple[str, ...]:
    """Split at each separator that is neither in a quoted string nor in angle brackets."""
    if '"' not in text and "<" not in text:
        if separator not in text:
            return (whole,) if (whole := text.strip()) else ()
        return tuple([part for each in text.split(separator) if (part := each.strip())])
    parts = []
    start = 0
    inside = ""
    for mark in _MARKS.finditer(text):
        if inside:
            if mark[0] == inside:
                inside = ""
        elif mark[0] == '"':
            inside = '"'
        elif mark[0] == "<":
            inside = ">"
        elif mark[0] == separator:
            parts.append(text[start : mark.start()].strip())
            start = mark.end()
    if inside:
        raise SipError(f"no closing {inside}")
    parts.append(text[start:].strip())
    return tuple(part for part in parts if part)


def quote(text: str) -> str:
    """Write a quoted string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def take_quoted(text: str) -> tuple[str, str]:
    """Read the quoted string that `text` begins with; return it and the rest."""
    match = _QUOTED.match(text)
    if match is None:
        raise SipError('no closing "')
    return re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL), text[match.end() :]


def parse_host_port(text: str) -> tuple[str, int | None]:
    """Read `host[:port]`; an IPv6 address comes back without its brackets."""
    match = _HOST_PORT.fullmatch(text.strip())
    if match is None:
        raise SipError("host is malformed")
    host, port = match[1], None if match[2] is None else int(match[2])
    if host.startswith("["):
        host = host[1:-1].replace(":::", "::")  # the grammar of RFC 3261 had it so: RFC 5118, 4.10
        try:
            IPv6Address(host)
        except ValueError:
            raise SipError("IPv6 address is malformed") from None
    if port is not None and port > 0xFFFF:
        raise SipError("port is beyond 65535")
    return host, port


def format_host_port(host: str, port: int | None) -> str:
    """Write `host[:port]`, with brackets around an IPv6 address."""
    bracketed = f"[{host}]" if ":" in host else host
    return bracketed if port is None else f"{bracketed}:{port}"


@lru_cache(maxsize=1024)
def is_ip_literal(host: str) -> bool:
    """Tell whether `host` is an IPv4 or IPv6 address and needs no look-up."""
    try:
        IPv6Address(host) if ":" in host else IPv4Address(host)
    except ValueError:
        return False
    return True
