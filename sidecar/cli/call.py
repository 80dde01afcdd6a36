"""`sidecar call`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sidecar.cli.arguments import AsJson
from sidecar.cli.outcome import FAILED, fail, run_to_end
from sidecar.cli.recording import check_writable, write_recording

if TYPE_CHECKING:
    from rtp import Pcm
    from sidecar.io.caller import CallPlan, CallResult, CallState
    from sip import SipUri

_OWN_HEADERS = frozenset(
    "via from to call-id cseq contact max-forwards content-length content-type v f t i m l c".split()
)


class CodecName(StrEnum):
    """The codecs of the test caller."""

    PCMU = "pcmu"
    PCMA = "pcma"


_Uri = Annotated[
    str,
    typer.Argument(metavar="SIP-URI", help="Whom to call, such as sip:sales@127.0.0.1:5070, or with ;transport=tcp."),
]
_Play = Annotated[
    Path | None,
    typer.Option(metavar="WAV", help="What to say: 16-bit PCM, a multiple of 8000 Hz.", show_default="a melody"),
]
_Record = Annotated[
    Path | None,
    typer.Option(metavar="WAV", dir_okay=False, help="Where to write what is heard.", show_default="nowhere"),
]
_Headers = Annotated[
    list[str] | None,
    typer.Option(
        metavar="'Name: value'",
        help="A header of the INVITE, such as 'X-STREAM_URL: ws://127.0.0.1:8765/'; may be repeated.",
        show_default=False,
    ),
]
_Seconds = Annotated[
    float | None, typer.Option(min=0.1, max=3600, help="For how long to talk.", show_default="what is said, and 1 s")
]
_Codec = Annotated[CodecName, typer.Option(help="The codec to offer.")]
_Authority = Annotated[
    Path | None,
    typer.Option(
        metavar="PEM", help="Over TLS: who must have signed the certificate.", show_default="whom the system trusts"
    ),
]


def call(
    sip_uri: _Uri,
    play: _Play = None,
    record: _Record = None,
    header: _Headers = None,
    seconds: _Seconds = None,
    codec: _Codec = CodecName.PCMU,
    ca: _Authority = None,
    as_json: AsJson = False,
) -> None:
    """Place a test call to a sidecar or any SIP endpoint, and tell what is heard.

    Ctrl-C hangs up and tells what was heard so far; the exit code is then 1.
    """
    from sidecar.console import call_progress, print_error
    from sidecar.io.caller import place_call
    from sidecar.io.signals import stop_signal
    from sidecar.log import log_to_stderr

    async def run(on_state: Callable[[CallState], None]) -> CallResult:
        return await place_call(plan, on_state=on_state, stopped=stop_signal())

    plan = _plan(sip_uri, play, header or (), seconds=seconds, codec=codec, ca=ca)
    if record is not None:
        check_writable(record, "--record")
    log_to_stderr("warning")
    try:
        with call_progress(plan.seconds) as progress:
            result = run_to_end(run(progress.show))
    except OSError as error:
        fail(f"this machine gives no ports: {error.strerror or error}")
    recording = write_recording(record, result.recording.heard) if record is not None and result.answered else None
    _tell(result, recording, as_json=as_json)
    if not result.answered:
        print_error(f"{result.status} {result.reason}")
    elif result.stopped:
        print_error("stopped before the end")
    if not result.answered or result.stopped:
        raise typer.Exit(FAILED)


def _plan(
    sip_uri: str, play: Path | None, headers: Iterable[str], *, seconds: float | None, codec: CodecName, ca: Path | None
) -> CallPlan:
    """Return what to do; raise `BadParameter` that names the argument that is wrong."""
    from rtp import CLOCK_RATE, Codec
    from sidecar.io.caller import CallPlan

    target, own_headers, signal = _target(sip_uri), [_header(text) for text in headers], _signal(play)
    if ca is not None:
        _check_authority(ca)
    return CallPlan(
        target=target,
        signal=signal,
        seconds=seconds or min(len(signal) / CLOCK_RATE + 1, 3600),
        headers=own_headers,
        codec=Codec[codec.name],
        tls_ca=ca,
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
    from sidecar.io.tls_files import TlsError, client_context

    try:
        client_context(path)
    except TlsError as error:
        raise typer.BadParameter(str(error), param_hint="--ca") from None
