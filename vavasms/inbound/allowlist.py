"""The allow-list of addresses that may call, which reads X-Forwarded-For behind named proxies only. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from vavasms.errors import InvalidInputError
from vavasms.i18n import gettext as _

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Names, among the trusted proxies, one that calls through a Unix socket and so has no address.
UNIX = "unix"
#: Before an IPv4 address within an IPv6 one.
_MAPPED_BITS = 96


class Addresses:
    """The addresses that may call; all of them where none is named."""

    def __init__(self, allow: Sequence[str] = (), trusted_proxies: Sequence[str] = ()) -> None:
        if isinstance(allow, str) or isinstance(trusted_proxies, str):
            raise InvalidInputError(
                _("allow and trusted_proxies take lists of addresses."),
                error_code="inbound.address",
                outcome=None,
            )
        self._allowed = _read_networks("allow", allow)
        self._proxies = _read_networks(
            "trusted_proxies", [proxy for proxy in trusted_proxies if proxy != UNIX]
        )
        self._trusts_unix = UNIX in trusted_proxies

    def allow(self, peer: str | None, forwarded: Iterable[str] = ()) -> bool:
        """Return whether a caller may call.

        `peer` is the other end of the connection (None for a Unix socket), `forwarded` the X-Forwarded-For
        headers. Each proxy adds on the right whom it was called by: the right-most address that is no
        proxy of ours counts, and what stands to the left of it may be anybody's invention.
        """
        return not self._allowed or _is_in(self.find_origin(peer, forwarded), self._allowed)

    def find_origin(self, peer: str | None, forwarded: Iterable[str] = ()) -> Address | None:
        """Return the address that counts, as `allow` has it; None where there is none."""
        origin, trusted = _read(peer or ""), self._trusts_unix and not peer
        for address in reversed([part for line in forwarded for part in line.split(",")]):
            if not (trusted or _is_in(origin, self._proxies)):
                break
            origin, trusted = _read(address), False
        return origin

    def trust(self, peer: str | None) -> bool:
        """Return whether the other end of a connection is a proxy of ours."""
        return _is_in(_read(peer), self._proxies) if peer else self._trusts_unix


def _read_networks(name: str, addresses: Sequence[str]) -> tuple[Network, ...]:
    networks = []
    for address in addresses:
        try:
            networks.append(_unmap(ip_network(address)))
            continue
        except ValueError:
            pass
        raise InvalidInputError(
            _("{name}: {address} is no address and no network.", name=name, address=repr(address)),
            error_code="inbound.address",
            outcome=None,
        )
    return tuple(networks)


def _unmap(network: Network) -> Network:
    """Return the IPv4 network that an IPv6 one stands for (`::ffff:10.0.0.0/104`): so are callers."""
    first = network.network_address
    mapped = first.ipv4_mapped if isinstance(first, IPv6Address) else None
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return ip_network((mapped, network.prefixlen - _MAPPED_BITS))


def _read(text: str) -> Address | None:
    """Return the address of a text, with or without a port."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_in(address: Address | None, networks: Iterable[Network]) -> bool:
    return address is not None and any(address in network for network in networks)
