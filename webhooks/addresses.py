"""Where a webhook may go. Pure: names are resolved elsewhere, settings come in as arguments.

Python's `ipaddress.is_global` is no guard (it lets NAT64, 6to4, multicast and more through), so the
tables are our own: IANA's special-purpose registries, the forms of IPv6 that carry an IPv4 address,
and the metadata services of clouds. Of IPv6 only global unicast is allowed at all.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from yarl import URL

URL_LONGEST = 2048
PORTS = (443, 8443)

_REFUSED_V4 = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers; a cloud's metadata at 100.100.100.200
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's agent, on a public address
        "169.254.0.0/16",  # link-local; clouds' metadata at 169.254.169.254
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
]
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # mapped, compatible, NAT64, ULA, link-local lie outside
_REFUSED_V6 = [
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: carries an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # 6bone, given back
        "3fff::/20",  # documentation
    )
]
_ISATAP = (0x00005EFE, 0x02005EFE)  # bits 32..63 of an address that carries an IPv4 address

# Names that only an inside resolver knows.
_REFUSED_SUFFIXES = frozenset(
    {
        *("alt", "arpa", "corp", "example", "home", "internal", "intranet", "invalid", "lan"),
        *("local", "localdomain", "localhost", "onion", "private", "test"),
    }
)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SUFFIX = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")  # a numeric one would be an IPv4 address
_SHAPE = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]+)(?P<rest>([/?][^#]*)?)", re.I | re.A
)
_REST = re.compile(r"[!$&'()*+,\-./0-9:;=?@A-Z_a-z~]|%[0-9A-Fa-f]{2}")
_AUTHORITY = re.compile(r"(?P<host>[^:@\[\]\\%\s]+)(:(?P<port>[0-9]{1,5}))?")
_DEVELOPMENT_HOSTS = ("localhost", "127.0.0.1")
LOOPBACK = ("127.0.0.1", "::1")  # what `localhost` means here, whatever a resolver says

Network = IPv4Network | IPv6Network


class Refused(ValueError):
    """We do not send there. `reason` is a sentence for the person who entered the URL."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that passed, in its one canonical spelling."""

    url: str
    host: str  # in ASCII, lower case
    port: int
    loopback: bool = False  # a receiver under development on this very machine


def url_check(text: str, *, development: bool = False) -> Target:
    """The target that a URL names, or Refused.

    `development` allows plain http to exactly `localhost:<port>` and `127.0.0.1:<port>` as well.
    """
    if len(text) > URL_LONGEST:
        raise Refused(f"The URL has more than {URL_LONGEST} characters.")
    shape = _SHAPE.fullmatch(text)
    parts = _AUTHORITY.fullmatch(shape["authority"]) if shape else None
    if shape is None or parts is None:
        raise Refused("The URL must look like https://host/path, without a user or a fragment.")
    rest = shape["rest"] or "/"
    if _REST.sub("", rest):
        raise Refused("The path and query must be percent-encoded ASCII.")
    if shape["scheme"].lower() == "http":
        if not development:
            raise Refused("The URL must begin with https://.")
        return _development_target(parts["host"], parts["port"], rest)
    host, port = _host(parts["host"]), int(parts["port"] or 443)
    if port not in PORTS:
        raise Refused("The port must be 443 or 8443.")
    return Target(_spelled("https", host, port, rest), host, port)


def address_check(text: str, *, own: Iterable[Network] = ()) -> str:
    """The address in its one spelling if we may connect to it, or Refused. `own`: further nets."""
    try:
        address = ip_address(text)
    except ValueError:
        raise Refused("That is not an IP address.") from None
    refused = _v4_refused(address) if isinstance(address, IPv4Address) else _v6_refused(address)
    if refused or any(address in network for network in own):
        raise Refused("The host resolves to an address that is not on the public internet.")
    return str(address)


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks in CIDR form, or single addresses. Raises ValueError."""
    return tuple(ip_network(text.strip(), strict=False) for text in texts if text.strip())


def _v4_refused(address: IPv4Address) -> bool:
    return any(address in network for network in _REFUSED_V4)


def _v6_refused(address: IPv6Address) -> bool:
    if address.scope_id is not None or address not in _GLOBAL_UNICAST:
        return True
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return True
    return any(address in network for network in _REFUSED_V6)


def _host(text: str) -> str:
    """The host name in ASCII. Encoded first, so that look-alike digits and dots are seen too."""
    try:
        host = (URL.build(scheme="https", host=text).raw_host or "").lower()
    except (ValueError, UnicodeError):
        raise Refused("The host is not a valid name.") from None
    labels = host.split(".")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise Refused("The host is not a valid name.")
    if not _SUFFIX.fullmatch(labels[-1]):
        raise Refused("The host must be a name, not an IP address.")
    if len(labels) < 2 or labels[-1] in _REFUSED_SUFFIXES:
        raise Refused("The host must be a name on the public internet.")
    return host


def _development_target(host: str, port: str | None, rest: str) -> Target:
    if host not in _DEVELOPMENT_HOSTS or port is None or not 1 <= int(port) <= 65535:
        raise Refused("Without https only http://localhost:<port> and http://127.0.0.1:<port> go.")
    return Target(_spelled("http", host, int(port), rest), host, int(port), loopback=True)


def _spelled(scheme: str, host: str, port: int, rest: str) -> str:
    shown = "" if port == 443 and scheme == "https" else f":{port}"
    return f"{scheme}://{host}{shown}{rest if rest.startswith('/') else '/' + rest}"
