"""Which bots a call may name: a caller must not choose a URL that leads inside."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

# Where clouds answer questions about their machines; most do at a link-local address.
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")))
_NAT64, _COMPATIBLE = IPv6Network("64:ff9b::/96"), IPv6Network("::/96")


@dataclass(frozen=True, slots=True)
class BotHosts:
    """The allow-list of bot hosts: names and addresses, `*` stands for anything; empty allows all.

    Link-local and multicast addresses and the metadata services of clouds are never allowed, however written.
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
        return not any(_leads_inside(each) for each in (ip, _embedded(ip)) if each is not None)


def _leads_inside(ip: IPv4Address | IPv6Address) -> bool:
    return ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip in _METADATA


def _embedded(ip: IPv4Address | IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to: mapped, 6to4, NAT64 or IPv4-compatible."""
    if isinstance(ip, IPv4Address):
        return None
    if ip in _NAT64 or ip in _COMPATIBLE:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour
