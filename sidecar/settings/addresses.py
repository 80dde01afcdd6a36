"""Where to listen, and where others send to."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Any

from pydantic import AfterValidator, PlainValidator

from sidecar.io.network import AUTO


def _ipv4(value: str) -> str:
    """Refuse what is no IPv4 address: names are not looked up, and media does not speak IPv6 yet."""
    try:
        return str(IPv4Address(value))
    except ValueError:
        raise ValueError(f"{value!r} is not an IPv4 address, such as 127.0.0.1") from None


def _ip(value: str) -> str:
    """Refuse what is no IP address; one with a zone is none that others could send to."""
    try:
        address = ip_address(value)
    except ValueError:
        raise ValueError(f"{value!r} is not an IP address, such as 127.0.0.1 or ::1") from None
    if address.version == 6 and (address.scope_id or address.ipv4_mapped):
        raise ValueError(f"{value!r} has a zone, or is an IPv4 address in disguise")
    return str(address)


def _of_one(value: str) -> str:
    if value != AUTO and ip_address(value).is_unspecified:
        raise ValueError(f"{value} is where to listen; others cannot send to it")
    return value


def _auto_or(check: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda value: value if value == AUTO else check(value))


SipAddress = Annotated[str, AfterValidator(_ip)]
MediaAddress = Annotated[str, AfterValidator(_ipv4)]
AdvertisedSipAddress = Annotated[str, _auto_or(_ip), AfterValidator(_of_one)]
AdvertisedMediaAddress = Annotated[str, _auto_or(_ipv4), AfterValidator(_of_one)]


def _network(value: Any) -> IPv4Network | IPv6Network:
    return ip_network(str(value))


Network = Annotated[IPv4Network | IPv6Network, PlainValidator(_network)]
