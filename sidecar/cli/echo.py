"""`sidecar echo`."""

from __future__ import annotations

from typing import Annotated

import typer

from sidecar.cli.outcome import fail, run_to_end


def echo(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 is any free one.")] = 8765,
) -> None:
    """Run an echo bot: a WebSocket server that sends back what callers say.

    Its URL, ws://127.0.0.1:8765/, is the one that all examples name.
    """
    from sidecar.io.echo_bot import EchoBot
    from sidecar.io.signals import stop_signal
    from sidecar.log import log_to_stderr

    async def run() -> None:
        stopped = stop_signal()
        async with EchoBot(host=host, port=port) as bot:
            typer.echo(f"An echo bot listens on {bot.url}")
            await stopped.wait()

    log_to_stderr("info")
    try:
        run_to_end(run())
    except OSError as error:
        fail(f"cannot listen on {host}, port {port}: {error.strerror or error}")
