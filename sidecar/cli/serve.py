"""`sidecar serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.cli.arguments import ConfigFile, read_settings
from sidecar.cli.outcome import fail, run_to_end

if TYPE_CHECKING:
    from sidecar.settings import Settings


def serve(config: ConfigFile = None) -> None:
    """Take calls until SIGTERM or SIGINT."""
    from sidecar.app import serve as serve_calls
    from sidecar.log import log_to_stderr

    log_to_stderr("info")
    settings = read_settings(config)
    try:
        run_to_end(serve_calls(settings))
    except OSError as error:
        fail(f"cannot listen: {_taken_ports(settings) or error.strerror or error}")


def _taken_ports(settings: Settings) -> str:
    """Name the ports that could not be had: the system's error does not."""
    from socket import SOCK_DGRAM, SOCK_STREAM

    from sidecar.io.network import why_not
    from sip.grammar import format_host_port

    sip, rtp = settings.sip, settings.rtp
    ports = [
        ("SIP", sip.host, sip.port, SOCK_DGRAM),
        ("SIP over TCP", sip.host, sip.port, SOCK_STREAM),
        *(("RTP", rtp.host, port, SOCK_DGRAM) for port in settings.rtp_ports()),
    ]
    if sip.tls_certificate is not None:
        ports.append(("SIP over TLS", sip.host, sip.tls_port, SOCK_STREAM))
    if settings.api.enabled:
        ports.append(("REST", settings.api.host, settings.api.port, SOCK_STREAM))
    return ", ".join(
        f"{name} on {format_host_port(host, port)}: {why}"
        for name, host, port, kind in ports
        if (why := why_not(host, port, kind))
    )
