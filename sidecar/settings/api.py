"""The REST interface: `[api]`."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from ssl import SSLContext
from typing import Self

from pydantic import Field, field_validator, model_validator

from sidecar.core.access import AccessList, AccessToken, Scope, check_token
from sidecar.io.tls_files import TlsError, server_context
from sidecar.secret import Secret
from sidecar.settings.addresses import SipAddress
from sidecar.settings.section import Section
from sip.grammar import format_host_port


class ApiSettings(Section):
    """The REST interface."""

    enabled: bool = True
    host: SipAddress = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)  # 0: any free port
    tls_certificate: Path | None = None  # of ours, PEM; None: HTTP in the clear
    tls_key: Path | None = None  # None: it is in the same file
    tokens: dict[str, Secret] = Field(default_factory=dict)  # by name; they may do everything
    read_tokens: dict[str, Secret] = Field(default_factory=dict)  # they may see everything, and change nothing
    open_metrics: bool = False  # GET /metrics needs no token
    requests_per_second: float = Field(
        200, gt=0, allow_inf_nan=False
    )  # of each token, and of each address without one; more get 429

    @field_validator("tokens", "read_tokens")
    @classmethod
    def _tokens_can_be_used(cls, tokens: dict[str, Secret]) -> dict[str, Secret]:
        for name, token in tokens.items():
            try:
                check_token(token.get_secret_value())
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return tokens

    @model_validator(mode="after")
    def _is_not_open_to_others(self) -> Self:
        if both := self.tokens.keys() & self.read_tokens.keys():
            raise ValueError(f"tokens and read_tokens both have {min(both)}: a name is one of one token")
        if self.enabled and not ip_address(self.host).is_loopback and not (self.tokens or self.read_tokens):
            raise ValueError(f"host is {self.host}, which others reach: that needs a token (api.tokens)")
        return self

    @model_validator(mode="after")
    def _tls_files_can_be_used(self) -> Self:
        if self.tls_key is not None and self.tls_certificate is None:
            raise ValueError("tls_key is of no use without tls_certificate")
        try:
            self.tls()
        except TlsError as error:
            raise ValueError(str(error)) from None
        return self

    def tls(self) -> SSLContext | None:
        """Return what accepts TLS, if it is configured; raise `TlsError` if its files cannot be used."""
        return None if self.tls_certificate is None else server_context(self.tls_certificate, self.tls_key, None)

    def url(self, host: str, port: int) -> str:
        """Return how it is reached there."""
        return f"{'http' if self.tls_certificate is None else 'https'}://{format_host_port(host, port)}"

    def access(self) -> AccessList:
        """Return who may do what."""
        scopes = ((Scope.FULL, self.tokens), (Scope.READ, self.read_tokens))
        return AccessList(
            AccessToken(name, scope, token.get_secret_value())
            for scope, tokens in scopes
            for name, token in tokens.items()
        )
