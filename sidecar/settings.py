"""Settings: typed, frozen, checked at start.

`SIDECAR_SIP__PORT=5080` in the environment goes before `port` under `[sip]` in the configuration file (TOML).
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from ssl import SSLContext
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from rtp import Codec, PortAllocator
from sidecar.core.bot_hosts import BotHosts
from sidecar.core.codecs import codec_named
from sidecar.core.media_policy import MediaPolicy, SrtpPolicy
from sidecar.core.options import OptionError, Profile, resolve_options
from sidecar.core.silence_watch import MediaTimeouts
from sidecar.io.network import AUTO
from sidecar.io.sip_tls import TlsError, client_context, server_context
from sidecar.secret import Secret
from sip import Admission, Credentials, Timers

_MOST_CALLS = 4096  # in each 5 ms a quarter of them is sent to, in one batch of datagrams
_MOST_WORKERS = 256
_LAST_PORT = 65535
_HOST = r"^([0-9A-Za-z_-]{1,63}(\.[0-9A-Za-z_-]{1,63})*|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)$"
_PRIVATE = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10")


class SettingsError(Exception):
    """The settings cannot be used; the message names each field that is wrong."""


def _option_text(value: Any) -> Any:
    """Spell a TOML value as the option's text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value) if isinstance(value, int) else value


def _ipv4(value: str) -> str:
    """Refuse what is no IPv4 address: names are not looked up, and media does not speak IPv6 yet."""
    try:
        return str(IPv4Address(value))
    except ValueError:
        raise ValueError(f"{value!r} is not an IPv4 address, such as 127.0.0.1") from None


def _ip(value: str) -> str:
    """Refuse what is no IP address; one with a zone is none that others could send to."""
    try:
        address = ip_address(value)
    except ValueError:
        raise ValueError(f"{value!r} is not an IP address, such as 127.0.0.1 or ::1") from None
    if address.version == 6 and (address.scope_id or address.ipv4_mapped):
        raise ValueError(f"{value!r} has a zone, or is an IPv4 address in disguise")
    return str(address)


def _of_one(value: str) -> str:
    if value != AUTO and ip_address(value).is_unspecified:
        raise ValueError(f"{value} is where to listen; others cannot send to it")
    return value


def _auto_or(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda value: value if value == AUTO else check(value))


SipAddress = Annotated[str, AfterValidator(_ip)]
MediaAddress = Annotated[str, AfterValidator(_ipv4)]
AdvertisedSipAddress = Annotated[str, _auto_or(_ip), AfterValidator(_of_one)]
AdvertisedMediaAddress = Annotated[str, _auto_or(_ipv4), AfterValidator(_of_one)]


def _codec(value: Any) -> Codec:
    return codec_named(str(value))


def _bot_host(value: str) -> str:
    """Refuse a network that is none: taken for a name, it would allow nothing."""
    if "/" in value:
        ip_network(value)
    return value


def _network(value: Any) -> IPv4Network | IPv6Network:
    return ip_network(str(value))


Network = Annotated[IPv4Network | IPv6Network, PlainValidator(_network)]
BotHost = Annotated[str, AfterValidator(_bot_host)]
CodecName = Annotated[Codec, BeforeValidator(_codec)]
OptionText = Annotated[str, BeforeValidator(_option_text)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AuthSettings(_Section):
    """Who may call, by digest authentication; without users, nobody is asked for a password."""

    realm: str = Field("audio-stream-sidecar", pattern="^[ -~]+$")
    users: dict[str, Secret] = {}  # the password of each
    algorithms: tuple[Literal["SHA-256", "MD5"], ...] = Field(("SHA-256", "MD5"), min_length=1)  # the best first


class SipSettings(_Section):
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


class RtpSettings(_Section):
    """The media of all calls, on one pair of UDP ports, or on a pair for each."""

    host: MediaAddress = "127.0.0.1"
    mode: Literal["one", "ports"] = "one"
    port: int = Field(40000, ge=0, le=65534)  # of all calls, and the next one for RTCP; 0: any free pair
    port_min: int = Field(20000, ge=1024, le=65535)  # of a pair for each call, in mode `ports`
    port_max: int = Field(29999, ge=1024, le=65535)
    advertised: AdvertisedMediaAddress = AUTO  # the address in SDP
    portable: bool = False  # use no system call that only Linux has
    codecs: tuple[CodecName, ...] = ()  # the most wanted first; empty: all, and the caller chooses
    jitter_max_ms: int = Field(200, ge=40, le=1000)  # by which the caller may be delayed in MIX=mixed and stereo
    srtp: SrtpPolicy = SrtpPolicy.OPTIONAL
    timeout_start: float = Field(60, ge=0, le=86400)  # seconds after which a call that never had RTP is ended; 0: never
    timeout: float = Field(300, ge=0, le=86400)  # the same of a call that had some
    inband_dtmf: bool = False  # look for digits in the audio of callers that send no telephone events

    @model_validator(mode="after")
    def _range_has_a_pair(self) -> Self:
        if self.mode == "ports":
            self.port_allocator()
        return self

    def port_allocator(self) -> PortAllocator:
        """Return which ports calls get in mode `ports`; raise ValueError if there is none."""
        return PortAllocator(self.port_min, self.port_max)

    def timeouts(self) -> MediaTimeouts:
        """Return when a call without RTP is ended."""
        return MediaTimeouts(self.timeout_start or None, self.timeout or None)

    def policy(self) -> MediaPolicy:
        """Return what calls may have of media."""
        return MediaPolicy(self.codecs, self.srtp)


class BotSettings(_Section):
    """The WebSocket side."""

    connect_timeout: float = Field(5.0, gt=0, le=60)  # seconds
    allow: tuple[BotHost, ...] = ()  # names, `*` stands for anything, and networks; empty: all but link-local addresses
    strict: bool = False  # nothing but what is listed, and private addresses by network alone

    def hosts(self) -> BotHosts:
        """Return it as the core knows it."""
        return BotHosts(self.allow, self.strict)


class FreeswitchSettings(_Section):
    """The event socket of a FreeSWITCH, and how that FreeSWITCH calls us."""

    host: str = Field("127.0.0.1", pattern=_HOST)  # a name or an address
    port: int = Field(8021, ge=1, le=65535)
    password: Secret
    dial: str = Field("sofia/external/sip:{user}@{sidecar}", pattern=r"^[!-+\--z~{}]+$")  # no comma, no space, no |

    @field_validator("password")
    @classmethod
    def _password_is_a_line(cls, password: SecretStr) -> SecretStr:
        if set(password.get_secret_value()) & set("\r\n\0"):
            raise ValueError("a line end cannot be in it")
        return password


class ProfileSettings(BaseModel):
    """Options of the calls to `sip:NAME@sidecar`; `locked` ones cannot be set by the call."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, OptionText]

    locked: tuple[str, ...] = ()

    def profile(self) -> Profile:
        """Return it as the core knows it."""
        return Profile(dict(self.__pydantic_extra__), frozenset(self.locked))


def _spare_cores() -> int:
    """Return how many media workers leave a core to the control process; there is one at least."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - 1)


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(env_prefix="SIDECAR_", env_nested_delimiter="__", frozen=True, extra="forbid")

    workers: int = Field(default_factory=_spare_cores, ge=0, le=_MOST_WORKERS)  # 0: inside the control process
    max_late_ms: float = Field(20, ge=0, le=1000)  # of a worker's media grid, before it gets no more calls; 0: any
    drain_timeout: float = Field(60, ge=0, le=86400)  # seconds that calls may go on after SIGTERM
    sip: SipSettings = SipSettings()
    rtp: RtpSettings = RtpSettings()
    bot: BotSettings = BotSettings()
    freeswitch: dict[str, FreeswitchSettings] = {}  # by name
    stream: ProfileSettings = ProfileSettings()  # the default profile
    profiles: dict[str, ProfileSettings] = {}

    def rtp_ports(self) -> list[int]:
        """Return where RTP of all calls of each worker goes, and RTCP on the next; 0: any free pair of ports."""
        if self.rtp.mode == "ports":
            return []
        return [self.rtp.port and self.rtp.port + 2 * number for number in range(max(1, self.workers))]

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        hosts = {ip_address(self.sip.host), ip_address(self.rtp.host)}
        overlap = len(hosts) == 1 or any(host.is_unspecified for host in hosts)
        if not overlap or not self.sip.port:
            return self
        if self.rtp.mode == "ports":
            if self.rtp.port_min <= self.sip.port <= self.rtp.port_max:
                raise ValueError(f"sip.port, {self.sip.port}, is between rtp.port_min and rtp.port_max")
        elif self.sip.port == self.rtp.port:
            raise ValueError(f"sip.port and rtp.port are both {self.sip.port}: each needs one of its own")
        elif self.sip.port in self.rtp_ports():
            raise ValueError(f"sip.port, {self.sip.port}, is the RTP port of a media worker: they follow rtp.port")
        elif self.sip.port - 1 in self.rtp_ports():
            raise ValueError(f"sip.port, {self.sip.port}, is that of RTCP, next to rtp.port")
        return self

    @model_validator(mode="after")
    def _workers_have_ports(self) -> Self:
        if max(self.rtp_ports(), default=0) > _LAST_PORT - 1:
            raise ValueError(f"rtp.port, {self.rtp.port}, leaves no pair of ports to each of {self.workers} workers")
        return self

    @field_validator("stream")
    @classmethod
    def _options_are_valid(cls, stream: ProfileSettings) -> ProfileSettings:
        _check_options("stream", stream)
        return stream

    @field_validator("profiles")
    @classmethod
    def _profiles_are_valid(cls, profiles: dict[str, ProfileSettings]) -> dict[str, ProfileSettings]:
        for name, profile in profiles.items():
            _check_options(f"profiles.{name}", profile)
        return profiles

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before what the configuration file gave to the constructor."""
        return env_settings, init_settings


def load_settings(config: Path | None = None, values: Mapping[str, Any] | None = None) -> Settings:
    """Read the configuration file, then the environment; raise `SettingsError` that names what is wrong.

    `values` stands for the file where there is none.
    """
    try:
        given = tomllib.loads(config.read_text()) if config else dict(values or {})
        _check_variables(os.environ)
        return Settings(**given)
    except OSError as error:
        raise SettingsError(f"{config}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{config}: {error}") from None
    except SourceError as error:
        raise SettingsError(f"{_variables_of(error)}: a list, or a whole section, is written as JSON") from None
    except ValidationError as error:
        raise SettingsError("\n".join(map(_in_words, error.errors()))) from None


def _check_variables(names: Iterable[str]) -> None:
    """Refuse variables that set nothing in a section that does not exist; in one that does, pydantic refuses them."""
    prefix, delimiter = Settings.model_config.get("env_prefix", ""), "__"
    sections = {name: name.upper().removeprefix(prefix).partition(delimiter)[0] for name in names if delimiter in name}
    known = {field.upper() for field in Settings.model_fields}
    unknown = sorted(name for name in sections if name.upper().startswith(prefix) and sections[name] not in known)
    if unknown:
        raise SettingsError("\n".join(f"{name}: there is no section {sections[name].lower()}" for name in unknown))


def _variables_of(error: SourceError) -> str:
    """Name the variables of the environment that are no JSON; pydantic names the section alone."""
    wrong = error.__cause__.doc if isinstance(error.__cause__, json.JSONDecodeError) else None
    prefix = Settings.model_config.get("env_prefix", "")
    names = [name for name, value in os.environ.items() if value == wrong and name.upper().startswith(prefix)]
    return ", ".join(names) or str(error)


def _in_words(error: ErrorDetails) -> str:
    field = ".".join(map(str, error["loc"]))
    return ": ".join(filter(None, [field, error["msg"].removeprefix("Value error, ")]))


def _check_options(where: str, settings: ProfileSettings) -> None:
    """Refuse at start what every call would be refused for later."""
    profile = settings.profile()
    try:
        _, warnings = resolve_options({}, [profile, Profile({"url": "ws://localhost"})])
    except OptionError as error:
        raise ValueError(f"{where}.{error}") from None
    unknown = [warning for warning in warnings if "no such option" in warning]
    if unknown:
        raise ValueError(f"{where}: {', '.join(unknown)}")
