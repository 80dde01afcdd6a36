"""The command line. Exit codes: 0 ok, 1 failed, 2 wrong use.

Imports of the commands are inside them, so that `sidecar --help` does not wait for what it does not need.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Coroutine
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from rtp import Pcm
    from sidecar.io.caller import CallResult, CallState
    from sidecar.settings import Settings
    from sip import SipUri

_T = TypeVar("_T")

_FAILED, _WRONG_USE = 1, 2
_OWN_HEADERS = frozenset(
    "via from to call-id cseq contact max-forwards content-length content-type v f t i m l c".split()
)

app = typer.Typer(
    help="Connects telephone calls to voice bots: SIP and RTP in, WebSocket out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class CodecName(StrEnum):
    """The codecs of the test caller."""

    PCMU = "pcmu"
    PCMA = "pcma"


def _print_version(wanted: bool) -> None:
    if wanted:
        from sidecar import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


@app.command()
def serve(
    config: Annotated[
        Path | None, typer.Option(help="A configuration file (TOML); the environment goes before it.")
    ] = None,
) -> None:
    """Take calls until SIGTERM or SIGINT."""
    from sidecar.app import serve as serve_calls
    from sidecar.log import log_to_stderr
    from sidecar.settings import SettingsError, load_settings

    log_to_stderr("info")
    try:
        settings = load_settings(config)
    except SettingsError as error:
        _fail(str(error), code=_WRONG_USE)
    try:
        _run(serve_calls(settings))
    except OSError as error:
        _fail(f"cannot listen: {_taken_ports(settings) or error.strerror or error}")


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(min=1, max=3600, help="How long the call lasts.")] = 8.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    output: Annotated[
        Path, typer.Option(dir_okay=False, help="The recording: left what was sent, right what was heard.")
    ] = Path("demo.wav"),
) -> None:
    """Place a call through the sidecar to an echo bot, all on this machine, and tell what is heard.

    Ctrl-C hangs up and tells what was heard so far; the exit code is then 1.
    """
    from sidecar.console import call_progress, print_error, print_heard, print_json, span_json
    from sidecar.core.listening import side_by_side
    from sidecar.demo import DemoResult, run_demo
    from sidecar.io.signals import stop_signal
    from sidecar.log import log_to_stderr

    async def run(on_state: Callable[[CallState], None]) -> DemoResult:
        return await run_demo(seconds=seconds, on_state=on_state, stopped=stop_signal())

    _check_writable(output, "--output")
    log_to_stderr("warning")
    try:
        with call_progress(seconds) as progress:
            result = _run(run(progress.show))
    except OSError as error:
        _fail(f"this machine gives no ports: {error.strerror or error}")
    heard = result.heard
    recording = _write(output, side_by_side(result.call.recording)) if result.call.answered else None
    if as_json:
        print_json(
            {
                "ok": result.ok,
                "seconds": heard.frames_sent / 50,
                "frames_sent": heard.frames_sent,
                "frames_received": heard.frames_received,
                "round_trip_ms": span_json(heard.round_trip_ms),
                "recording": recording,
            }
        )
    elif result.call.answered:
        print_heard(result.call, heard)
        typer.echo(f"recording       {recording}")
        if result.ok:
            typer.echo("ok: the bot heard the caller, and the caller heard the bot")
    for problem in result.problems:
        print_error(problem)
    raise typer.Exit(0 if result.ok else _FAILED)


@app.command()
def echo(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 is any free one.")] = 8765,
) -> None:
    """Run a bot that says what it hears."""
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
        _run(run())
    except OSError as error:
        _fail(f"cannot listen on {host}, port {port}: {error.strerror or error}")


@app.command()
def call(
    sip_uri: Annotated[str, typer.Argument(metavar="SIP-URI", help="Whom to call, such as sip:sales@127.0.0.1:5070.")],
    play: Annotated[
        Path | None, typer.Option(metavar="WAV", help="What to say: 16-bit PCM, a multiple of 8000 Hz. [a melody]")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="WAV", dir_okay=False, help="Where to write what is heard.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(metavar="'Name: value'", help="A header of the INVITE; may be repeated.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0.1, max=3600, help="How long to talk. [what is said, and 1 s]")
    ] = None,
    codec: Annotated[CodecName, typer.Option(help="The codec to offer.")] = CodecName.PCMU,
    ca: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="Who must have signed the certificate, over TLS. [one the system trusts]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Place a test call, and tell what is heard.

    Ctrl-C hangs up and tells what was heard so far; the exit code is then 1.
    """
    from rtp import CLOCK_RATE, Codec
    from sidecar.console import call_progress, print_error
    from sidecar.io.caller import CallPlan, place_call
    from sidecar.io.signals import stop_signal
    from sidecar.log import log_to_stderr

    async def run(on_state: Callable[[CallState], None]) -> CallResult:
        return await place_call(plan, on_state=on_state, stopped=stop_signal())

    target, headers, signal = _target(sip_uri), [_header(text) for text in header or ()], _signal(play)
    if record is not None:
        _check_writable(record, "--record")
    if ca is not None:
        _check_authority(ca)
    log_to_stderr("warning")
    plan = CallPlan(
        target=target,
        signal=signal,
        seconds=seconds or min(len(signal) / CLOCK_RATE + 1, 3600),
        headers=headers,
        codec=Codec[codec.name],
        tls_ca=ca,
    )
    try:
        with call_progress(plan.seconds) as progress:
            result = _run(run(progress.show))
    except OSError as error:
        _fail(f"this machine gives no ports: {error.strerror or error}")
    recording = _write(record, result.recording.heard) if record is not None and result.answered else None
    _tell(result, recording, as_json=as_json)
    if not result.answered:
        print_error(f"{result.status} {result.reason}")
    elif result.stopped:
        print_error("stopped before the end")
    if not result.answered or result.stopped:
        raise typer.Exit(_FAILED)


@app.command()
def bench(
    calls: Annotated[int, typer.Option(min=1, max=4096, help="How many calls talk at once.")] = 100,
    seconds: Annotated[float, typer.Option(min=1, max=86400, help="For how long they are measured.")] = 10.0,
    mix: Annotated[str, typer.Option(help="Whose voice the bots hear: mono, callee, mixed or stereo.")] = "mono",
    rate: Annotated[str, typer.Option(help="Samples a second, from and to the bots: 8k to 48k.")] = "16k",
    workers: Annotated[
        int, typer.Option(min=0, max=256, help="Media workers of the sidecar; 0: inside its control process.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Place many calls at once through a sidecar of its own, and tell what 20 ms of one cost.

    Callers, bots and the sidecar are processes of this machine. It needs Linux, and a C compiler.
    """
    from sidecar.bench import BenchError, BenchPlan, run_bench
    from sidecar.console import bench_progress, print_error, print_figures, print_json
    from sidecar.core.options import OptionError, Profile, resolve_options

    given = {"url": "ws://localhost", "mix": mix, "rate": rate}
    try:
        options, _ = resolve_options({}, [Profile(given)])
    except OptionError as error:
        raise typer.BadParameter(error.reason, param_hint=f"--{error.name}") from None
    try:
        with bench_progress() as show:
            figures = _run(run_bench(BenchPlan(calls, seconds, options.mix, options.rate, workers), on_state=show))
    except (BenchError, OSError) as error:
        _fail(str(error))
    if as_json:
        print_json(figures.as_json())
    else:
        print_figures(figures)
    for problem in figures.problems:
        print_error(problem)


@app.command()
def freeswitch(
    name: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="Print this file alone, without its name. [all of them]")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A configuration file (TOML); the environment goes before it.")
    ] = None,
) -> None:
    """Print dialplan and script for FreeSWITCH, as this configuration needs them."""
    from sidecar.freeswitch_examples import NAMES, example
    from sidecar.settings import SettingsError, load_settings

    if name not in (None, *NAMES):
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(NAMES)}", param_hint="FILE")
    try:
        settings = load_settings(config)
    except SettingsError as error:
        _fail(str(error), code=_WRONG_USE)
    for each in NAMES if name is None else (name,):
        if name is None:
            typer.echo(f"==> {each} <==")
        typer.echo(example(each, settings))


def main() -> None:
    """Run the command that was given."""
    # The matrix products of the media plane are small: threads would only wait for each other. numpy reads it once,
    # when it is imported, which is later than here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    app(prog_name="sidecar")


def _run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    from sidecar.io.loop import run_in_loop

    return run_in_loop(coroutine)


def _fail(text: str, *, code: int = _FAILED) -> NoReturn:
    from sidecar.console import print_error

    print_error(text)
    raise typer.Exit(code)


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
    return ", ".join(
        f"{name} on {format_host_port(host, port)}: {why}"
        for name, host, port, kind in ports
        if (why := why_not(host, port, kind))
    )


def _tell(result: CallResult, recording: str | None, *, as_json: bool) -> None:
    from sidecar.console import print_heard, print_json, span_json
    from sidecar.core.listening import judge

    heard = judge(result.recording)
    if as_json:
        setup_seconds = result.setup_seconds
        print_json(
            {
                "ok": result.answered and not result.stopped,
                "status": result.status,
                "reason": result.reason,
                "hung_up_by": result.hung_up_by.value if result.hung_up_by else None,
                "setup_ms": None if setup_seconds is None else round(1000 * setup_seconds, 1),
                "frames_sent": heard.frames_sent,
                "frames_received": heard.frames_received,
                "heard_dbfs": round(heard.heard_dbfs, 1),
                "round_trip_ms": span_json(heard.round_trip_ms),
                "recording": recording,
            }
        )
    elif result.answered:
        print_heard(result, heard)
        if recording is not None:
            typer.echo(f"recording       {recording}")


def _target(text: str) -> SipUri:
    from sip import SipError, SipUri

    try:
        target = SipUri.parse(text)
    except SipError as error:
        raise typer.BadParameter(str(error), param_hint="SIP-URI") from None
    transport = (target.parameters.get("transport") or "udp").lower()
    if transport not in ("udp", "tcp", "tls"):
        raise typer.BadParameter("only UDP, TCP and TLS are supported", param_hint="SIP-URI")
    return target


def _header(text: str) -> tuple[str, str]:
    match = re.fullmatch(r"([A-Za-z0-9.!%*_+`'~-]+)[ \t]*:[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is not 'Name: value'", param_hint="--header")
    if match[1].lower() in _OWN_HEADERS:
        raise typer.BadParameter(f"{match[1]} is the caller's own to set", param_hint="--header")
    return match[1], match[2]


def _signal(play: Path | None) -> Pcm:
    from sidecar.io.wav import WavError, read_speech
    from sidecar.sample import load_melody

    if play is None:
        return load_melody()
    try:
        return read_speech(play)
    except WavError as error:
        raise typer.BadParameter(str(error), param_hint="--play") from None


def _check_authority(path: Path) -> None:
    from sidecar.io.sip_tls import TlsError, client_context

    try:
        client_context(path)
    except TlsError as error:
        raise typer.BadParameter(str(error), param_hint="--ca") from None


def _check_writable(path: Path, option: str) -> None:
    """Refuse before the call what would fail after it."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"{path}: no file can be written there", param_hint=option)


def _write(path: Path, pcm: Pcm) -> str:
    from sidecar.io.wav import WavError, write_wav

    try:
        write_wav(path, pcm)
    except WavError as error:
        _fail(str(error))
    return str(path)
