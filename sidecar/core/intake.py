"""What a new call asks for, and how it is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sidecar.core.bot_hosts import BotHosts
from sidecar.core.call_facts import CallFacts
from sidecar.core.cause import RETRY_AFTER, Cause, reason_headers, warning_headers
from sidecar.core.errors import ErrorCode
from sidecar.core.event_body import EventBody
from sidecar.core.events import failure
from sidecar.core.freeswitch.originate import TICKET_HEADER
from sidecar.core.freeswitch.tickets import Tickets
from sidecar.core.options import (
    OptionError,
    Profile,
    StreamOptions,
    check_bot_host,
    options_from_headers,
    resolve_options,
)
from sip import CallReceived, ServiceUnavailable, SipError, SipUri, UserAgent


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call asks for."""

    given: Mapping[str, str]  # options, by name
    call: str  # what events call it by
    stream: str = ""  # that we have asked the call for; empty: we have not
    has_bad_ticket: bool = False  # not one of ours, used before, or too old


class Intake:
    """Reads what calls ask for, and says no to those that cannot be taken."""

    def __init__(
        self,
        agent: UserAgent,
        *,
        profiles: Mapping[str, Profile],
        default_profile: Profile,
        bot_hosts: BotHosts,
        tickets: Tickets | None,
        own_host: Callable[[str], str],
    ) -> None:
        """`tickets` are those of the legs that we have asked for; `own_host` is ours, as a peer reaches it."""
        self._agent = agent
        self._profiles = profiles
        self._default_profile = default_profile
        self._bot_hosts = bot_hosts
        self._tickets = tickets
        self._own_host = own_host

    def profile_of(self, event: CallReceived) -> str:
        """Return the profile that is called by its name; empty: the default one."""
        user = SipUri.parse(event.request.uri).user or ""
        return user if user in self._profiles else ""

    def profiles_of(self, name: str) -> list[Profile]:
        """Return the profiles that hold for who calls `name`, the one that goes before the other first."""
        named = [self._profiles[name]] if name in self._profiles else []
        return [*named, self._default_profile]

    def resolve(
        self, given: Mapping[str, str], user: str = "", facts: CallFacts | None = None
    ) -> tuple[StreamOptions, list[str]]:
        """Return the options of a call to `user` and warnings; raise `OptionError` for what it may not ask for."""
        options, warnings = resolve_options(given, self.profiles_of(user), facts=facts, hosts=self._bot_hosts)
        for name, url in (("url", options.url), ("on_bot_lost", options.on_bot_lost.url)):
            if url is not None:
                check_bot_host(name, url, self._bot_hosts)
        return options, warnings

    def read(self, event: CallReceived, *, now: float) -> Asked:
        """Return the options that are in the headers of a call, or that its ticket stands for."""
        headers, call_id = event.request.headers, event.request.call_id
        ticket = headers.get(TICKET_HEADER)
        if ticket is None or self._tickets is None:
            given = options_from_headers(headers)
            return Asked(given, given.get("call", call_id), has_bad_ticket=ticket is not None)
        claim = self._tickets.redeem(ticket, now=now)
        if claim is None:
            return Asked({}, call_id, has_bad_ticket=True)
        return Asked(claim.options, claim.options.get("call", call_id), claim.options.get("id", ""))

    def refuse(self, event: CallReceived, error: OptionError | SipError, *, now: float) -> EventBody:
        """Refuse a call that cannot be taken as it is; return what is to be told of it."""
        headers = [*warning_headers(self._own_host(event.source[0]), str(error))]
        if isinstance(error, ServiceUnavailable):
            headers += [*RETRY_AFTER, *reason_headers(Cause.NORMAL_TEMPORARY_FAILURE, str(error))]
        elif isinstance(error, SipError):
            headers += reason_headers(Cause.INCOMPATIBLE_DESTINATION, str(error))
        self._agent.respond(event.call, error.sip_status, headers=headers, now=now)
        return failure(ErrorCode.NOT_SUPPORTED, f"{error.sip_status}: {error}")
