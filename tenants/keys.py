"""What an API key looks like. Pure: no database, no settings.

`ath_live_` or `ath_test_`, 43 random base62 characters (256 bits), and 6 base62 characters of the
CRC32 of all before them. The checksum lets secret scanners, and us, refuse junk without a query.
"""

import hmac
import re
import secrets
import string
import zlib
from collections.abc import Mapping

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
SECRET_LENGTH = 43
CHECKSUM_LENGTH = 6
_FORM = re.compile(r"ath_(live|test)_[0-9A-Za-z]{49}", re.ASCII)


def make(mode: str) -> str:
    """A new key; `mode` is "live" or "test"."""
    body = f"ath_{mode}_" + "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    return body + checksum(body)


def parse(text: str) -> str | None:
    """The mode of a well-formed key, None for anything else."""
    form = _FORM.fullmatch(text)
    if form is None or checksum(text[:-CHECKSUM_LENGTH]) != text[-CHECKSUM_LENGTH:]:
        return None
    return form[1]


def checksum(body: str) -> str:
    """CRC32 of the key's beginning, base62, most significant character first."""
    number = zlib.crc32(body.encode("ascii"))
    digits = []
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def digest(key: str, pepper: str) -> bytes:
    """What is stored. 256 random bits need no slow hash; the pepper makes stolen rows useless."""
    return hmac.digest(pepper.encode(), key.encode("ascii"), "sha256")


def digests(key: str, peppers: Mapping[str, str]) -> list[bytes]:
    """The digest under each pepper of the ring."""
    return [digest(key, pepper) for pepper in peppers.values()]


def hint(key: str) -> str:
    """Enough to tell one key from another in a list."""
    return f"{key[:12]}…{key[-4:]}"
