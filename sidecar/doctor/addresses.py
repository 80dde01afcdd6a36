"""Addresses that others are told: can they send there, and does it come here?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from sidecar.doctor.finding import Finding, fail, ok, warn
from sidecar.io.network import AUTO, bind_trouble, own_address
from sidecar.settings import Settings


def examine_addresses(settings: Settings) -> list[Finding]:
    """Look at where SIP and media are, and what others are told of that."""
    sip, rtp = settings.sip, settings.rtp
    found = [
        advertised_finding(section, host, advertised, outward=own_address(host), is_own=is_own, allow=sip.allow)
        for section, host, advertised in (("sip", sip.host, sip.advertised), ("rtp", rtp.host, rtp.advertised))
    ]
    return [*found, *both_reached(sip.host, rtp.host)]


def is_own(address: str) -> bool:
    """Whether an interface of this machine has the address."""
    return bind_trouble(address, 0) is None


def advertised_finding(
    section: str,
    host: str,
    advertised: str,
    *,
    outward: str,
    is_own: Callable[[str], bool],
    allow: Sequence[IPv4Network | IPv6Network],
) -> Finding:
    """Judge `advertised` of one section; `outward` is the address that most routes leave from."""
    check, listening = f"{section}.advertised", ip_address(host)
    if advertised == AUTO:
        return _automatic(section, host, outward, allow)
    told = ip_address(advertised)
    if listening.is_loopback and not told.is_loopback:
        fix = f'set {section}.host to "0.0.0.0", or to the address that {advertised} is forwarded to'
        return fail(check, f"others are told {advertised}, but only loopback, {host}, is listened on", fix)
    if told.is_loopback and not listening.is_loopback:
        fix = f'"{AUTO}", or the address that they reach'
        return fail(check, f"others are told {advertised}, which is themselves", fix)
    if told.version == 6 and listening.version == 4:
        return fail(check, f"others are told {advertised}, but only IPv4 is listened on", f'set {section}.host to "::"')
    if is_own(advertised):
        return ok(check, f"others are told {advertised}, which is ours")
    if told.is_global and ip_address(outward).is_private:
        return ok(check, f"others are told {advertised}: a NAT has to forward all ports from there to {outward}")
    fix = f'"{AUTO}", unless something forwards from there to here'
    return warn(check, f"others are told {advertised}, which no interface of this machine has", fix)


def both_reached(sip_host: str, rtp_host: str) -> list[Finding]:
    """Find calls that would be answered, and silent."""
    sip, rtp = ip_address(sip_host), ip_address(rtp_host)
    if sip.is_loopback or not rtp.is_loopback:
        return []
    what = f"SIP is reached at {sip_host}, media at {rtp_host} alone: calls from elsewhere are answered, and silent"
    return [fail("rtp.host", what, 'set rtp.host to "0.0.0.0", or to an address that they reach')]


def _automatic(section: str, host: str, outward: str, allow: Sequence[IPv4Network | IPv6Network]) -> Finding:
    check, listening = f"{section}.advertised", ip_address(host)
    if listening.is_loopback:
        return ok(check, f"{host}: reached from this machine alone")
    if ip_address(outward).is_loopback:
        fix = f"set {section}.advertised, or see to the network of this machine"
        return warn(check, "no route leads out of this machine: others are told a loopback address", fix)
    strangers = [network for network in allow if not network.is_private]
    if strangers and ip_address(outward).is_private:
        what = f"sip.allow has {strangers[0]}, and whoever calls from the internet is told {outward}, which is private"
        return warn(check, what, f"set {section}.advertised to the public address, if a NAT stands in between")
    if listening.is_unspecified:
        return ok(check, f"each peer is told the address that the route to it leaves from: {outward} for most")
    return ok(check, f"others are told {outward}")
