"""`sidecar serve`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.cli.arguments import ConfigFile, read_settings
from sidecar.cli.outcome import fail, run_to_end

if TYPE_CHECKING:
    from sidecar.settings import Settings


def serve(config: ConfigFile = None) -> None:
    """Take calls until SIGTERM or SIGINT (Ctrl-C), then let those that are up end.

    A second signal hangs up at once. Unless told otherwise it listens on
    this machine alone: SIP at 127.0.0.1:5070, REST and a console for
    browsers at http://127.0.0.1:8080.
    """
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
    from sidecar.doctor.ports import listened_ports

    tried = ((port, port.trouble()) for port in listened_ports(settings))
    return ", ".join(f"{port}: {trouble.strerror}" for port, trouble in tried if trouble is not None)
