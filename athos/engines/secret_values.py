"""Secrets of an embedded installation: made once, kept in `var/secrets.json`."""

import json
import os
import secrets
from pathlib import Path

_KEYRINGS = ("SESSION_TOKEN_KEYS", "API_KEY_PEPPERS", "ENCRYPTION_KEYS")


def secrets_load(var: Path) -> dict[str, str]:
    """The environment variables that hold secrets; what is missing is made and kept."""
    path = var / "secrets.json"
    known: dict[str, str] = json.loads(path.read_text()) if path.is_file() else {}
    complete = _fresh() | known
    if complete != known:
        write_private(path, json.dumps(complete, indent=2) + "\n")
    return complete


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, all of it or nothing."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _fresh() -> dict[str, str]:
    values = {"SECRET_KEY": secrets.token_urlsafe(48)}
    return values | {name: f"k1:{secrets.token_urlsafe(48)}" for name in _KEYRINGS}
