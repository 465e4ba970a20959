"""The form of an API key: what is made is accepted, nothing else is."""

import hashlib
import hmac
import re
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants import keys
from tenants.client_address import address_allowed, client_address

_BODY = "ath_live_" + "Kz7" * 14 + "K"
LIVE = _BODY + keys.checksum(_BODY)  # the same in each process: tests are named after it


@pytest.mark.parametrize("mode", ["live", "test"])
def test_a_made_key_has_the_published_form_and_is_accepted(mode):
    key = keys.make(mode)
    assert re.fullmatch(rf"ath_{mode}_[0-9A-Za-z]{{43}}[0-9A-Za-z]{{6}}", key)
    assert keys.parse(key) == mode


def test_the_checksum_is_crc32_in_base62():
    number = 0
    for digit in LIVE[-6:]:
        number = number * 62 + keys.ALPHABET.index(digit)
    assert number == zlib.crc32(LIVE[:-6].encode())


@given(place=st.integers(0, 57), letter=st.sampled_from(keys.ALPHABET))
def test_one_changed_character_is_noticed(place, letter):
    changed = LIVE[:place] + letter + LIVE[place + 1 :]
    assert (keys.parse(changed) is None) == (changed != LIVE)


@given(st.text(max_size=80))
def test_any_other_text_is_refused_without_an_error(text):
    assert keys.parse(text) is None


@pytest.mark.parametrize(
    "text",
    ["", LIVE + "\n", " " + LIVE, LIVE[:-1], LIVE + "0", LIVE.replace("live", "test"),
     LIVE.upper(), LIVE.replace("_", "-"), LIVE[:9] + "٣" * 49],
)  # fmt: skip
def test_near_misses_are_refused(text):
    assert keys.parse(text) is None


def test_the_digest_is_hmac_sha256_of_the_whole_key():
    assert (
        keys.digest(LIVE, "p" * 32) == hmac.new(b"p" * 32, LIVE.encode(), hashlib.sha256).digest()
    )


PEER = "198.51.100.7"


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "expected"),
    [
        (PEER, "", 0, PEER),
        (PEER, "203.0.113.9", 0, PEER),  # nobody asked for the header
        (PEER, "203.0.113.9", 1, "203.0.113.9"),
        (PEER, "1.2.3.4, 203.0.113.9", 1, "203.0.113.9"),  # what the caller wrote stays left
        (PEER, "1.2.3.4, 203.0.113.9, 10.0.0.1", 2, "203.0.113.9"),
        (PEER, "203.0.113.9", 2, None),  # did not pass both proxies
        (PEER, "", 1, None),
        (PEER, "203.0.113.9:4711", 1, "203.0.113.9"),
        (PEER, "[2001:db8::9]:4711", 1, "2001:db8::9"),
        (PEER, "2001:db8::9", 1, "2001:db8::9"),
        (PEER, "::ffff:203.0.113.9", 1, "203.0.113.9"),
        (PEER, "1.2.3.4,", 1, None),
        (PEER, "unknown", 1, None),
        (PEER, "localhost", 1, None),
        (PEER, "203.0.113.9.evil.example", 1, None),
        (PEER, "0x7f.1", 1, None),
        ("", "", 0, None),  # a unix socket
    ],
)
def test_the_callers_address_is_the_one_our_proxies_saw(peer, forwarded, proxies, expected):
    address = client_address(peer=peer, forwarded=forwarded, trusted_proxies=proxies)
    assert (str(address) if address else None) == expected


@pytest.mark.parametrize(
    ("allowed", "peer", "expected"),
    [
        ([], PEER, True),
        ([], "", True),
        (["198.51.100.0/24"], PEER, True),
        (["198.51.100.7"], PEER, True),
        (["203.0.113.0/24"], PEER, False),
        (["2001:db8::/32"], "2001:db8::1", True),
        (["198.51.100.0/24"], "2001:db8::1", False),
        (["198.51.100.0/24"], "", False),
        (["nonsense"], PEER, False),
    ],
)
def test_the_address_list(allowed, peer, expected):
    address = client_address(peer=peer, forwarded="", trusted_proxies=0)
    assert address_allowed(address, allowed) is expected
