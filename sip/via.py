from __future__ import annotations

import re
from dataclasses import dataclass

from .error import SipError
from .grammar import HOST, TOKEN, format_host_port, parse_host_port
from .parameters import NO_PARAMETERS, Parameters

Address = tuple[str, int]


class StreamAddress(tuple[str, int]):
    """Where a message came from, or goes to, over a stream: the connection if it is open, else a new one.

    It is an `Address` with a transport and the driver's name of a connection; 0: none is open yet.
    """

    transport: str
    connection: int

    def __new__(cls, host: str, port: int, *, transport: str = "TCP", connection: int = 0) -> StreamAddress:
        """Make an address of the transport "TCP" or "TLS"."""
        address = super().__new__(cls, (host, port))
        address.transport = transport
        address.connection = connection
        return address

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StreamAddress) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        return f"StreamAddress{self._identity}"

    def carries(self, other: Address) -> bool:
        """Tell whether what goes to `other` goes over the same connection."""
        if not isinstance(other, StreamAddress) or self.transport != other.transport:
            return False
        return self.connection == other.connection and (self.connection > 0 or self == other)

    @property
    def _identity(self) -> tuple[str, int, str, int]:
        return (self[0], self[1], self.transport, self.connection)


def transport_of(address: Address) -> str:
    """Return the transport of an address."""
    return address.transport if isinstance(address, StreamAddress) else "UDP"


MAGIC_COOKIE = "z9hG4bK"
DEFAULT_PORT = 5060
DEFAULT_TLS_PORT = 5061

_VIA = re.compile(
    rf"SIP\s*/\s*([0-9]+\.[0-9]+)\s*/\s*({TOKEN})\s+((?:{HOST})(?:\s*:\s*[0-9]+)?)\s*(?:;(.*))?",
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Via:
    """One hop that a request took. See RFC 3261, section 20.42."""

    host: str
    port: int | None = None
    parameters: Parameters = NO_PARAMETERS
    transport: str = "UDP"
    version: str = "2.0"  # of the protocol; another one is still answered, with 505

    @classmethod
    def parse(cls, text: str) -> Via:
        """Parse one value of a Via header, with white space wherever the grammar has it."""
        match = _VIA.fullmatch(text.strip())
        if match is None:
            raise SipError("Via is malformed")
        host, port = parse_host_port(match[3])
        return cls(host, port, Parameters.parse(match[4] or ""), match[2].upper(), match[1])

    @property
    def branch(self) -> str | None:
        """The name of the transaction."""
        return self.parameters.get("branch")

    def with_source(self, source: Address) -> Via:
        """Return a copy that says where the request came from. See RFC 3581, section 4."""
        parameters = self.parameters.replace("received", source[0])
        if "rport" in parameters:
            parameters = parameters.replace("rport", str(source[1]))
        return Via(self.host, self.port, parameters, self.transport, self.version)

    def response_address(self, source: Address | None = None) -> Address:
        """Return where the response goes. See RFC 3261, section 18.2.2, and RFC 3581, section 4.

        `maddr` is left out: following it would let anybody point our responses at a third party.
        Over a stream, it goes back on its connection; if that is closed, to the port of the Via.
        """
        host = (self.parameters.get("received") or self.host).strip("[]")  # either is in use: RFC 5118, 4.5
        port = self.port or (DEFAULT_TLS_PORT if self.transport == "TLS" else DEFAULT_PORT)
        if isinstance(source, StreamAddress):
            return StreamAddress(host, port, transport=source.transport, connection=source.connection)
        rport = self.parameters.get("rport")
        if rport is not None and rport.isascii() and rport.isdigit():
            return host, int(rport)
        return host, port

    def __str__(self) -> str:
        return f"SIP/{self.version}/{self.transport} {format_host_port(self.host, self.port)}{self.parameters}"
