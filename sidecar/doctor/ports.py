"""Ports that the sidecar listens on: are they free, and are there enough?"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from sidecar.doctor.finding import Finding, fail, ok, warn
from sidecar.io.network import bind_trouble
from sidecar.settings import Settings
from sip.grammar import format_host_port

_LOCAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True, slots=True)
class ListenedPort:
    """A port that the sidecar listens on."""

    name: str
    setting: str
    host: str
    port: int  # 0: any free one
    kind: socket.SocketKind = socket.SOCK_DGRAM

    def __str__(self) -> str:
        """Say what it is for, and where."""
        return f"{self.name} on {format_host_port(self.host, self.port)}"

    def trouble(self) -> OSError | None:
        """Say why it cannot be had now; None if it can be."""
        return bind_trouble(self.host, self.port, self.kind)


def listened_ports(settings: Settings) -> list[ListenedPort]:
    """Return all ports but those that calls have of their own."""
    sip, rtp, api = settings.sip, settings.rtp, settings.api
    ports = [
        ListenedPort("SIP", "sip.port", sip.host, sip.port),
        ListenedPort("SIP over TCP", "sip.port", sip.host, sip.port, socket.SOCK_STREAM),
    ]
    if sip.tls_certificate is not None:
        ports.append(ListenedPort("SIP over TLS", "sip.tls_port", sip.host, sip.tls_port, socket.SOCK_STREAM))
    for port in settings.rtp_ports():
        ports.append(ListenedPort("RTP", "rtp.port", rtp.host, port))
        ports.append(ListenedPort("RTCP", "rtp.port", rtp.host, port and port + 1))
    if api.enabled:
        ports.append(ListenedPort("REST", "api.port", api.host, api.port, socket.SOCK_STREAM))
    return ports


def examine_ports(settings: Settings, *, running: bool) -> list[Finding]:
    """Look at each setting that names ports; `running`: a sidecar answers where this one would."""
    ports = listened_ports(settings)
    found = [
        port_finding(setting, [(each, each.trouble()) for each in ports if each.setting == setting], running=running)
        for setting in dict.fromkeys(each.setting for each in ports)
    ]
    if settings.rtp.mode == "ports":
        found.append(_examine_range(settings, running=running))
    return found


def port_finding(setting: str, tried: Sequence[tuple[ListenedPort, OSError | None]], *, running: bool) -> Finding:
    """Judge the ports that one setting names."""
    where = _span([each for each, _ in tried])
    troubled = [(each, trouble) for each, trouble in tried if trouble is not None]
    if not troubled:
        if running and tried[0][0].port:
            fix = "restart it if this configuration is newer; else doctor was given another than `serve`"
            return warn(setting, f"{where}: free, though a sidecar runs: with another configuration", fix)
        return ok(setting, f"{where}: free")
    port, trouble = troubled[0]
    match trouble.errno:
        case errno.EADDRINUSE if running:
            return ok(setting, f"{where}: taken, as is right while a sidecar runs")
        case errno.EADDRINUSE:
            sockets = "ulpn" if port.kind is socket.SOCK_DGRAM else "tlpn"
            fix = f"`ss -{sockets} 'sport = :{port.port}'` tells by whom; end that, or set {setting}"
            return fail(setting, f"{port}: taken", fix)
        case errno.EADDRNOTAVAIL:
            section = setting.partition(".")[0]
            fix = f"set {section}.host to an address of this machine, or to 0.0.0.0 for all"
            return fail(setting, f"{port}: this machine does not have that address", fix)
        case errno.EACCES:
            return fail(setting, f"{port}: this user may not have it", "take a port above 1023")
        case _:
            return fail(setting, f"{port}: {trouble.strerror}", f"set {setting}")


def range_finding(
    pairs: int, taken: int, *, max_calls: int, span: tuple[int, int], local: tuple[int, int] | None
) -> Finding:
    """Judge the range of mode `ports`: its pairs, how many others have, and what the system gives to programs."""
    check, where = "rtp.port_min, port_max", f"{pairs} pairs of ports for {max_calls} calls"
    if pairs - taken < max_calls:
        theirs = f", and others have {taken} of them" if taken else ""
        fix = "widen the range, or lower sip.max_calls: calls beyond get 503"
        return warn(check, f"{where}{theirs}", fix)
    if local is not None and local[0] <= span[1] and span[0] <= local[1]:
        fix = f"keep it out of net.ipv4.ip_local_port_range, {local[0]} to {local[1]}"
        return warn(check, f"{where}, some of which the system gives to any program that asks", fix)
    return ok(check, f"{where}; a pair rests for 30 s between two")


def read_local_range(path: Path = _LOCAL_RANGE) -> tuple[int, int] | None:
    """Return which ports the system gives to programs that ask for any; None where it does not say."""
    try:
        first, last = map(int, path.read_text().split())
    except (OSError, ValueError):
        return None
    return first, last


def _examine_range(settings: Settings, *, running: bool) -> Finding:
    rtp = settings.rtp
    first = ListenedPort("RTP", "rtp.port_min", rtp.host, rtp.port_min)
    if (trouble := bind_trouble(rtp.host, 0)) is not None:  # no port at all
        return port_finding(first.setting, [(first, trouble)], running=running)
    pairs = range(rtp.port_min + rtp.port_min % 2, rtp.port_max, 2)
    taken = 0 if running else sum(_is_taken(rtp.host, port) for port in pairs)
    return range_finding(
        len(pairs),
        taken,
        max_calls=settings.sip.max_calls,
        span=(rtp.port_min, rtp.port_max),
        local=read_local_range(),
    )


def _is_taken(host: str, port: int) -> bool:
    return any(bind_trouble(host, each) is not None for each in (port, port + 1))


def _span(ports: Sequence[ListenedPort]) -> str:
    """Say which ports these are, in a few words."""
    first, numbers = ports[0], [each.port for each in ports]
    if not first.port:
        return f"any port of {first.host}"
    host = "all addresses" if ip_address(first.host).is_unspecified else first.host
    upto = f" to {max(numbers)}" if max(numbers) > min(numbers) else ""
    kinds = {socket.SOCK_DGRAM: "UDP", socket.SOCK_STREAM: "TCP"}
    protocols = " and ".join(kinds[kind] for kind in dict.fromkeys(each.kind for each in ports))
    return f"{protocols} {min(numbers)}{upto} on {host}"
