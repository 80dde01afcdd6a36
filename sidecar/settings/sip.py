"""The SIP endpoint: `[sip]`."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from ssl import SSLContext
from typing import Literal, Self

from pydantic import Field, model_validator

from sidecar.io.network import AUTO
from sidecar.io.tls_files import TlsError, client_context, server_context
from sidecar.secret import Secret
from sidecar.settings.addresses import AdvertisedSipAddress, Network, SipAddress
from sidecar.settings.section import Section
from sip import Admission, Credentials, Timers

_MOST_CALLS = 4096  # in each 5 ms a quarter of them is sent to, in one batch of datagrams
_PRIVATE = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10")


class AuthSettings(Section):
    """Who may call, by digest authentication; without users, nobody is asked for a password."""

    realm: str = Field("audio-stream-sidecar", pattern="^[ -~]+$")
    users: dict[str, Secret] = Field(default_factory=dict)  # the password of each
    algorithms: tuple[Literal["SHA-256", "MD5"], ...] = Field(("SHA-256", "MD5"), min_length=1)  # the best first


class SipSettings(Section):
    """The SIP endpoint."""

    host: SipAddress = "127.0.0.1"
    port: int = Field(5070, ge=0, le=65535)  # of UDP and TCP; 0: any free port
    advertised: AdvertisedSipAddress = AUTO  # the address in Contact and Via; auto: the one that the peer reaches
    tls_port: int = Field(5071, ge=0, le=65535)
    tls_certificate: Path | None = None  # of ours, PEM; None: TLS is not listened for
    tls_key: Path | None = None  # None: it is in the same file
    tls_client_ca: Path | None = (
        None  # who must have signed the certificates of those who connect; None: they need none
    )
    tls_ca: Path | None = None  # who must have signed those of whom we connect to; None: one the system trusts
    max_connections: int = Field(1024, ge=1, le=65535)  # of TCP and TLS
    max_connections_per_host: int = Field(256, ge=1, le=65535)
    allow: tuple[Network, ...] = tuple(ip_network(net) for net in _PRIVATE)
    max_calls: int = Field(2000, ge=1, le=_MOST_CALLS)
    t1: float = Field(0.5, gt=0, le=4)  # seconds; RFC 3261, table 4: the round trip
    t2: float = Field(4.0, gt=0, le=32)  # the longest interval between two retransmissions
    t4: float = Field(5.0, gt=0, le=32)  # how long a datagram stays in the network
    session_expires: int = Field(1800, ge=0, le=86400)  # seconds until a call must be refreshed (RFC 4028); 0: never
    min_se: int = Field(90, ge=1, le=86400)  # the shortest that we take from others
    requests_per_second: float = Field(
        0, ge=0, allow_inf_nan=False
    )  # of each source; more are dropped; 0: without limit
    invites_per_second: float = Field(
        0, ge=0, allow_inf_nan=False
    )  # new calls of all sources; more get 503; 0: without limit
    auth: AuthSettings = AuthSettings()

    @model_validator(mode="after")
    def _intervals_grow(self) -> Self:
        if self.t1 > self.t2:
            raise ValueError(
                f"t1 is {self.t1}, and t2 {self.t2}: intervals of retransmission begin with t1, and grow to t2"
            )
        return self

    @model_validator(mode="after")
    def _session_lasts_as_long_as_we_take(self) -> Self:
        if 0 < self.session_expires < self.min_se:
            raise ValueError(f"session_expires is {self.session_expires}, and min_se {self.min_se}: it cannot be less")
        return self

    def timers(self) -> Timers:
        """Return the times of the SIP core."""
        return Timers(t1=self.t1, t2=self.t2, t4=self.t4, session_expires=self.session_expires, min_se=self.min_se)

    def admission(self) -> Admission:
        """Return how much is let in."""
        return Admission(invites_per_second=self.invites_per_second, requests_per_second=self.requests_per_second)

    def credentials(self) -> Credentials | None:
        """Return who may call; None: everybody who is allowed to send."""
        passwords = {user: secret.get_secret_value() for user, secret in self.auth.users.items()}
        return Credentials(self.auth.realm, passwords, self.auth.algorithms) if passwords else None

    @model_validator(mode="after")
    def _tls_files_can_be_used(self) -> Self:
        for field in ("tls_key", "tls_client_ca"):
            if getattr(self, field) is not None and self.tls_certificate is None:
                raise ValueError(f"{field} is of no use without tls_certificate")
        if self.tls_certificate is not None and self.tls_port == self.port != 0:
            raise ValueError(f"port and tls_port are both {self.port}: each needs one of its own")
        try:
            self.tls_server()
            if self.tls_ca is not None:
                self.tls_client()
        except TlsError as error:
            raise ValueError(str(error)) from None
        return self

    def tls_server(self) -> SSLContext | None:
        """Return what accepts TLS, if it is configured; raise `TlsError` if its files cannot be used."""
        if self.tls_certificate is None:
            return None
        return server_context(self.tls_certificate, self.tls_key, self.tls_client_ca)

    def tls_client(self) -> SSLContext:
        """Return what opens TLS; raise `TlsError` if its files cannot be used."""
        return client_context(self.tls_ca, self.tls_certificate, self.tls_key)
