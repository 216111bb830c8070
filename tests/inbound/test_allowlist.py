"""Who may call, and whose word on that counts."""

from __future__ import annotations

import pytest

from vavasms.errors import InvalidInputError
from vavasms.inbound.allowlist import Addresses

ALLOW = ("198.51.100.0/24", "203.0.113.9", "2001:db8:1::/48")
PROXIES = ("10.0.0.0/8", "2001:db8:ffff::1")


def test_without_a_list_everybody_may_call() -> None:
    assert Addresses().allow(None)
    assert Addresses().allow("nonsense", ["x"])


@pytest.mark.parametrize("peer", ["198.51.100.77", "203.0.113.9", "2001:db8:1::5", "::ffff:203.0.113.9"])
def test_addresses_and_networks_of_both_kinds_are_let_in(peer: str) -> None:
    assert Addresses(ALLOW).allow(peer)


@pytest.mark.parametrize("named", ["::ffff:203.0.113.9", "::ffff:203.0.113.0/120", "::ffff:0:0/96", "::/0"])
def test_a_list_that_names_ipv4_within_ipv6_lets_it_in(named: str) -> None:
    addresses = Addresses([named])
    assert addresses.allow("203.0.113.9") is (named != "::/0")
    assert addresses.allow("::ffff:203.0.113.9") is (named != "::/0")
    assert addresses.allow("2001:db8::1") is (named == "::/0")


@pytest.mark.parametrize(
    "peer", ["203.0.113.8", "198.51.101.1", "2001:db8:2::5", "", None, "unix", "203.0.113.9.evil"]
)
def test_all_others_are_not(peer: str | None) -> None:
    assert not Addresses(ALLOW).allow(peer)


def test_a_header_from_anybody_is_not_believed() -> None:
    assert not Addresses(ALLOW).allow("192.0.2.1", ["203.0.113.9"])
    assert not Addresses(ALLOW, PROXIES).allow("192.0.2.1", ["203.0.113.9"])
    assert Addresses(ALLOW, PROXIES).allow("203.0.113.9", ["192.0.2.1"])


@pytest.mark.parametrize(
    ("forwarded", "allowed"),
    [
        (["203.0.113.9"], True),
        (["203.0.113.9:4711"], True),
        (["[2001:db8:1::5]:4711"], True),
        (["192.0.2.1, 203.0.113.9"], True),
        (["192.0.2.1", "203.0.113.9, 10.1.1.1"], True),
        # What stands to the left of the right-most stranger was invented by him.
        (["203.0.113.9, 192.0.2.1"], False),
        (["203.0.113.9", "192.0.2.1"], False),
        (["203.0.113.9, unknown"], False),
        (["203.0.113.9, "], False),
        (["203.0.113.9, unknown, 10.1.1.1"], False),
        (["10.2.2.2, 10.1.1.1"], False),
        ([], False),
    ],
)
def test_behind_named_proxies_the_right_most_stranger_counts(forwarded: list[str], allowed: bool) -> None:
    assert Addresses(ALLOW, PROXIES).allow("10.9.9.9", forwarded) is allowed
    assert Addresses(ALLOW, PROXIES).allow("2001:db8:ffff::1", forwarded) is allowed


def test_a_proxy_on_a_unix_socket_can_be_named() -> None:
    addresses = Addresses(ALLOW, ["unix"])
    assert addresses.allow(None, ["203.0.113.9"])
    assert not addresses.allow(None, ["192.0.2.1"])
    assert not addresses.allow(None, [])
    assert not addresses.allow("192.0.2.1", ["203.0.113.9"])
    assert not Addresses(ALLOW, PROXIES).allow(None, ["203.0.113.9"])


@pytest.mark.parametrize("wrong", ["localhost", "10.0.0.1/8", "", "unix"])
def test_what_is_no_address_is_refused_at_the_start(wrong: str) -> None:
    with pytest.raises(InvalidInputError, match="is no address and no network"):
        Addresses([wrong])


def test_one_text_is_not_taken_for_a_list_of_letters() -> None:
    with pytest.raises(InvalidInputError, match="take lists"):
        Addresses("10.0.0.1")
    with pytest.raises(InvalidInputError, match="take lists"):
        Addresses(["10.0.0.1"], "10.0.0.2")
