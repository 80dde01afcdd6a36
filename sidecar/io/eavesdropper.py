"""Attaches streams to live calls: FreeSWITCH is asked to call us with legs that listen to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

import structlog

from sidecar.core.attaching import AttachRequest
from sidecar.core.events import Failure as StreamFailure
from sidecar.core.events import StreamEvent
from sidecar.core.freeswitch.channel import Channel, is_call_uuid
from sidecar.core.freeswitch.eavesdrop import EavesdropLeg, eavesdrop_legs
from sidecar.core.freeswitch.errors import AttachFailed, EventSocketError, Failure
from sidecar.core.freeswitch.originate import originate_command
from sidecar.core.freeswitch.tickets import Claim, Tickets
from sidecar.core.options import Inject, OptionError, StreamOptions
from sidecar.io.event_socket_client import EventSocketClient

log = structlog.get_logger(__name__)

_ORIGINATE_SECONDS = 30
_MARGIN_SECONDS = 5
"""What FreeSWITCH may take beyond that to tell how it went."""


@dataclass(frozen=True, slots=True)
class FreeSwitch:
    """A FreeSWITCH, and how it calls us."""

    client: EventSocketClient
    dial: str  # with `{user}` for the profile, and `{sidecar}` for our address
    sidecar: Callable[[str], str]  # our host and port, as the host of the FreeSWITCH reaches us


class Eavesdropper:
    """Attaches streams to the calls of some FreeSWITCH servers."""

    def __init__(
        self,
        servers: Mapping[str, FreeSwitch],
        *,
        resolve: Callable[[Mapping[str, str], str], tuple[StreamOptions, list[str]]],
        exists: Callable[[str], bool],
        profiles: Collection[str],
        tickets: Tickets,
        random: Random,
    ) -> None:
        """`resolve` returns the options of a stream, of what is given and the name of a profile.

        `exists` tells whether there is a stream of that id.
        """
        self._servers = servers
        self._resolve = resolve
        self._exists = exists
        self._profiles = profiles
        self._tickets = tickets
        self._random = random
        self._failures: dict[str, str] = {}  # what has gone wrong with the streams that are being attached

    def hear(self, event: StreamEvent) -> None:
        """Take note of why a stream that is being attached will not be: FreeSWITCH hears no more than a cause."""
        if event.stream in self._failures and isinstance(event.body, StreamFailure):
            self._failures[event.stream] = event.body.message.error

    async def attach(self, request: AttachRequest) -> str:
        """Return the id of the new stream once its legs are up; raise `AttachFailed` or `OptionError`."""
        options, id_ = self._checked(request)
        self._failures[id_] = ""
        try:
            await self._attach(request, options, id_)
        finally:
            del self._failures[id_]
        return id_

    async def _attach(self, request: AttachRequest, options: StreamOptions, stream: str) -> None:
        try:
            server, channel = await self._find(request.call, request.freeswitch)
            sidecar = server.sidecar(server.client.peer_host)
        except EventSocketError as error:
            raise AttachFailed(Failure.NO_SERVER, str(error)) from None
        _check(channel, options, request.call)
        commands = _Commands(
            request.call,
            given={**request.options, "id": stream, "call": request.call},
            dial=server.dial.replace("{sidecar}", sidecar),
            user=request.profile or "sidecar",
            codec=channel.codec_string(rate=max(options.rate, options.playback_rate)),
            tickets=self._tickets,
        )
        legs = [_Leg(leg, self._uuid(), self._uuid()) for leg in eavesdrop_legs(options)]
        try:
            await self._originate(server.client, legs, [commands.leg(each) for each in legs], stream)
        finally:  # legs that are up have used theirs; one that comes after all is not let in
            self._tickets.revoke(commands.issued)

    def _checked(self, request: AttachRequest) -> tuple[StreamOptions, str]:
        """Return the options of a stream, and its id."""
        if request.profile and request.profile not in self._profiles:
            raise OptionError("profile", "there is no such profile")
        options, _ = self._resolve(request.options, request.profile or "")
        if not is_call_uuid(request.call):
            raise AttachFailed(Failure.NO_SUCH_CALL, "that cannot be the UUID of a call")
        id_ = options.id or f"{self._random.getrandbits(64):016x}"
        if id_ in self._failures or self._exists(id_):
            raise OptionError("id", "there is such a stream already")
        return options, id_

    async def _find(self, call: str, name: str | None) -> tuple[FreeSwitch, Channel]:
        """Return who has the call, and what it is like."""
        servers = self._servers if name is None else {name: self._servers[name]} if name in self._servers else {}
        if not servers:
            raise AttachFailed(Failure.NO_SERVER, f"no FreeSWITCH {name!r}" if name else "no FreeSWITCH is configured")
        asked = {asyncio.create_task(_ask(each, call)): name for name, each in servers.items()}
        try:
            for each in asyncio.as_completed(asked):
                server, dump = await each
                if dump is not None and not dump.startswith("-ERR"):
                    return server, Channel.parse(dump)
        finally:
            for task in asked:
                task.cancel()
        if silent := [name for task, name in asked.items() if task.result()[1] is None]:
            raise AttachFailed(Failure.NO_SERVER, f"no such call here, and not connected: {', '.join(sorted(silent))}")
        raise AttachFailed(Failure.NO_SUCH_CALL, "no such call")

    async def _originate(
        self, client: EventSocketClient, legs: Sequence[_Leg], commands: Sequence[str], stream: str
    ) -> None:
        """Let FreeSWITCH call us with all legs, or with none."""
        try:
            async with asyncio.timeout(_ORIGINATE_SECONDS + _MARGIN_SECONDS):
                jobs = zip(legs, commands, strict=True)
                outcomes = await asyncio.gather(*(client.bgapi(command, job=leg.job) for leg, command in jobs))
        except TimeoutError:
            await _kill(client, legs)
            raise AttachFailed(Failure.TIMEOUT, "FreeSWITCH does not say what has become of the leg") from None
        except EventSocketError as error:
            await _kill(client, legs)  # one may have been refused alone
            raise AttachFailed(Failure.NO_SERVER, str(error)) from None
        except asyncio.CancelledError:
            await _kill(client, legs)
            raise
        for outcome in outcomes:
            if not outcome.startswith("+OK"):
                await _kill(client, legs)
                cause = outcome.removeprefix("-ERR").strip()
                why = self._failures[stream] or "the leg was refused"
                raise AttachFailed(Failure.REFUSED, f"{why} ({cause})", cause=cause)

    def _uuid(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))


@dataclass(frozen=True, slots=True)
class _Leg:
    leg: EavesdropLeg
    uuid: str
    job: str


@dataclass(frozen=True, slots=True)
class _Commands:
    """Writes the commands for the legs of one stream."""

    call: str
    given: Mapping[str, str]
    dial: str
    user: str
    codec: str
    tickets: Tickets
    issued: list[str] = field(default_factory=list)

    def leg(self, leg: _Leg) -> str:
        """Return the command for a leg, which lets it in; raise `AttachFailed` when too many are to come."""
        claim = Claim({**self.given, "track": leg.leg.track.value})
        ticket = self.tickets.issue(claim, now=asyncio.get_running_loop().time())
        if ticket is None:
            raise AttachFailed(Failure.NO_SERVER, "too many streams are being attached")
        self.issued.append(ticket)
        return originate_command(
            self.call,
            leg.leg,
            uuid=leg.uuid,
            ticket=ticket,
            codec=self.codec,
            dial=self.dial,
            user=self.user,
            seconds=_ORIGINATE_SECONDS,
        )


async def _ask(server: FreeSwitch, call: str) -> tuple[FreeSwitch, str | None]:
    """Return a server, and what it says of a call; None if it says nothing."""
    try:
        return server, await server.client.api(f"uuid_dump {call}")
    except EventSocketError:
        return server, None


def _check(channel: Channel, options: StreamOptions, call: str) -> None:
    if not channel.is_answered:
        raise AttachFailed(Failure.NO_AUDIO, "the call is not answered, and has no early media")
    if channel.hears_nothing and options.playback and options.inject in (Inject.CALLER, Inject.BOTH):
        log.warning("a parked call hears nothing of a bot, unless send_silence_when_idle is set", call=call)


async def _kill(client: EventSocketClient, legs: Sequence[_Leg]) -> None:
    """End the legs that there are; whoever asked knows by now that there will be no stream."""
    for leg in legs:
        try:
            await client.api(f"uuid_kill {leg.uuid}")
        except EventSocketError:
            return
