"""From which address a request really comes, and whether a list allows it. Pure."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address


def client_address(
    *, peer: str, forwarded: str, trusted_proxies: int, proxy_networks: Iterable[str] = ()
) -> Address | None:
    """The caller's address, or None when it cannot be told.

    With n trusted proxies it is the n-th entry of X-Forwarded-For from the right: what stands left
    of it was written by the caller. A shorter header did not come through our proxies. Where
    `proxy_networks` names them, the header of any other peer is the caller's own invention.
    """
    if trusted_proxies == 0 or not address_allowed(_address(peer), proxy_networks):
        return _address(peer)
    hops = forwarded.split(",")
    return _address(hops[-trusted_proxies]) if len(hops) >= trusted_proxies else None


def address_allowed(address: Address | None, allowed: Iterable[str]) -> bool:
    """True when the list is empty or names the address. An unknown address is on no list."""
    networks = list(allowed)
    if not networks:
        return True
    return address is not None and any(_contains(network, address) for network in networks)


def network_normal(text: str) -> str:
    """A CIDR or single address in its canonical form; ValueError for anything else."""
    network = ip_network(text.strip(), strict=False)
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped:
        raise ValueError("Write an IPv4 network in its own form.")
    return str(network)


def _address(text: str) -> Address | None:
    text = text.strip()
    if text.startswith("["):  # [2001:db8::1]:443
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:  # 192.0.2.1:443
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if not isinstance(address, IPv6Address):
        return address
    if address.scope_id is not None:  # a link's own name: another spelling of the same caller
        return None
    return address.ipv4_mapped or address


def _contains(network: str, address: Address) -> bool:
    try:
        return address in ip_network(network, strict=False)
    except ValueError:
        return False  # an odd entry allows nobody
