"""Nothing of ours ever goes inside: 450 hostile URLs, a resolver that changes its mind, two judges.

`hostile_urls.jsonl` holds the URLs, each with its reason. What is `refused` when `saving` never
becomes an endpoint, and is refused again, before any lookup, if an old row holds it. What is
refused when `sending` is a good name with `answers` that lead astray.
"""

import json
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import product
from pathlib import Path

import pytest
from AntiSSRF import AntiSSRFPolicy, PolicyConfigOptions
from ssrfguard import DEFAULT_DENIED, Policy

from webhooks.addresses import Refused, address_check, url_check
from webhooks.outcomes import Parcel
from webhooks.sending import ADDRESS_REFUSED, NAME_NOT_FOUND, URL_REFUSED, Internet, Sender
from webhooks.signing import secret_make
from webhooks.tests.receivers import PUBLIC, Receiver, serving

HOSTILE = [
    json.loads(line)
    for line in Path(__file__).with_name("hostile_urls.jsonl").read_text().splitlines()
]
BAD_URLS = [row for row in HOSTILE if row["refused"] == "saving"]
BAD_NAMES = [row for row in HOSTILE if row["refused"] == "sending"]


def parcel(url: str) -> Parcel:
    return Parcel(url=url, secrets=(secret_make(),), event_id="wh_1", body=b"{}")


def test_there_are_over_three_hundred_each_with_a_reason():
    assert len({row["url"] for row in HOSTILE}) == len(HOSTILE) >= 300
    assert all(row["why"] for row in HOSTILE)
    assert {row["refused"] for row in HOSTILE} == {"saving", "sending"}


def test_no_bad_url_is_saved():
    saved = []
    for row in BAD_URLS:
        try:
            saved.append((row, url_check(row["url"])))
        except Refused as refused:
            assert refused.reason.endswith(".")
    assert saved == []


async def test_a_bad_url_in_an_old_row_is_refused_before_it_is_looked_up():
    looked_up = []

    async def lookup(host: str) -> list[str]:
        looked_up.append(host)
        return [PUBLIC]

    async with Sender(Internet(lookup=lookup, route=_nowhere)) as sender:
        for row in BAD_URLS:
            outcome = await sender.send(parcel(row["url"]))
            assert (outcome.error, outcome.request_headers == {}) == (URL_REFUSED, False), row
    assert looked_up == []


async def test_a_good_name_that_leads_astray_is_looked_up_once_and_not_reached():
    answers = {url_check(row["url"]).host: row["answers"] for row in BAD_NAMES}
    looked_up = []

    async def lookup(host: str) -> list[str]:
        looked_up.append(host)
        return answers[host]

    async with Sender(Internet(lookup=lookup, route=_only_public)) as sender:
        for row in BAD_NAMES:
            outcome = await sender.send(parcel(row["url"]))
            assert (outcome.error, outcome.status) == (ADDRESS_REFUSED, None), row
            assert outcome.connect_ms is None
    assert looked_up == [url_check(row["url"]).host for row in BAD_NAMES]


def _nowhere(address: str, port: int) -> tuple[str, int]:
    raise AssertionError(f"on the way to {address}")


def _only_public(address: str, port: int) -> tuple[str, int]:
    """Good answers beside a bad one come by, checked; none of them is connected to."""
    assert address.startswith("93.184.215."), address
    return "127.0.0.1", 9  # discard: nobody listens


INSIDE = ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00:ec2::254", "::ffff:10.0.0.1")


@pytest.mark.parametrize("first", ["good", "bad"])
async def test_a_resolver_that_changes_its_mind_gains_nothing(world, authority, first):
    """Each attempt asks once and connects to what was checked: the next answer comes too late."""
    receiver, asked = Receiver(), []
    inside = Receiver()

    def answer() -> list[str]:
        turn = len(asked) + (first == "bad")
        return [PUBLIC] if turn % 2 else [INSIDE[turn // 2 % len(INSIDE)]]

    async def lookup(host: str) -> list[str]:
        asked.append(host)
        return answer()

    async with (
        serving(receiver.handle, authority.server("hooks.example.com")) as port,
        serving(inside.handle, authority.server("hooks.example.com", "inside")) as inner,
    ):
        ways = {PUBLIC: port}
        internet = Internet(
            lookup=lookup,
            tls=authority.trusted(),
            route=lambda address, _: ("127.0.0.1", ways.get(address, inner)),
        )
        async with Sender(internet) as sender:
            errors = [
                (await sender.send(parcel("https://hooks.example.com/"))).error for _ in range(40)
            ]
    assert len(asked) == 40
    assert errors == (["", ADDRESS_REFUSED] if first == "good" else [ADDRESS_REFUSED, ""]) * 20
    assert (len(receiver.got), len(inside.got)) == (20, 0)


async def test_a_name_without_an_answer_is_no_address_refused(world):
    async def lookup(host: str) -> list[str]:
        return []

    async with Sender(Internet(lookup=lookup)) as sender:
        assert (await sender.send(parcel("https://a.example.com/"))).error == NAME_NOT_FOUND


async def test_a_proxy_of_the_environment_is_not_used(world, authority, monkeypatch):
    receiver, proxy = Receiver(), Receiver()
    async with (
        serving(receiver.handle, authority.server("hooks.example.com")) as port,
        serving(proxy.handle) as proxy_port,
    ):
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy_port}")
        world.place("hooks.example.com", port)
        async with Sender(world.internet()) as sender:
            assert (await sender.send(parcel("https://hooks.example.com/"))).error == ""
    assert (len(receiver.got), len(proxy.got)) == (1, 0)


# --- two judges ----------------------------------------------------------------------------------

# Where we refuse what `ssrfguard` or Microsoft's AntiSSRF would let through, and why.
STRICTER = {
    "168.63.129.16/32": "a cloud's agent on a public address",
    "192.0.0.0/24": "protocol assignments: .9 and .10 are anycast inside the network",
    "192.31.196.0/24": "AS112: answered by whoever is nearest",
    "192.52.193.0/24": "AMT relays",
    "192.175.48.0/24": "AS112",
    "::/3": "not global unicast: mapped, compatible, translated, NAT64, discard",
    "4000::/2": "not assigned",
    "8000::/1": "not assigned, and local and multicast",
    "2001::/23": "protocol assignments",
    "2002::/16": "6to4",
    "2620:4f:8000::/48": "AS112",
    "3ffe::/16": "6bone, given back",
    "2606:4700:0:0:0:5efe::/96": "ISATAP: an IPv4 address in the interface's part",
    "2606:4700:0:0:200:5efe::/96": "ISATAP",
}


def corpus() -> set[IPv4Address | IPv6Address]:
    """The edges of every network that one of the three names, and each inside forms of IPv6."""
    policy = AntiSSRFPolicy(PolicyConfigOptions.EXTERNAL_ONLY_LATEST)
    networks = {
        *(block.network for block in DEFAULT_DENIED.blocks),
        *(ip_network(str(network)) for network in policy.denied_addresses),
        *(ip_network(network) for network in STRICTER if not network.startswith("2606:")),
    }
    edges = {
        type(network[0])(value)
        for network in networks
        for edge in (int(network[0]), int(network[-1]))
        for value in (edge - 1, edge, edge + 1)
        if 0 <= value < 2**network.max_prefixlen
    }
    v4 = [address for address in edges if address.version == 4]
    forms = ["::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::",
             "2606:4700::5efe:0:0", "2606:4700::200:5efe:0:0"]  # fmt: skip
    inside = {IPv6Address(int(IPv6Address(form)) | int(a)) for form, a in product(forms, v4)}
    sixtofour = {IPv6Address((0x2002 << 112) | (int(address) << 80)) for address in v4}
    return edges | inside | sixtofour


def we_allow(address: object) -> bool:
    try:
        address_check(str(address))
    except Refused:
        return False
    return True


def test_two_other_guards_refuse_nothing_that_we_allow_and_we_know_where_we_are_stricter():
    guard, policy = Policy(), AntiSSRFPolicy(PolicyConfigOptions.EXTERNAL_ONLY_LATEST)
    strict = {ip_network(network) for network in STRICTER}
    addresses, used = corpus(), set()
    allowed = 0
    for address in addresses:
        others = (
            guard.permits_address(str(address)),
            policy._is_str_ip_address_connection_allowed(str(address)),
        )
        if we_allow(address):
            assert others == (True, True), address
            allowed += 1
        elif any(others):
            reasons = [net for net in strict if address in net and net.version == address.version]
            assert reasons, f"{address}: refused by us alone, without a reason"
            used.update(reasons)
    assert used == strict, "a reason that no address needs"
    assert len(addresses) >= 1000
    assert allowed >= 30


@pytest.mark.parametrize("text", ["8.8.8.8", "2606:4700:4700::1111", "2a00:1450:4001:82a::200e"])
def test_all_three_allow_the_public_internet(text):
    policy = AntiSSRFPolicy(PolicyConfigOptions.EXTERNAL_ONLY_LATEST)
    assert we_allow(ip_address(text))
    assert Policy().permits_address(text)
    assert policy._is_str_ip_address_connection_allowed(text)
