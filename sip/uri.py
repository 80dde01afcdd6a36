from __future__ import annotations

import re
from dataclasses import dataclass

from .error import SipError, UnsupportedUriScheme
from .grammar import format_host_port, parse_host_port
from .parameters import NO_PARAMETERS, Parameters

_FORBIDDEN = re.compile(r'[\x00-\x20<>"\x7f]')


@dataclass(frozen=True, slots=True)
class SipUri:
    """A sip or sips URI; percent-escapes are kept as written. See RFC 3261, section 19.1."""

    host: str
    port: int | None = None
    user: str | None = None
    password: str | None = None
    parameters: Parameters = NO_PARAMETERS
    headers: str = ""
    scheme: str = "sip"

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """Parse a URI; raise `UnsupportedUriScheme` if it is neither sip nor sips."""
        if _FORBIDDEN.search(text):
            raise SipError("URI holds a character it must not")
        scheme, colon, rest = text.partition(":")
        if not colon:
            raise SipError("URI has no scheme")
        if scheme.lower() not in ("sip", "sips"):
            raise UnsupportedUriScheme(f"Unsupported URI Scheme {scheme}")
        user_info, at, rest = rest.rpartition("@")  # '?' and ';' are legal in the user part
        user, has_password, password = user_info.partition(":")
        if at and not user:
            raise SipError("URI has an empty user part")
        rest, _, headers = rest.partition("?")
        host_port, _, parameters = rest.partition(";")
        host, port = parse_host_port(host_port)
        return cls(
            host,
            port,
            user if at else None,
            password if has_password else None,
            Parameters.parse(parameters),
            headers,
            scheme.lower(),
        )

    def __str__(self) -> str:
        password = "" if self.password is None else f":{self.password}"
        user_info = "" if self.user is None else f"{self.user}{password}@"
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{user_info}{format_host_port(self.host, self.port)}{self.parameters}{headers}"
