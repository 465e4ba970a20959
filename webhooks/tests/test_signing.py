"""Our signatures as the libraries of others see them."""

import base64
import hashlib
import hmac
import random
import time

import pytest
import standardwebhooks
import stripe
import svix

from webhooks import signing

BODIES = 1200
LETTERS = 'aé漢🙂\u0000"\\{}:, \n\u200f\uffff'


def text(chance: random.Random) -> str:
    """Anything that UTF-8 can write, 0 to 2,000 characters."""
    size = chance.choice([0, 1, 40, 2000])
    return "".join(
        chance.choice(LETTERS) if chance.random() < 0.5 else chr(chance.randrange(0xD800))
        for _ in range(chance.randint(0, size))
    )


def stripe_accepts(body: bytes, headers: dict[str, str], secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(
            body.decode(), headers["X-Athos-Signature"], secret, 300
        )
    except (stripe.SignatureVerificationError, ValueError):
        return False
    return True


def standard_accepts(library, body: bytes, headers: dict[str, str], secret: str) -> bool:
    """Both libraries parse the body as JSON after they verified it."""
    try:
        library.Webhook(secret).verify(body, headers)
    except library.webhooks.WebhookVerificationError:
        return False
    except ValueError:
        return True
    return True


def judges(body: bytes, headers: dict[str, str], secret: str) -> list[bool]:
    return [
        stripe_accepts(body, headers, secret),
        standard_accepts(standardwebhooks, body, headers, secret),
        standard_accepts(svix, body, headers, secret),
    ]


def signed(body: bytes, *secrets: str, at: int | None = None) -> dict[str, str]:
    """Now, unless a test says otherwise: receivers refuse what is five minutes old."""
    sent_at = int(time.time()) if at is None else at
    return signing.signed_headers(secrets=secrets, event_id="wh_1", body=body, sent_at=sent_at)


def test_three_libraries_accept_every_body_and_refuse_every_change():
    chance = random.Random(5)
    secret, other = signing.secret_make(), signing.secret_make()
    changes = 0
    for _ in range(BODIES):
        body = text(chance).encode()
        headers = signed(body, secret)
        assert judges(body, headers, secret) == [True] * 3
        assert judges(body, headers, other) == [False] * 3
        changed = text_changed(body.decode(), chance).encode()
        assert judges(changed, headers, secret) == [False] * 3
        sent_at = int(headers["webhook-timestamp"])
        ours = headers["X-Athos-Signature"].replace(f"t={sent_at}", f"t={sent_at + 1}")
        late = headers | {"X-Athos-Signature": ours, "webhook-timestamp": str(sent_at + 1)}
        assert judges(body, late, secret) == [False] * 3
        changes += 3
    assert changes >= 3000


def text_changed(whole: str, chance: random.Random) -> str:
    """One character more, less or other."""
    place = chance.randrange(len(whole) + 1)
    if place == len(whole):
        return whole + " "
    return whole[:place] + chance.choice(["", chr(ord(whole[place]) ^ 1)]) + whole[place + 1 :]


def test_every_bit_of_a_signature_counts():
    secret, body = signing.secret_make(), b'{"event":"call.scored"}'
    headers = signed(body, secret)
    value = headers["X-Athos-Signature"]
    for place in range(value.index("v1=") + 3, len(value)):
        digit = "0" if value[place] != "0" else "1"
        changed = headers | {"X-Athos-Signature": value[:place] + digit + value[place + 1 :]}
        assert not stripe_accepts(body, changed, secret)
    digest = base64.b64decode(headers["webhook-signature"].removeprefix("v1,"))
    for bit in range(len(digest) * 8):
        flipped = bytearray(digest)
        flipped[bit // 8] ^= 1 << (bit % 8)
        changed = headers | {"webhook-signature": f"v1,{base64.b64encode(flipped).decode()}"}
        assert judges(body, changed, secret)[1:] == [False, False]


def test_the_header_is_byte_for_byte_the_contracts():
    secret, body = "whsec_" + base64.b64encode(b"k" * 32).decode(), '{"é":1}'.encode()
    value = signing.signature_header(secrets=[secret], body=body, sent_at=1749139254)
    digest = hmac.new(secret.encode(), b"1749139254." + body, hashlib.sha256).hexdigest()
    assert value == f"t=1749139254,v1={digest}"


def test_while_rotating_receivers_with_either_secret_accept():
    new, old, stranger = (signing.secret_make() for _ in range(3))
    headers = signed(b"{}", new, old)
    assert headers["X-Athos-Signature"].count("v1=") == 2
    only_new = signing.signature_header(secrets=[new], body=b"{}", sent_at=int(time.time()))
    assert headers["X-Athos-Signature"].startswith(only_new + ",v1=")
    assert judges(b"{}", headers, new) == judges(b"{}", headers, old) == [True] * 3
    assert judges(b"{}", headers, stranger) == [False] * 3


@pytest.mark.parametrize("age", [301, 10_000])
def test_an_old_attempt_is_refused(age):
    secret = signing.secret_make()
    assert judges(b"{}", signed(b"{}", secret, at=int(time.time()) - age), secret) == [False] * 3


def test_each_new_secret_is_another_32_bytes():
    secrets = {signing.secret_make() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(signing.secret_bytes(secret)) for secret in secrets} == {32}


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "whsec_!!!", "whsec_" + base64.b64encode(b"x" * 23).decode(),
     "whsec_" + base64.b64encode(b"x" * 65).decode(), base64.b64encode(b"x" * 32).decode()],
)  # fmt: skip
def test_a_malformed_secret_is_refused_without_quoting_it(secret):
    with pytest.raises(signing.SecretMalformed) as refused:
        signing.secret_bytes(secret)
    assert str(refused.value) == ""


def test_nothing_is_sent_unsigned():
    with pytest.raises(ValueError, match="unsigned"):
        signed(b"{}")
