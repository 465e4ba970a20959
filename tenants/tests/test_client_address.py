"""Whatever a caller writes into X-Forwarded-For, its identity stays what our proxies saw."""

import pytest

from tenants.client_address import client_address

PROXY, CALLER = "10.0.0.1", "203.0.113.9"

# What a caller may send. Our one proxy adds the caller's true address at the right.
WRITTEN = [
    "", " ", ",", ",,,", " , , ", "\t", "x", "unknown", "_hidden", "-", "null", "localhost",
    "127.0.0.1", "10.0.0.1", "0.0.0.0", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1",
    "192.0.2.1", "192.0.2.1, 192.0.2.2", "192.0.2.1,192.0.2.2,192.0.2.3", "192.0.2.1:80",
    "192.0.2.1:99999", "192.0.2.01", "192.0.2", "192.0.2.1.5", "3221225985", "0xC0000201",
    "0300.0.2.1", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:443", "[2001:db8::1",
    "fe80::1%eth0", "64:ff9b::192.0.2.1", "for=192.0.2.1;proto=https", '"192.0.2.1"', "'192.0.2.1'",
    "192.0.2.1; 192.0.2.2", "http://192.0.2.1/", "192.0.2.1\t", "１９２.0.2.1", "٣.٣.٣.٣",
    "192.0.2.1%00", "192.0.2.1, " * 2000, "9" * 5000, "1.1.1.1,," , ", 1.1.1.1",
]  # fmt: skip


@pytest.mark.parametrize("written", WRITTEN, ids=range(len(WRITTEN)))
@pytest.mark.parametrize("glue", [", ", ","])
def test_one_proxy(written, glue):
    header = f"{written}{glue}{CALLER}" if written else CALLER
    found = client_address(peer=PROXY, forwarded=header, trusted_proxies=1)
    assert str(found) == CALLER


@pytest.mark.parametrize("written", WRITTEN, ids=range(len(WRITTEN)))
def test_two_proxies(written):
    header = f"{written}, {CALLER}, 10.0.0.2"
    found = client_address(peer=PROXY, forwarded=header, trusted_proxies=2)
    assert str(found) == CALLER


@pytest.mark.parametrize("written", WRITTEN, ids=range(len(WRITTEN)))
def test_without_proxies_or_past_them_the_header_is_ignored(written):
    assert str(client_address(peer=CALLER, forwarded=written, trusted_proxies=0)) == CALLER
    past = client_address(
        peer=CALLER, forwarded=written, trusted_proxies=1, proxy_networks=["10.0.0.0/8"]
    )
    assert str(past) == CALLER


def test_the_corpus_is_large_enough():
    assert len(set(WRITTEN)) >= 40


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("10.1.2.3", CALLER),
        ("::ffff:10.1.2.3", CALLER),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", CALLER),
        ("2001:db9::1", "2001:db9::1"),
    ],
)
def test_only_our_proxies_are_believed(peer, expected):
    networks = ["10.0.0.0/8", "2001:db8::/32"]
    found = client_address(peer=peer, forwarded=CALLER, trusted_proxies=1, proxy_networks=networks)
    assert str(found) == expected


def test_a_peer_without_address_is_no_proxy_of_ours():
    networks = ["10.0.0.0/8"]
    assert (
        client_address(peer="", forwarded=CALLER, trusted_proxies=1, proxy_networks=networks)
        is None
    )
