"""Eight verifiers, six of them not ours, on what we sign and on what was changed on the way."""

import base64
import binascii
import json
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import standardwebhooks
import stripe
import svix
from useathos_webhooks import WebhookRefused, verify

from webhooks.bodies import event_body
from webhooks.signing import secret_make, signed_headers

CHUNK = 500  # bodies that are signed at once: receivers refuse what is five minutes old
LETTERS = 'aZ0 é漢🙂\u0000"\\{}:,\n\u200f\u2028\uffff</script>'
# How the libraries of others refuse a body that is not UTF-8, and a signature that is not base64.
STUMBLES = (UnicodeDecodeError, binascii.Error)
NODE_JUDGES = Path(__file__).with_name("judges.mjs")


@dataclass(frozen=True)
class Message:
    body: bytes
    headers: dict[str, str]
    secret: str


def text(chance: random.Random) -> str:
    """Anything that UTF-8 can write, up to 200 characters."""
    size = chance.choice([1, 8, 40, 200])
    return "".join(
        chance.choice(LETTERS) if chance.random() < 0.5 else chr(chance.randrange(0xD800))
        for _ in range(chance.randint(1, size))
    )


def signed(body: bytes, secret: str, *, age: int = 0) -> Message:
    sent_at = int(time.time()) - age
    return Message(
        body, signed_headers(secrets=[secret], event_id="wh_1", body=body, sent_at=sent_at), secret
    )


def random_message(chance: random.Random) -> Message:
    facts = {
        "success": chance.random() < 0.5,
        "callId": "athos_call_" + str(chance.randrange(10**9)),
        "source": "roleplay",
        "externalUserId": text(chance),
        "externalAgencyId": chance.choice([None, text(chance)]),
        "occurredAt": "2026-06-05T18:09:14.000Z",
        "requestId": "req_1",
    }
    if not facts["success"]:
        facts |= {"reason": "SCORING_INCOMPLETE", "reasonMessage": text(chance)}
    return signed(event_body("call.scored", facts, event_id="wh_1"), secret_make())


# --- what may have happened on the way; each keeps both schemes' headers in step -----------------


def bit_flipped(message: Message, chance: random.Random) -> Message:
    changed = bytearray(message.body)
    changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return replace(message, body=bytes(changed))


def byte_lost(message: Message, chance: random.Random) -> Message:
    place = chance.randrange(len(message.body))
    return replace(message, body=message.body[:place] + message.body[place + 1 :])


def byte_added(message: Message, chance: random.Random) -> Message:
    place = chance.randrange(len(message.body) + 1)
    added = bytes([chance.choice(b' \n\t0"}\xff')])
    return replace(message, body=message.body[:place] + added + message.body[place:])


def printed_again(message: Message, chance: random.Random) -> Message:
    return replace(message, body=json.dumps(json.loads(message.body)).encode())


def time_moved(message: Message, chance: random.Random) -> Message:
    at = message.headers["webhook-timestamp"]
    other = str(int(at) + chance.choice([-250, -1, 1, 250]))
    ours = message.headers["X-Athos-Signature"].replace(f"t={at}", f"t={other}")
    return with_headers(message, **{"X-Athos-Signature": ours, "webhook-timestamp": other})


def signature_changed(message: Message, chance: random.Random) -> Message:
    ours, theirs = message.headers["X-Athos-Signature"], message.headers["webhook-signature"]
    place = chance.randrange(ours.index("v1=") + 3, len(ours))
    digit = chance.choice([d for d in "0123456789abcdef" if d != ours[place]])
    digest = bytearray(base64.b64decode(theirs.removeprefix("v1,")))
    digest[chance.randrange(32)] ^= 1 << chance.randrange(8)
    return with_headers(
        message,
        **{
            "X-Athos-Signature": ours[:place] + digit + ours[place + 1 :],
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        },
    )


def signature_cut(message: Message, chance: random.Random) -> Message:
    cut = chance.randint(1, 40)
    names = ("X-Athos-Signature", "webhook-signature")
    return with_headers(message, **{name: message.headers[name][:-cut] for name in names})


def other_scheme(message: Message, chance: random.Random) -> Message:
    names = ("X-Athos-Signature", "webhook-signature")
    other = chance.choice(["v0", "v2", "v1a"])
    return with_headers(
        message, **{name: message.headers[name].replace("v1", other) for name in names}
    )


def of_another(message: Message, chance: random.Random) -> Message:
    return replace(message, secret=secret_make())


def too_old(message: Message, chance: random.Random) -> Message:
    return signed(message.body, message.secret, age=chance.randint(301, 100_000))


MUTATIONS: list[Callable[[Message, random.Random], Message]] = [
    bit_flipped,
    byte_lost,
    byte_added,
    printed_again,
    time_moved,
    signature_changed,
    signature_cut,
    other_scheme,
    of_another,
    too_old,
]


def with_headers(message: Message, **changed: str) -> Message:
    return replace(message, headers=message.headers | changed)


# --- the judges ----------------------------------------------------------------------------------


def python_judges(message: Message) -> str:
    """Ours, stripe, standardwebhooks, svix: `1` for each that accepts."""
    body, headers, secret = message.body, message.headers, message.secret
    judges = (
        (lambda: verify(body, headers, secret), WebhookRefused),
        (
            lambda: stripe.WebhookSignature.verify_header(
                body.decode(), headers["X-Athos-Signature"], secret, 300
            ),
            (stripe.SignatureVerificationError, *STUMBLES),
        ),
        (
            lambda: standardwebhooks.Webhook(secret).verify(body.decode(), headers),
            (standardwebhooks.WebhookVerificationError, *STUMBLES),
        ),
        (
            lambda: svix.Webhook(secret).verify(body, headers),
            (svix.WebhookVerificationError, *STUMBLES),
        ),
    )
    return "".join(_accepts(judge, refusal) for judge, refusal in judges)


def _accepts(judge, refusal) -> str:
    try:
        judge()
    except refusal:
        return "0"
    return "1"


def node_judges(messages: list[Message]) -> list[str]:
    """The same four of npm."""
    lines = (
        json.dumps(
            {
                "body": base64.b64encode(message.body).decode(),
                "headers": message.headers,
                "secret": message.secret,
            }
        )
        for message in messages
    )
    done = subprocess.run(
        ["node", str(NODE_JUDGES)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


def chunks(bodies: int, seed: int) -> Iterator[tuple[list[Message], list[Message]]]:
    """Messages of ours, and ten changes of each."""
    chance = random.Random(seed)
    for start in range(0, bodies, CHUNK):
        good = [random_message(chance) for _ in range(min(CHUNK, bodies - start))]
        yield good, [mutate(message, chance) for message in good for mutate in MUTATIONS]


def judged(bodies: int, seed: int) -> tuple[int, int]:
    """How many were accepted by all eight, and how many refused by all eight."""
    accepted = refused = 0
    for good, bad in chunks(bodies, seed):
        for messages, verdict in ((good, "1111"), (bad, "0000")):
            found = node_judges(messages)
            assert len(found) == len(messages)
            for message, node in zip(messages, found, strict=True):
                python = python_judges(message)
                assert (python, node) == (verdict, verdict), message
        accepted, refused = accepted + len(good), refused + len(bad)
    return accepted, refused


def test_eight_verifiers_accept_what_we_sign_and_refuse_each_change():
    assert judged(100, seed=random.randrange(2**32)) == (100, 1000)


@pytest.mark.prove
@pytest.mark.timeout(1200)
def test_they_accept_ten_thousand_and_refuse_a_hundred_thousand():
    assert judged(10_000, seed=20261122) == (10_000, 100_000)
