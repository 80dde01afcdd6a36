"""FreeSWITCHes: do they let us in, and have they what the sidecar asks of them?"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from random import SystemRandom

from rtp import Codec
from sidecar.core.codecs import ALL_CODECS
from sidecar.core.freeswitch.errors import EventSocketError
from sidecar.doctor.finding import Finding, fail, ok, warn
from sidecar.io.event_socket_client import EventSocketClient
from sidecar.settings import Settings
from sip.grammar import format_host_port

_SECONDS = 6.0
_EVENT = (("Event-Subclass", "audio_stream_sidecar::doctor"),)
_MODULES = {"mod_opus": Codec.OPUS, "mod_spandsp": Codec.G722}
_FIXES = {
    "FreeSWITCH does not take the password": "the password must be that of its event_socket.conf.xml",
    "our address is not in the access list of FreeSWITCH": "its event_socket.conf.xml: apply-inbound-acl",
}
_NOT_THERE = "see that it runs with mod_event_socket, and at listen-ip and listen-port of its event_socket.conf.xml"


async def examine_freeswitch(name: str, settings: Settings, *, seconds: float = _SECONDS) -> list[Finding]:
    """Log in to the event socket within `seconds`, and ask, within as many, a few things that change nothing."""
    server = settings.freeswitch[name]
    where = format_host_port(server.host, server.port)
    password = server.password.get_secret_value()
    client = EventSocketClient(server.host, server.port, password, name=name, random=SystemRandom())
    over = asyncio.create_task(client.run_once())
    ready = asyncio.create_task(client.until_ready())
    try:
        await asyncio.wait((over, ready), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not client.is_ready:
            why = over.result()[0] if over.done() else "no answer"
            return [fail(f"freeswitch.{name}", f"{where}: {why}", _FIXES.get(why, _NOT_THERE))]
        async with asyncio.timeout(seconds):
            return await _ask_all(name, client, settings)
    except (EventSocketError, TimeoutError) as error:
        return [fail(f"freeswitch.{name}", f"{where}: {str(error) or 'it does not answer commands'}", _NOT_THERE)]
    finally:
        for task in (over, ready):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def _ask_all(name: str, client: EventSocketClient, settings: Settings) -> list[Finding]:
    server = settings.freeswitch[name]
    where = format_host_port(server.host, server.port)
    modules = {each: await client.api(f"module_exists {each}") for each in ("mod_lua", *_MODULES)}
    found = [
        version_finding(name, where, await client.api("version")),
        events_finding(name, fired=await client.send_event(_EVENT, ""), has_lua=modules["mod_lua"].strip() == "true"),
        reached_finding(name, client.peer_host, settings.sip.host),
    ]
    kind, _, rest = server.dial.partition("/")
    profile, _, rest = rest.partition("/")
    if kind == "sofia" and profile == "gateway":
        gateway = rest.partition("/")[0]
        found.append(gateway_finding(name, gateway, await client.api(f"sofia status gateway {gateway}")))
    elif kind == "sofia":
        status = sofia_status(await client.api(f"sofia status profile {profile}"))
        found.append(profile_finding(name, profile, status, allow=settings.sip.allow))
        missing = {codec for each, codec in _MODULES.items() if modules[each].strip() == "false"}
        found.append(codecs_finding(name, status, settings.rtp.codecs or ALL_CODECS, missing=missing))
    return found


def version_finding(name: str, where: str, answer: str) -> Finding:
    """Judge what `version` says."""
    version = re.match(r"FreeSWITCH Version (\d+)\.(\d+)[^ ~+]*", answer)
    if version is None:
        what = f"{where}: logged in, but not told its version: {answer.strip()[:60]!r}"
        return fail(f"freeswitch.{name}", what, "let whoever has this password use `api`")
    what = f"{where}: logged in, {version[0]}"
    if (int(version[1]), int(version[2])) < (1, 10):
        return warn(f"freeswitch.{name}", f"{what}, which has not been tried", "1.10 is known to do")
    return ok(f"freeswitch.{name}", what)


def events_finding(name: str, *, fired: str, has_lua: bool) -> Finding:
    """Judge whether events can be told, and how."""
    check = f"freeswitch.{name} events"
    if not fired.startswith("+OK"):
        return fail(
            check, f"`sendevent CUSTOM` was refused: {fired[:60]!r}", "let whoever has this password fire events"
        )
    if not has_lua:
        what = "no mod_lua: Unique-ID of events is in upper case, and they carry no data of the channel"
        return warn(check, what, "load mod_lua (modules.conf.xml)")
    return ok(check, "fired, by mod_lua with the data of their channel")


def reached_finding(name: str, peer: str, sip_host: str) -> Finding:
    """Judge whether a FreeSWITCH elsewhere can call us."""
    check = f"freeswitch.{name} way back"
    if ip_address(sip_host).is_loopback and not ip_address(peer).is_loopback:
        fix = 'set sip.host and rtp.host to "0.0.0.0", or to an address that it reaches'
        return fail(check, f"it is at {peer}, and sip.host is {sip_host}, which it cannot reach", fix)
    return ok(check, f"{peer} calls {sip_host}")


def gateway_finding(name: str, gateway: str, answer: str) -> Finding:
    """Judge the gateway that `dial` names."""
    check = f"freeswitch.{name} gateway"
    status = sofia_status(answer)
    if "Status" not in status:
        return fail(check, f"there is no gateway {gateway}", f"make one, or set freeswitch.{name}.dial")
    if not status["Status"].startswith("UP"):
        return warn(
            check, f"{gateway}: {status['Status']}", "see whether its ping reaches the sidecar: sip.allow, sip.host"
        )
    return ok(check, f"{gateway}: {status['Status']}")


def profile_finding(
    name: str, profile: str, status: Mapping[str, str], *, allow: Sequence[IPv4Network | IPv6Network]
) -> Finding:
    """Judge the SIP profile that `dial` names: what it sends has to be let in."""
    check = f"freeswitch.{name} profile"
    host = status.get("SIP-IP")
    if host is None:
        return fail(check, f"no SIP profile {profile} runs", f"start it, or set freeswitch.{name}.dial")
    try:
        address = ip_address(host)
    except ValueError:
        return ok(check, f"{profile} is at {host}")
    if not address.is_unspecified and not any(address in network for network in allow):
        fix = "add it to sip.allow, unless a NAT changes it on the way"
        return fail(check, f"{profile} calls from {host}, which sip.allow does not have: it gets no answer", fix)
    return ok(check, f"{profile} calls from {host}, which sip.allow has")


def codecs_finding(name: str, status: Mapping[str, str], ours: Sequence[Codec], *, missing: set[Codec]) -> Finding:
    """Judge which codecs a bridge would offer us; a `absolute_codec_string` goes before them."""
    check = f"freeswitch.{name} codecs"
    offered = {each.partition("@")[0].upper() for each in status.get("CODECS OUT", "").split(",")}
    common = [codec for codec in ours if codec.encoding.upper() in offered and codec not in missing]
    names = ", ".join(dict.fromkeys(codec.encoding for codec in common))
    unloaded = ", ".join(codec.encoding for codec in ours if codec in missing)
    rest = f"; {unloaded}: its module is not loaded" if unloaded else ""
    if not common:
        fix = "set rtp.codecs, outbound-codec-prefs of the profile, or absolute_codec_string of the bridge"
        return warn(check, f"the profile offers none that we take{rest}: 488", fix)
    return ok(check, f"{names}{rest}")


def sofia_status(answer: str) -> dict[str, str]:
    """Read the table that `sofia status` prints."""
    lines = (line.split("\t", 1) for line in answer.splitlines() if "\t" in line)
    return {name.strip(): value.strip() for name, value in lines}
