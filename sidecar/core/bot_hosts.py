"""Which bots a call may name: a caller must not choose a URL that leads inside."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address


@dataclass(frozen=True, slots=True)
class BotHosts:
    """The allow-list of bot hosts: names and addresses, `*` stands for anything; empty allows all.

    Link-local addresses, among them the metadata services of clouds, are never allowed, nor are multicast ones.
    """

    patterns: tuple[str, ...] = ()

    def allows_host(self, host: str) -> bool:
        """Whether a URL may name `host`."""
        listed = not self.patterns or any(fnmatchcase(host.lower(), pattern.lower()) for pattern in self.patterns)
        return listed and self.allows_address(host)

    def allows_address(self, address: str) -> bool:
        """Whether a connection may go to `address`; a name is not an address, and passes."""
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            return True
        ip = getattr(ip, "ipv4_mapped", None) or ip
        return not (ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip == ip_address("fd00:ec2::254"))
