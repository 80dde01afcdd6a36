"""Where sidecars tell each other of their streams: `[directory]`."""

from __future__ import annotations

import socket
from pathlib import Path
from ssl import SSLContext
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from sidecar.core.loopback import is_loopback
from sidecar.io.tls_files import TlsError, client_context
from sidecar.secret import Secret
from sidecar.settings.extras import check_extra
from sidecar.settings.section import Section

_SCHEMES = ("redis", "rediss", "unix")
_NOT_QUOTED = "is not a URL: what is special in a password is percent-encoded, / as %2F, # as %23, @ as %40"


class DirectorySettings(Section):
    """The directory of many sidecars; without a URL there is none."""

    url: Secret | None = None  # redis://, rediss:// or unix://, perhaps with a password
    name: str = Field(default_factory=socket.gethostname, pattern=r"^[0-9A-Za-z._-]{1,128}$")  # of this sidecar
    address: str | None = None  # where others reach the REST interface; default: api.host:api.port
    tls_ca: Path | None = (
        None  # who must have signed others' certificates, where REST is https://; None: one the system trusts
    )
    tls_name: str | None = Field(
        None, pattern=r"^[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*$"
    )  # what these must name; None: their address
    prefix: str = Field("sidecar:", pattern=r"^[!-~]{0,64}$")  # of all keys
    lease: float = Field(15, ge=3, le=300)  # seconds after which a silent sidecar is taken for dead

    @field_validator("url")
    @classmethod
    def _url_is_of_redis(cls, url: Secret | None) -> Secret | None:
        if url is not None:
            _check_url(url.get_secret_value())
        return url

    @field_validator("address")
    @classmethod
    def _address_is_a_url(cls, address: str | None) -> str | None:
        if address is not None:
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.path.strip("/"):
                raise ValueError("is not http://HOST:PORT or https://HOST:PORT")
        return address and address.rstrip("/")

    @field_validator("tls_ca")
    @classmethod
    def _authority_can_be_used(cls, tls_ca: Path | None) -> Path | None:
        try:
            if tls_ca is not None:
                client_context(tls_ca)
        except TlsError as error:
            raise ValueError(str(error).removeprefix("tls_ca: ")) from None
        return tls_ca

    def tls(self) -> SSLContext:
        """Return what asks other sidecars."""
        return client_context(self.tls_ca)

    @property
    def is_near(self) -> bool:
        """Whether Redis is on this machine: then others on it may reach loopback."""
        assert self.url is not None
        parts = urlsplit(self.url.get_secret_value())
        return parts.scheme == "unix" or is_loopback(parts.hostname or "localhost")


def _check_url(url: str) -> None:
    """Raise ValueError, without what may be secret, if the client of Redis cannot use a URL, or reads it otherwise."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(_NOT_QUOTED) from None
    if parts.scheme not in _SCHEMES or port == 0:
        raise ValueError("is not redis://, rediss:// or unix://")
    if parts.netloc and "@" in url.partition("://")[2].removeprefix(parts.netloc):  # a password was cut in two
        raise ValueError(_NOT_QUOTED)
    check_extra("redis", "redis", "httpx")
    from redis.asyncio.connection import parse_url

    parse_url(url)
