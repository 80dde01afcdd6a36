"""Bots: can they be reached as a call would reach them?"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from sidecar.core.bot_connection import BotConnection, Failed, Opened
from sidecar.core.bot_uri import public_url
from sidecar.core.options import OptionError, Profile, StreamOptions, fallback_options, resolve_options
from sidecar.doctor.certificates import file_finding, validity, validity_finding
from sidecar.doctor.finding import Finding, Verdict, fail, ok, warn
from sidecar.io.bot_route import BotRoute, find_routes
from sidecar.io.network import system_words
from sidecar.io.secret_reader import read_authorization
from sidecar.io.stream_error import StreamError
from sidecar.io.tls_contexts import TlsContexts
from sidecar.io.tls_lane import explain_tls
from sidecar.settings import Settings

_READ_BYTES = 64 << 10
_GOODBYE_SECONDS = 1.0


class Step(Enum):
    """How far a visit has come, and what may help where it ends there."""

    FILES = "auth, tls_ca_file, tls_cert_file and tls_key_file name what this user can read"
    LOOKUP = "see to the host of the URL, and to name resolution on this machine"
    ALLOW = "bot.allow lists who may be called; link-local and metadata addresses never may"
    CONNECT = "see that the bot runs, and that no firewall stands between"
    TLS = "tls_ca_file names who has signed the bot's certificate; its name must be the host of the URL"
    HANDSHAKE = "see to the path of the URL, auth and extra_headers, and to the log of the bot"


@dataclass(frozen=True, slots=True)
class Bot:
    """A bot that a profile names."""

    check: str
    options: StreamOptions
    is_template: bool  # the URL has places for facts of a call


@dataclass(slots=True)
class _Visit:
    """One connection to a bot, made as for a call, and closed again; it sends no metadata and no audio."""

    step: Step = Step.FILES
    at: str = ""  # which address
    tls: str | None = None
    certificate: bytes = b""


@dataclass(frozen=True, slots=True)
class _Line:
    """A connection that is open."""

    connection: BotConnection
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


def named_bots(settings: Settings) -> tuple[list[Bot], list[Finding]]:
    """Return the bots of all profiles, and what is to be said of profiles that name none or trust anybody."""
    bots, found = [], []
    default = settings.stream.profile()
    profiles: dict[str, list[Profile]] = {"stream": [default]}
    profiles |= {f"profiles.{name}": [each.profile(), default] for name, each in settings.profiles.items()}
    for name, layers in profiles.items():
        template = next((each.options["url"] for each in layers if "url" in each.options), "")
        try:
            options, warnings = resolve_options({}, layers)
        except OptionError as error:
            if error.name != "url" or template:
                found.append(fail(f"{name}.{error.name}", error.reason, "correct it"))
            else:
                found.append(ok(f"{name}.url", "names no bot: each call has to bring X-STREAM_URL"))
            continue
        found += [warn(name, each, "as you see fit") for each in warnings]
        if options.tls_cert_file is not None:
            path = Path(options.tls_cert_file)
            found.append(file_finding(f"{name}.tls_cert_file", path, now=datetime.now(UTC)))
        bots.append(Bot(f"{name}.url", options, "{" in template))
        if options.on_bot_lost.url is not None:
            bots.append(Bot(f"{name}.on_bot_lost", fallback_options(options), False))
    return bots, found


async def examine_bot(bot: Bot, settings: Settings) -> Finding:
    """Look up, connect, agree on TLS, shake hands, say goodbye."""
    visit, seconds, began = _Visit(), settings.bot.connect_timeout, time.monotonic()
    where = public_url(bot.options.url)
    try:
        async with asyncio.timeout(seconds):
            line = await _call(visit, bot.options, settings)
    except TimeoutError:
        why = f"no answer within {seconds:g} s ({visit.step.name.lower()})"
    except StreamError as error:
        visit.step = Step.ALLOW if error.forbidden else visit.step
        why = str(error)
    except ssl.SSLError as error:
        why = explain_tls(error)[1]
    except OSError as error:
        why = system_words(error)
    else:
        took_ms = 1000 * (time.monotonic() - began)
        await _say_goodbye(line)
        return _reached(bot.check, where, visit, took_ms)
    if bot.is_template and visit.step is Step.HANDSHAKE:
        return warn(bot.check, f"{where}: {why}", "perhaps the facts of a call, which were empty: try `sidecar call`")
    return fail(bot.check, f"{where}{visit.at and ' at ' + visit.at}: {why}", visit.step.value)


async def _call(visit: _Visit, options: StreamOptions, settings: Settings) -> _Line:
    """Go through all steps; raise OSError or `StreamError` where it ends."""
    connection = BotConnection(options.url, headers=options.extra_headers, deflate=not options.message_deflate)
    authorization = await read_authorization(options.auth)
    context = await TlsContexts().get(options) if connection.secure else None
    visit.step = Step.LOOKUP
    routes = await find_routes(connection.uri, settings.bot.hosts())
    visit.step = Step.CONNECT
    sock = await _connect(visit, routes)
    visit.step = Step.HANDSHAKE if context is None else Step.TLS
    host = None if context is None else connection.uri.host
    reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=host)
    line = _Line(connection, reader, writer)
    try:
        if context is not None:
            agreed = writer.get_extra_info("ssl_object")
            visit.tls, visit.certificate = agreed.version(), agreed.getpeercert(binary_form=True) or b""
        visit.step = Step.HANDSHAKE
        connection.connect(authorization=authorization)
        await _shake_hands(line)
    except BaseException:
        writer.transport.abort()
        raise
    return line


async def _connect(visit: _Visit, routes: Sequence[BotRoute]) -> socket.socket:
    """Return a socket by the first way that leads there."""
    for route in routes[:-1]:
        visit.at = route.address[0]
        with contextlib.suppress(OSError):
            return await route.connect()
    visit.at = routes[-1].address[0]
    return await routes[-1].connect()


async def _say_goodbye(line: _Line) -> None:
    """Close as a call does, and give the bot a moment to agree."""
    line.connection.close(1000, "sidecar doctor")
    line.writer.writelines(line.connection.data_to_send())
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(_GOODBYE_SECONDS):
            while not line.connection.is_over and (data := await line.reader.read(_READ_BYTES)):
                line.connection.receive_data(data)
    line.writer.transport.abort()


async def _shake_hands(line: _Line) -> None:
    """Wait until the bot has agreed; raise `StreamError` if it does not."""
    line.writer.writelines(line.connection.data_to_send())
    while True:
        data = await line.reader.read(_READ_BYTES)
        if data:
            line.connection.receive_data(data)
        else:
            line.connection.receive_eof()
        for event in line.connection.take_events():
            if isinstance(event, Opened):
                return
            if isinstance(event, Failed):
                raise StreamError(event.code, event.error)


def _reached(check: str, where: str, visit: _Visit, took_ms: float) -> Finding:
    what = f"{where}: connected to {visit.at}{', ' + visit.tls if visit.tls else ''}, in {took_ms:.0f} ms"
    if not visit.certificate:
        return ok(check, what)
    days = validity(visit.certificate)
    found = validity_finding(check, f"{what}; certificate", *days, now=datetime.now(UTC))
    return replace(found, verdict=Verdict.WARN) if found.verdict is Verdict.FAIL else found  # TLS let it pass
