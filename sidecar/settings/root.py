"""All settings, and what they must agree on."""

from __future__ import annotations

import os
from ipaddress import ip_address
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from sidecar.core.webhook_url import parse_webhook_url
from sidecar.settings.api import ApiSettings
from sidecar.settings.bot import BotSettings
from sidecar.settings.directory import DirectorySettings
from sidecar.settings.freeswitch import FreeswitchSettings
from sidecar.settings.profile import ProfileSettings, check_options
from sidecar.settings.rtp import RtpSettings
from sidecar.settings.sip import SipSettings
from sidecar.settings.traces import TracesSettings
from sidecar.settings.webhook import WebhookSettings

_MOST_WORKERS = 256
_LAST_PORT = 65535


def _spare_cores() -> int:
    """Return how many media workers leave a core to the control process; there is one at least."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - 1)


def _overlap(one: str, other: str) -> bool:
    """Whether two sockets at these hosts cannot have the same port."""
    hosts = {ip_address(one), ip_address(other)}
    return len(hosts) == 1 or any(host.is_unspecified for host in hosts)


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
    api: ApiSettings = ApiSettings()
    webhooks: dict[str, WebhookSettings] = {}
    directory: DirectorySettings = DirectorySettings()
    traces: TracesSettings = TracesSettings()

    @model_validator(mode="after")
    def _webhooks_are_allowed(self) -> Self:
        for name, webhook in self.webhooks.items():
            host = parse_webhook_url(webhook.url).host
            if not self.bot.hosts().allows_host(host):
                raise ValueError(f"webhooks.{name}.url: {host} is not in bot.allow")
        return self

    @model_validator(mode="after")
    def _others_reach_us(self) -> Self:
        if self.directory.url is None:
            return self
        if not self.api.enabled:
            raise ValueError("directory.url: others ask for our streams over REST, and api.enabled is false")
        host = ip_address(self.api.host)
        if self.directory.address is None and (
            host.is_unspecified or (host.is_loopback and not self.directory.is_near)
        ):
            raise ValueError(f"directory.address is needed: api.host, {self.api.host}, is no address to be reached at")
        return self

    def rtp_ports(self) -> list[int]:
        """Return where RTP of all calls of each worker goes, and RTCP on the next; 0: any free pair of ports."""
        if self.rtp.mode == "ports":
            return []
        return [self.rtp.port and self.rtp.port + 2 * number for number in range(max(1, self.workers))]

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if not _overlap(self.sip.host, self.rtp.host) or not self.sip.port:
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
    def _rest_has_a_port_of_its_own(self) -> Self:
        if self.api.enabled and self.api.port and _overlap(self.sip.host, self.api.host):
            of_sip = {"sip.port": self.sip.port}
            if self.sip.tls_certificate is not None:
                of_sip["sip.tls_port"] = self.sip.tls_port
            for name, port in of_sip.items():
                if port == self.api.port:
                    raise ValueError(f"{name} and api.port are both {port}: each needs one of its own")
        return self

    @model_validator(mode="after")
    def _workers_have_ports(self) -> Self:
        if max(self.rtp_ports(), default=0) > _LAST_PORT - 1:
            raise ValueError(f"rtp.port, {self.rtp.port}, leaves no pair of ports to each of {self.workers} workers")
        return self

    @field_validator("stream")
    @classmethod
    def _options_are_valid(cls, stream: ProfileSettings) -> ProfileSettings:
        check_options("stream", stream)
        return stream

    @field_validator("profiles")
    @classmethod
    def _profiles_are_valid(cls, profiles: dict[str, ProfileSettings]) -> dict[str, ProfileSettings]:
        for name, profile in profiles.items():
            check_options(f"profiles.{name}", profile)
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
