"""Where events are posted to: `[webhooks.NAME]`."""

from __future__ import annotations

from pydantic import field_validator

from sidecar.core.events import EVENT_KINDS
from sidecar.core.webhook_signature import parse_webhook_secret
from sidecar.core.webhook_url import parse_webhook_url
from sidecar.secret import Secret
from sidecar.settings.section import Section


class WebhookSettings(Section):
    """Where events are posted to."""

    url: str
    secret: Secret  # whsec_ and base64: what the signature is made with
    events: tuple[str, ...] = ()  # the kinds that are posted; empty: all

    @field_validator("url")
    @classmethod
    def _url_can_be_used(cls, url: str) -> str:
        parse_webhook_url(url)
        return url

    @field_validator("secret")
    @classmethod
    def _secret_is_one(cls, secret: Secret) -> Secret:
        parse_webhook_secret(secret.get_secret_value())
        return secret

    @field_validator("events")
    @classmethod
    def _events_are_known(cls, events: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(events) - set(EVENT_KINDS):
            raise ValueError(f"{min(unknown)!r} is not one of {', '.join(EVENT_KINDS)}")
        return events

    def key(self) -> bytes:
        """Return what the signature is made with."""
        return parse_webhook_secret(self.secret.get_secret_value())
