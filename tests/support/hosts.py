"""Machines on a bridge, each a network namespace; needs the right to make these.

A machine that is cut off is silent, as one without power: nothing arrives, and nobody is told. Else the kernel would
find within seconds that nobody answers ARP, and say so to whoever sends: so all know each other's addresses for good.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Host:
    """One of them; its network device is eth0."""

    name: str
    address: str
    port: str  # of the bridge

    @property
    def inside(self) -> list[str]:
        """What runs a command there."""
        return ["ip", "netns", "exec", self.name]

    def cut(self) -> None:
        """From now on nothing arrives, either way."""
        _ip("link", "set", self.port, "down")

    def mend(self) -> None:
        """Let things arrive again."""
        _ip("link", "set", self.port, "up")


@dataclass(frozen=True, slots=True)
class Network:
    """The bridge, on which we have an address too."""

    address: str
    network: str
    hosts: dict[str, Host]

    def part(self, one: Host, other: Host, *, apart: bool = True) -> None:
        """From now on nothing arrives between two of them, or all does again; others notice nothing."""
        for host in (one, other):
            _ip("link", "set", host.port, "type", "bridge_slave", "isolated", "on" if apart else "off")


@contextmanager
def network_of(*names: str) -> Iterator[Network]:
    """Make a network of so many hosts; raise PermissionError if that is not allowed here.

    Its addresses are for measurements (RFC 2544), and no network has them.
    """
    number = os.getpid()
    bridge, prefix = f"br{number}", f"198.{18 + number // 256 % 2}.{number % 256}"
    hosts = {
        name: Host(f"h{number}-{name}", f"{prefix}.{index}", f"h{number}.{index}")
        for index, name in enumerate(names, 2)
    }
    with ExitStack() as stack:
        try:
            _ip("link", "add", bridge, "address", _mac(f"{prefix}.1"), "type", "bridge")
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            raise PermissionError(getattr(error, "stderr", "") or str(error)) from None
        stack.callback(_try_ip, "link", "delete", bridge)
        _ip("addr", "add", f"{prefix}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for host in hosts.values():
            stack.callback(_try_ip, "netns", "delete", host.name)
            stack.callback(_try_ip, "link", "delete", host.port)  # goes with the namespace too, but later
            _add(host, bridge)
        for host in hosts.values():
            _acquaint([], bridge, [host.address])
            _acquaint(["-n", host.name], "eth0", [f"{prefix}.1", *(each.address for each in hosts.values())])
        yield Network(f"{prefix}.1", f"{prefix}.0/24", hosts)


def _add(host: Host, bridge: str) -> None:
    there = ["-n", host.name]
    _ip("netns", "add", host.name)
    peer = ["peer", "name", "eth0", "address", _mac(host.address), "netns", host.name]
    _ip("link", "add", host.port, "type", "veth", *peer)
    _ip("link", "set", host.port, "master", bridge, "up")
    _ip(*there, "addr", "add", f"{host.address}/24", "dev", "eth0")
    for device in ("lo", "eth0"):
        _ip(*there, "link", "set", device, "up")


def _acquaint(there: list[str], device: str, addresses: list[str]) -> None:
    for address in addresses:
        _ip(*there, "neigh", "replace", address, "lladdr", _mac(address), "dev", device, "nud", "permanent")


def _mac(address: str) -> str:
    return "02:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))


def _try_ip(*arguments: str) -> None:
    with suppress(subprocess.CalledProcessError):
        _ip(*arguments)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
