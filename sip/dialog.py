from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from .endpoint import ACCEPT, Endpoint
from .error import OutOfOrder, SipError
from .grammar import is_ip_literal
from .headers import Headers
from .message import Message
from .name_addr import NameAddr
from .request import Request
from .response import Response
from .transaction_key import has_unique_branch
from .uri import SipUri
from .via import DEFAULT_PORT, DEFAULT_TLS_PORT, Address, StreamAddress, transport_of

DialogKey = tuple[str, str, str]  # Call-ID, local tag, remote tag


class Dialog:
    """What two endpoints know of each other during a call. See RFC 3261, section 12."""

    def __init__(
        self,
        *,
        call_id: str,
        local: str,
        local_tag: str,
        remote: str,
        remote_tag: str,
        local_cseq: int,
        remote_cseq: int | None,
        route_set: Sequence[str],
        remote_target: SipUri,
        fallback: Address,
    ) -> None:
        self.call_id = call_id
        self.local = local  # From of our requests
        self.remote = remote  # To of our requests
        self.local_tag = local_tag
        self.remote_tag = remote_tag
        self.local_cseq = local_cseq
        self.remote_cseq = remote_cseq
        self.route_set = tuple(NameAddr.parse(route) for route in route_set)
        self.remote_target = replace(remote_target, headers="")
        self._fallback = fallback  # for a next hop that is a host name, which nobody here can look up

    @classmethod
    def of_server(cls, request: Request, *, local_tag: str, source: Address) -> Dialog:
        """Make the dialog of an INVITE that came. See RFC 3261, section 12.1.1."""
        contact = request.contact
        if contact is None and not has_unique_branch(request):
            contact = request.from_  # what RFC 2543 knew nothing else than
        if contact is None:
            raise SipError("Missing Contact")
        return cls(
            call_id=request.call_id,
            local=f"{request.headers.get('To')};tag={local_tag}",
            local_tag=local_tag,
            remote=request.headers.get("From") or "",
            remote_tag=request.from_.tag or "",
            local_cseq=0,
            remote_cseq=request.cseq.number,
            route_set=request.headers.get_list("Record-Route"),
            remote_target=_sip_uri(contact),
            fallback=source,
        )

    @classmethod
    def of_client(cls, request: Request, response: Response, *, destination: Address) -> Dialog:
        """Make the dialog of a 2xx to our INVITE. See RFC 3261, section 12.1.2."""
        target: SipUri | None = None
        with contextlib.suppress(SipError):  # whoever does not say where they are gets an ACK all the same
            target = None if response.contact is None else _sip_uri(response.contact)
        return cls(
            call_id=request.call_id,
            local=request.headers.get("From") or "",
            local_tag=request.from_.tag or "",
            remote=response.headers.get("To") or "",
            remote_tag=response.to.tag or "",
            local_cseq=request.cseq.number,
            remote_cseq=None,
            route_set=response.headers.get_list("Record-Route")[::-1],
            remote_target=target or SipUri.parse(request.uri),
            fallback=destination,
        )

    @property
    def _next_hop(self) -> SipUri:
        return self.route_set[0].sip_uri() if self.route_set else self.remote_target

    def check_target(self, message: Message) -> None:
        """Raise `SipError` if the Contact is not one that requests could be sent to."""
        if message.contact is not None:
            _sip_uri(message.contact)

    def refresh_target(self, message: Message) -> None:
        """Take the new Contact of a re-INVITE or UPDATE, or of the 2xx to ours. See RFC 3261, 12.2."""
        with contextlib.suppress(SipError):  # then the old one stays
            if message.contact is not None:
                self.remote_target = replace(_sip_uri(message.contact), headers="")

    @property
    def key(self) -> DialogKey:
        """What tells this dialog from all others."""
        return self.call_id, self.local_tag, self.remote_tag

    @property
    def destination(self) -> Address:
        """Where our requests go: to the first route, else to the remote target. See RFC 3261, 8.1.2."""
        hop, known = self._next_hop, self._fallback
        if not is_ip_literal(hop.host):
            return known
        transport = (hop.parameters.get("transport") or transport_of(known)).upper()
        if hop.scheme == "sips":
            transport = "TLS"
        port = hop.port or (DEFAULT_TLS_PORT if transport == "TLS" else DEFAULT_PORT)
        if transport not in ("TCP", "TLS"):
            return hop.host, port
        is_open = isinstance(known, StreamAddress) and known.transport == transport  # it is used again
        connection = known.connection if is_open and isinstance(known, StreamAddress) else 0
        return StreamAddress(hop.host, port, transport=transport, connection=connection)

    def take_cseq(self, request: Request) -> None:
        """Check the order of a request that came. See RFC 3261, section 12.2.2."""
        number = request.cseq.number
        if self.remote_cseq is not None and number < self.remote_cseq:
            raise OutOfOrder("CSeq Is Out Of Order")
        self.remote_cseq = number

    def request(
        self,
        method: str,
        *,
        endpoint: Endpoint,
        cseq: int | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Request:
        """Build a request; an ACK has the CSeq of its INVITE. See RFC 3261, sections 12.2.1.1 and 13.2.2.4."""
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        uri = self.remote_target
        routes = [str(route) for route in self.route_set]
        if routes and "lr" not in self._next_hop.parameters:  # a strict router wants to be the target
            uri = replace(self._next_hop, headers="")
            routes = [*routes[1:], f"<{self.remote_target}>"]
        via = endpoint.new_via(transport_of(self.destination), self.destination[0])
        items = [("Via", str(via)), ("Max-Forwards", "70")]
        items.extend(("Route", route) for route in routes)
        items.extend([("From", self.local), ("To", self.remote), ("Call-ID", self.call_id)])
        items.extend([("CSeq", f"{cseq} {method}"), ("User-Agent", endpoint.name)])
        if body and not any(name.lower() in ("content-type", "c") for name, _ in headers):
            items.append(("Content-Type", ACCEPT))
        return Request(method, str(uri), Headers((*items, *headers)), body)


def _sip_uri(contact: NameAddr) -> SipUri:
    try:
        return contact.sip_uri()
    except SipError as error:
        raise SipError(f"Malformed Contact: {error.detail}") from None
