"""What a key gives to whoever holds it, and whether it may pass that on. Pure."""

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_network

LIVE = "live"  # the other mode is "test"


@dataclass(frozen=True, slots=True)
class Grant:
    """All that a key gives. No agencies: all of them; no networks: from anywhere."""

    mode: str
    scopes: frozenset[str]
    agencies: frozenset[uuid.UUID]
    networks: tuple[str, ...]
    expires_at: datetime | None  # None: never


@dataclass(frozen=True, slots=True)
class Holder:
    """Who manages keys by a key of its own."""

    key_id: uuid.UUID
    actor: str  # as rows of the audit log name it
    grant: Grant


def excess(wanted: Grant, held: Grant) -> str | None:
    """The part in which `wanted` gives more than `held`, None when in none.

    The parts are called as in the API. A live key holds what a test key does, not the other way
    round.
    """
    if held.mode not in (LIVE, wanted.mode):
        return "mode"
    if not wanted.scopes <= held.scopes:
        return "scopes"
    if not _narrower(wanted.agencies, held.agencies):
        return "agencies"
    if held.networks and not _within(wanted.networks, held.networks):
        return "allowedIps"
    if held.expires_at and (wanted.expires_at is None or wanted.expires_at > held.expires_at):
        return "expiresAt"
    return None


def _narrower(wanted: frozenset[uuid.UUID], held: frozenset[uuid.UUID]) -> bool:
    return not held or (bool(wanted) and wanted <= held)


def _within(wanted: Collection[str], held: Iterable[str]) -> bool:
    around = [ip_network(network) for network in held]
    inside = [ip_network(network) for network in wanted]
    return bool(inside) and all(any(_contains(big, small) for big in around) for small in inside)


def _contains(big: IPv4Network | IPv6Network, small: IPv4Network | IPv6Network) -> bool:
    if isinstance(big, IPv4Network):
        return isinstance(small, IPv4Network) and small.subnet_of(big)
    return isinstance(small, IPv6Network) and small.subnet_of(big)
