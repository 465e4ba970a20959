"""Where no webhook may go."""

import pytest

from webhooks.addresses import Refused, address_check, networks, url_check

REFUSED_ADDRESSES = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1
127.1.2.3 168.63.129.16 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.9
192.0.0.192 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.1 192.168.255.255 192.175.48.1
198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
255.255.255.255
:: ::1 ::7f00:1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:8.8.8.8
::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::8.8.8.8 64:ff9b:1::1 100::1 100:0:0:1::1
2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:db8::1
2002:7f00:1::1 2002:808:808::1 2620:4f:8000::1 3ffe::1 3fff::1 5f00::1 4000::1 8000::1
fc00::1 fd00:ec2::254 fd12:3456::1 fe80::1 fe80::1%eth0 febf::1 fec0::1 ff02::1 ff0e::1
2606:4700::5efe:7f00:1 2606:4700::200:5efe:7f00:1
0177.0.0.1 127.1 2130706433 0x7f000001 localhost 1.2.3 1.2.3.4.5 1.2.3.4/8
""".split()  # noqa: SIM905 - a table

ALLOWED_ADDRESSES = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 93.184.215.14 100.63.255.255 100.128.0.1 126.255.255.255
128.0.0.1 169.253.255.255 172.15.255.255 172.32.0.1 192.0.1.1 192.167.255.255 198.17.255.255
198.20.0.1 223.255.255.255 2606:4700:4700::1111 2a00:1450:4001:82a::200e 2001:4860:4860::8888
2620:fe::fe 2400:cb00::1
""".split()  # noqa: SIM905 - a table

REFUSED_URLS = [
    "", "https", "https:", "https://", "https:///path", "//example.com", "example.com",
    "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/",
    "javascript://example.com/", "data:text/plain,x", "wss://example.com/", "http+unix://x.com/",
    "https://user@example.com/", "https://user:secret@example.com/", "https://@example.com/",
    "https://example.com@127.0.0.1/", "https://example.com#@evil.com/", "https://example.com/#frag",
    "https://example.com\\@127.0.0.1/", "https:\\\\example.com/", "https:/example.com/",
    "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f.1/",
    "https://0x7f000001/", "https://0177.0.0.1/", "https://017700000001/", "https://8.8.8.8/",
    "https://1.2.3.4.5/", "https://example.0x7f/", "https://[::1]/", "https://[::ffff:127.0.0.1]/",
    "https://[fe80::1%25eth0]/", "https://[v1.x]/", "https://::1/", "https://１２７.０.０.１/",
    "https://①②⑦.0.0.1/", "https://127。0。0。1/", "https://localhost/", "https://LOCALHOST/",
    "https://localhost./", "https://foo.localhost/", "https://intranet/", "https://printer.local/",
    "https://db.internal/", "https://metadata.google.internal/", "https://a.lan/", "https://a.corp/",
    "https://a.home.arpa/", "https://x.onion/", "https://a.test/", "https://a.invalid/",
    "https://a.example/", "https://router.home/", "https://example.com./", "https://example..com/",
    "https://.example.com/", "https://-a.example.com/", "https://a-.example.com/",
    "https://a_b.example.com/", "https://exa mple.com/", "https://exa%6dple.com/",
    "https://example.com%2f@x.com/", "https://example.com%00.x.com/", "https://exam\nple.com/",
    "https://example.com\t/", " https://example.com/", "https://example.com/ ",
    "https://example.com:80/", "https://example.com:22/", "https://example.com:6379/",
    "https://example.com:0/", "https://example.com:65979/", "https://example.com:/",
    "https://example.com:443:443/", "https://example.com:+443/", "https://example.com:４４３/",
    "https://example.com:-1/", "https://example.com:44 3/", "https://example.com/\r\nX-Evil: 1",
    "https://example.com/a b", "https://example.com/é", "https://example.com/%zz",
    "https://example.com/\x00", "https://example.com\\.evil.com/", "https://" + "a" * 64 + ".com/",
    "https://" + "a." * 130 + "com/", "https://example.com/" + "a" * 2048,
    "https://ex­ample.local/", "https://com/", "https://a.1/", "httpſ://example.com/",
    "http://localhost/", "http://localhost:3000/", "http://127.0.0.1:3000/",
]  # fmt: skip


def test_there_are_enough_hostile_cases():
    assert len(set(REFUSED_ADDRESSES)) >= 60
    assert len(set(REFUSED_URLS)) >= 60


@pytest.mark.parametrize("address", REFUSED_ADDRESSES)
def test_an_address_that_is_not_public_is_refused(address):
    with pytest.raises(Refused):
        address_check(address)


@pytest.mark.parametrize("address", ALLOWED_ADDRESSES)
def test_a_public_address_is_allowed(address):
    assert address_check(address) == address


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:4700:4700::1111"])
def test_our_own_networks_are_refused_too(address):
    own = networks(["93.184.215.0/24", "2606:4700::/32", ""])
    with pytest.raises(Refused):
        address_check(address, own=own)
    assert address_check("93.184.216.14", own=own)


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_a_url_that_leads_astray_is_refused(url):
    with pytest.raises(Refused) as refused:
        url_check(url)
    assert refused.value.reason.endswith(".")


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Hooks.Example.COM:443/A?b=C", "https://hooks.example.com/A?b=C"),
        ("https://example.com:8443/x", "https://example.com:8443/x"),
        ("https://example.com?x=1&y=%20", "https://example.com/?x=1&y=%20"),
        ("https://münchen.de/", "https://xn--mnchen-3ya.de/"),
        ("https://hooks.xn--mnchen-3ya.de/~a/(b)", "https://hooks.xn--mnchen-3ya.de/~a/(b)"),
        ("https://1.example.com/", "https://1.example.com/"),
        ("https://example.com/a/../b//c", "https://example.com/a/../b//c"),
    ],
)
def test_a_good_url_has_one_spelling(url, canonical):
    target = url_check(url)
    assert target.url == canonical
    assert url_check(canonical) == target
    assert not target.loopback


@pytest.mark.parametrize("url", ["http://localhost:3000/webhook", "http://127.0.0.1:65535/"])
def test_the_development_mode_lets_a_receiver_on_this_machine_through(url):
    target = url_check(url, development=True)
    assert target.loopback
    assert target.url == url


@pytest.mark.parametrize(
    "url",
    ["http://localhost/", "http://localhost:0/", "http://localhost:65536/", "http://Localhost:80/",
     "http://127.0.0.2:80/", "http://127.1:80/", "http://0.0.0.0:80/", "http://[::1]:80/",
     "http://localhost.evil.com:80/", "http://localhost@evil.com:80/", "http://foo.localhost:80/",
     "http://192.168.0.1:80/", "http://example.com:80/", "http://example.com/",
     "https://localhost:3000/", "https://127.0.0.1:443/"],
)  # fmt: skip
def test_the_development_mode_opens_nothing_else(url):
    with pytest.raises(Refused):
        url_check(url, development=True)
