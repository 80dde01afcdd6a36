from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from .error import SipError
from .headers import Headers
from .parameters import NO_PARAMETERS, Parameters
from .request import Request
from .response import Response
from .timers import Timers
from .uri import SipUri
from .via import MAGIC_COOKIE, Address, Via, transport_of

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, INFO, PRACK, NOTIFY"
SUPPORTED = "timer, 100rel"
SUPPORTED_LATE_OFFER = "timer"  # an offer in a reliable response would want its answer in the PRACK
ACCEPT = "application/sdp"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What our side of every call is: its address, its name, its times, and its source of new names."""

    contact: Address
    name: str
    random: Random
    timers: Timers
    stream_contacts: Mapping[str, Address] = field(default_factory=dict)  # of "TCP" and "TLS", where they differ
    advertised: Callable[[str], str] | None = None  # our host as the host of a peer reaches it; None: the one above

    def contact_of(self, transport: str, peer: str) -> Address:
        """Return the address that the host `peer` reaches us at by a transport."""
        host, port = self.stream_contacts.get(transport, self.contact)
        return host if self.advertised is None else self.advertised(peer), port

    def contact_header(self, transport: str, peer: str, *, scheme: str) -> tuple[str, str]:
        """Return the Contact that in-dialog requests of the host `peer` come back to.

        It is a sips URI where the peer's `scheme` is. See RFC 3261, sections 8.1.1.8 and 12.1.1.
        """
        host, port = self.contact_of(transport, peer)
        if scheme == "sips" and transport == "TLS":
            return "Contact", f"<{SipUri(host, port, scheme=scheme)}>"
        parameters = NO_PARAMETERS if transport == "UDP" else Parameters((("transport", transport.lower()),))
        return "Contact", f"<{SipUri(host, port, parameters=parameters)}>"

    @property
    def abilities(self) -> list[tuple[str, str]]:
        """What a re-INVITE or UPDATE says of us."""
        return [("Allow", ALLOW), ("Supported", "timer")]

    def new_tag(self) -> str:
        """Make a tag. See RFC 3261, section 19.3."""
        return f"{self.random.getrandbits(64):016x}"

    def new_call_id(self) -> str:
        """Make a Call-ID. See RFC 3261, section 8.1.1.4."""
        return f"{self.random.getrandbits(128):032x}"

    def new_via(self, transport: str, peer: str) -> Via:
        """Make the Via of a new transaction with the host `peer`. See RFC 3261, section 8.1.1.7."""
        branch = f"{MAGIC_COOKIE}{self.random.getrandbits(96):024x}"
        host, port = self.contact_of(transport, peer)
        return Via(host, port, Parameters((("branch", branch), ("rport", None))), transport)

    def invite(
        self,
        target: SipUri,
        *,
        destination: Address,
        from_uri: SipUri,
        headers: Sequence[tuple[str, str]],
        body: bytes,
    ) -> Request:
        """Build an INVITE out of dialog. See RFC 3261, section 8.1.1."""
        transport, peer = transport_of(destination), destination[0]
        items = [
            ("Via", str(self.new_via(transport, peer))),
            ("Max-Forwards", "70"),
            ("From", f"<{from_uri}>;tag={self.new_tag()}"),
            ("To", f"<{target}>"),
            ("Call-ID", self.new_call_id()),
            ("CSeq", "1 INVITE"),
            self.contact_header(transport, peer, scheme=target.scheme),
            ("Allow", ALLOW),
            ("Supported", SUPPORTED if body else SUPPORTED_LATE_OFFER),
            ("Accept", ACCEPT),
            ("User-Agent", self.name),
            *headers,
        ]
        if body and not any(name.lower() in ("content-type", "c") for name, _ in headers):
            items.append(("Content-Type", ACCEPT))
        return Request("INVITE", str(target), Headers(tuple(items)), body)

    def response(
        self,
        request: Request,
        status: int,
        *,
        to_tag: str | None = None,
        reason: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Response:
        """Build a response that says who we are and, where RFC 3261, table 3, asks for it, what we can."""
        ours: list[tuple[str, str]] = []
        if request.method in ("INVITE", "UPDATE") and 100 < status < 300:
            peer, scheme = request.via.response_address()[0], request.uri.partition(":")[0].lower()
            ours.append(self.contact_header(request.via.transport, peer, scheme=scheme))
        if request.method == "INVITE" and 100 < status < 300:
            ours.append(("X-FS-Support", "send_info"))  # FreeSWITCH sends INFO only to those who say so
        if request.method in ("INVITE", "UPDATE", "OPTIONS") and 200 <= status < 300:
            ours.extend([("Allow", ALLOW), ("Accept", ACCEPT), ("Supported", SUPPORTED)])
        ours.append(("Server", self.name))
        return Response.answering(request, status, to_tag=to_tag, reason=reason, headers=(*ours, *headers), body=body)

    def refusal(self, request: Request, error: SipError) -> Response:
        """Build the response to a request that cannot be served; its reason phrase says why."""
        return self.response(
            request, error.sip_status, to_tag=self.new_tag(), reason=error.detail, headers=error.headers
        )
