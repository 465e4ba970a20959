"""Small values that leave us or lie in the database and must not be read: sealed with Fernet.

Keys come from ENCRYPTION_KEYS; the first seals, all of them open, so a ring can be turned.
"""

import base64
import hmac
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


class SealBroken(ValueError):
    """Not sealed by us, for another purpose, changed, or too old."""


def seal(value: bytes, *, purpose: str) -> str:
    """An opaque text. What was sealed for one purpose does not open for another."""
    return _box(purpose, tuple(settings.ENCRYPTION_KEYS.values())).encrypt(value).decode()


def unseal(text: str, *, purpose: str, max_age: int | None = None) -> bytes:
    """The value again. `max_age` in seconds since it was sealed."""
    box = _box(purpose, tuple(settings.ENCRYPTION_KEYS.values()))
    try:
        return box.decrypt(text.encode(), ttl=max_age)
    except (InvalidToken, UnicodeEncodeError) as broken:
        raise SealBroken(purpose) from broken


def keyed_digest(value: bytes, *, purpose: str) -> str:
    """HMAC-SHA256 in hex: nobody without our keys can make it, or try out what it stands for."""
    return keyed_digests(value, purpose=purpose)[0]


def keyed_digests(value: bytes, *, purpose: str) -> list[str]:
    """The same under every key of the ring, the first one first, to compare with old digests."""
    keys = _derived_ring(purpose, tuple(settings.ENCRYPTION_KEYS.values()))
    return [hmac.digest(key, value, "sha256").hex() for key in keys]


@lru_cache(maxsize=32)
def _derived_ring(purpose: str, secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(_derived(secret, purpose) for secret in secrets)


@lru_cache(maxsize=32)
def _box(purpose: str, secrets: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derived(secret, purpose)) for secret in secrets])


def _derived(secret: str, purpose: str) -> bytes:
    kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode())
    return base64.urlsafe_b64encode(kdf.derive(secret.encode()))
