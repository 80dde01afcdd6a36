"""Which bots a call may name: a caller must not choose a URL that leads inside."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

# Where clouds answer questions about their machines; most do at a link-local address.
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "100.100.100.200", "192.0.0.192")))
_NAT64, _COMPATIBLE = IPv6Network("64:ff9b::/96"), IPv6Network("::/96")

_Ip = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class BotHosts:
    """The allow-list of bot hosts: names, in which `*` stands for anything, addresses and networks.

    Empty allows all; with `strict`, nothing. Where it is not empty, a host is allowed by its name or, when that has
    been looked up, by the network of its address. `strict` wants the address of a listed name to be a public one, or in
    a listed network: so whoever rules a name cannot lead inside. Link-local and multicast addresses and the metadata
    services of clouds are never allowed, however written.
    """

    patterns: tuple[str, ...] = ()
    strict: bool = False

    def allows_host(self, host: str) -> bool:
        """Whether a URL may name `host`; what its address must be is seen later."""
        return self.allows_unseen(host) or (_ip(host) is None and any("/" in pattern for pattern in self.patterns))

    def allows_unseen(self, host: str) -> bool:
        """Whether a connection may go to `host` by way of a proxy, which alone will know the address."""
        return self.allows_address(host, host) if _ip(host) is not None else self._allows_all or self._names(host)

    def allows_address(self, address: str, host: str) -> bool:
        """Whether a connection may go to `address`, which `host` has turned out to be."""
        ip = _ip(address)
        if ip is None or any(_leads_inside(each) for each in (ip, _embedded(ip)) if each is not None):
            return False
        if self._allows_all or self._has_network_of(ip):
            return True
        return self._names(host) and (ip.is_global or not self.strict)

    def lists(self, host: str) -> bool:
        """Whether the list names `host`, be it by its address: the operator knows this bot."""
        ip = _ip(host)
        return self._names(host) or (ip is not None and self._has_network_of(ip))

    @property
    def _allows_all(self) -> bool:
        return not self.patterns and not self.strict

    def _names(self, host: str) -> bool:
        host = host.lower().rstrip(".")
        return any(fnmatchcase(host, pattern.lower()) for pattern in self.patterns)

    def _has_network_of(self, ip: _Ip) -> bool:
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip in network for network in map(_network, self.patterns) if network is not None)


def _ip(host: str) -> _Ip | None:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


@lru_cache(maxsize=1024)
def _network(pattern: str) -> IPv4Network | IPv6Network | None:
    """Return the network that a pattern of the list is; None if it is a name."""
    try:
        return ip_network(pattern)
    except ValueError:
        return None


def _leads_inside(ip: _Ip) -> bool:
    return ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip in _METADATA


def _embedded(ip: _Ip) -> IPv4Address | None:
    """Return the IPv4 address that an IPv6 address leads to: mapped, 6to4, NAT64 or IPv4-compatible."""
    if isinstance(ip, IPv4Address):
        return None
    if ip in _NAT64 or ip in _COMPATIBLE:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour
