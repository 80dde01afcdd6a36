"""Which bots a call may name."""

from __future__ import annotations

import pytest

from sidecar.core.bot_hosts import BotHosts


@pytest.mark.parametrize("host", ["bot.example", "BOT.example", "10.0.0.7", "127.0.0.1", "::1", "localhost"])
def test_without_a_list_all_ordinary_hosts_are_allowed(host: str) -> None:
    assert BotHosts().allows_host(host)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("bot.example", True),
        ("Bot.Example", True),
        ("eu.bots.example", True),
        ("a.b.bots.example", True),
        ("bots.example", False),
        ("bot.example.evil", False),
        ("evil-bot.example", False),
        ("10.1.2.3", True),
        ("10.2.2.3", False),
        ("", False),
    ],
)
def test_a_list_allows_what_it_names(host: str, allowed: bool) -> None:
    hosts = BotHosts(("bot.example", "*.BOTS.example", "10.1.*"))
    assert hosts.allows_host(host) is allowed


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "fe80::1",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "fd00:ec2::254",
        "224.0.0.1",
        "ff02::1",
        "0.0.0.0",
        "::",
    ],
)
def test_no_list_allows_addresses_that_lead_inside(address: str) -> None:
    for hosts in (BotHosts(), BotHosts(("*",)), BotHosts((address,))):
        assert not hosts.allows_host(address)
        assert not hosts.allows_address(address, address)


def test_a_name_is_judged_by_the_address_it_turns_out_to_have() -> None:
    hosts = BotHosts(("metadata.example",))
    assert hosts.allows_host("metadata.example")
    assert not hosts.allows_address("169.254.169.254", "metadata.example")
    assert hosts.allows_address("192.0.2.7", "metadata.example")
    assert not hosts.allows_address("192.0.2.7", "elsewhere.example")
    assert not hosts.allows_address("metadata.example", "metadata.example")


def test_a_network_allows_whoever_turns_out_to_be_in_it() -> None:
    hosts = BotHosts(("10.1.0.0/16", "2001:db8::/32", "192.0.2.7"))
    assert hosts.allows_host("any.example")  # only its address will tell
    assert not hosts.allows_unseen("any.example")
    for address in ("10.1.2.3", "2001:db8::1", "::ffff:10.1.2.3", "192.0.2.7"):
        assert hosts.allows_address(address, "any.example")
        assert hosts.allows_host(address)
        assert hosts.allows_unseen(address)
        assert hosts.lists(address)
    for address in ("10.2.2.3", "2001:db9::1", "192.0.2.8", "::1"):
        assert not hosts.allows_address(address, "any.example")
        assert not hosts.allows_host(address)
    assert not hosts.lists("any.example")


def test_strict_allows_nothing_but_what_is_listed() -> None:
    assert not BotHosts(strict=True).allows_host("bot.example")
    assert not BotHosts(strict=True).allows_host("8.8.8.8")
    hosts = BotHosts(("*.example", "10.1.0.0/16"), strict=True)
    assert hosts.allows_host("bot.example")
    assert hosts.allows_unseen("bot.example")
    assert hosts.allows_address("8.8.8.8", "bot.example")
    assert not hosts.allows_address("8.8.8.8", "bot.elsewhere")


@pytest.mark.parametrize("address", ["127.0.0.1", "10.2.0.1", "192.168.0.1", "::1", "fc00::1", "::ffff:10.2.0.1"])
def test_strict_does_not_let_a_name_lead_inside(address: str) -> None:
    """A name that is listed by a wildcard belongs to whoever may write into that zone."""
    hosts = BotHosts(("*.example", "10.1.0.0/16"), strict=True)
    assert not hosts.allows_address(address, "rebound.example")
    assert hosts.allows_address("10.1.0.1", "rebound.example")
    assert BotHosts(("*.example",)).allows_address(address, "inside.example")


def test_a_name_is_the_same_with_a_dot_at_its_end() -> None:
    assert BotHosts(("bot.example",)).allows_host("Bot.Example.")
    assert BotHosts(("bot.example",)).lists("bot.example.")


@pytest.mark.parametrize(
    "address",
    [
        "64:ff9b::a9fe:a9fe",  # NAT64
        "2002:a9fe:a9fe::",  # 6to4
        "::169.254.169.254",  # IPv4-compatible
        "::ffff:169.254.169.254",
        "100.100.100.200",
        "192.0.0.192",
        "fd00:ec2::254",
    ],
)
def test_an_address_that_leads_inside_is_known_however_it_is_written(address: str) -> None:
    assert not BotHosts().allows_address(address, address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", "2001:db8::1", "64:ff9b::808:808"])
def test_other_addresses_are_allowed(address: str) -> None:
    assert BotHosts().allows_address(address, address)
