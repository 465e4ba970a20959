"""Small values that leave us or lie in the database and must not be read: sealed with Fernet.

Keys come from ENCRYPTION_KEYS; the first seals, all of them open, so a ring can be turned.
"""

import base64
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


@lru_cache(maxsize=32)
def _box(purpose: str, secrets: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derived(secret, purpose)) for secret in secrets])


def _derived(secret: str, purpose: str) -> bytes:
    kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode())
    return base64.urlsafe_b64encode(kdf.derive(secret.encode()))
