"""Where traces go: `[traces]`."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import field_validator

from sidecar.settings.extras import check_extra
from sidecar.settings.section import Section


class TracesSettings(Section):
    """Where traces go."""

    endpoint: str = ""  # of OTLP over HTTP, such as http://127.0.0.1:4318/v1/traces; empty: there are none

    @field_validator("endpoint")
    @classmethod
    def _endpoint_can_be_used(cls, endpoint: str) -> str:
        if not endpoint:
            return endpoint
        url = urlsplit(endpoint)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("not an http:// or https:// URL")
        # others bring the package `opentelemetry` alone, which does nothing by itself
        check_extra("otel", "opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
        return endpoint
