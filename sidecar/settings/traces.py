"""Where traces go: `[traces]`."""

from __future__ import annotations

from importlib.util import find_spec
from urllib.parse import urlsplit

from pydantic import field_validator

from sidecar.settings.section import Section

_MODULES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
"""That are imported; others have the package `opentelemetry` alone, which does nothing by itself."""


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
        if not all(map(_is_there, _MODULES)):
            raise ValueError("traces need more packages: pip install 'audio-stream-sidecar[otel]'")
        return endpoint


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even what it is in
        return False
