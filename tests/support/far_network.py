"""A network of its own for a bot, behind a cable that can be cut; needs the right to make network namespaces."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FarNetwork:
    """One host, `address`, at the other end of a cable."""

    name: str
    address: str

    @property
    def inside(self) -> list[str]:
        """What runs a command there."""
        return ["ip", "netns", "exec", self.name]

    def cut(self) -> None:
        """From now on nothing arrives, either way, and nobody is told."""
        _ip("-n", self.name, "link", "set", "far", "down")

    def mend(self) -> None:
        """Let things arrive again."""
        _ip("-n", self.name, "link", "set", "far", "up")


@contextmanager
def far_network() -> Iterator[FarNetwork]:
    """Make one; raise PermissionError if that is not allowed here."""
    number = os.getpid() % 16384
    network = FarNetwork(f"far-{number}", f"10.213.{number // 64}.{number % 64 * 4 + 2}")
    near = network.address.rpartition(".")[0] + f".{number % 64 * 4 + 1}"
    try:
        _ip("netns", "add", network.name)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        raise PermissionError(str(error)) from None
    try:
        _ip("link", "add", f"near{number}", "type", "veth", "peer", "name", "far", "netns", network.name)
        _ip("addr", "add", f"{near}/30", "dev", f"near{number}")
        _ip("link", "set", f"near{number}", "up")
        _ip("-n", network.name, "addr", "add", f"{network.address}/30", "dev", "far")
        _ip("-n", network.name, "link", "set", "far", "up")
        yield network
    finally:
        with suppress(subprocess.CalledProcessError):  # it goes with the network too, but later
            _ip("link", "delete", f"near{number}")
        _ip("netns", "delete", network.name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
