"""`manage.py doctor`: what works on this machine, what doesn't, and what to do about it."""

import fcntl
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import OperationalError, connection
from django.db.backends.signals import connection_created

from athos import health
from athos.database_role import role_problem
from athos.engines.errors import EngineError
from athos.engines.postgres import postgres_binaries
from athos.engines.valkey import valkey_binary

_SECRETS = ("SECRET_KEY", "SESSION_TOKEN_KEYS", "API_KEY_PEPPERS", "ENCRYPTION_KEYS")
_FREE_BYTES = 2 * 1024**3  # model weights and some hours of recordings

Check = Callable[[], str]  # what was found; raises health.CheckFailed


class Command(BaseCommand):
    help = "Check this installation and say what to do. Exit code 1 when something is wrong."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        connection_created.disconnect(dispatch_uid="refuse_wrong_role")  # told below, not ended
        logging.disable(logging.CRITICAL)  # the checks say it in fewer words
        failed = 0
        for name, check, advice in CHECKS:
            try:
                found = check()
            except health.CheckFailed as problem:
                failed += 1
                print(f"  FAIL  {name:<12} {problem}\n{'':21}{advice}")
            else:
                print(f"  ok    {name:<12} {found}")
        print(f"{failed} of {len(CHECKS)} checks failed." if failed else "All is well.")
        sys.exit(1 if failed else 0)


def _python() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] != (3, 11):
        raise health.CheckFailed(f"this is {version}")
    return version


def _node() -> str:
    if shutil.which("node") is None:
        raise health.CheckFailed("not on the PATH")
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    if int(said.strip().lstrip("v").split(".")[0] or 0) < 20:
        raise health.CheckFailed(f"this is {said.strip()}")
    return said.strip()


def _postgres() -> str:
    return _engine("DATABASE_URL", postgres_binaries)


def _valkey() -> str:
    return _engine("REDIS_URL", valkey_binary)


def _engine(variable: str, find: Callable[[], object]) -> str:
    if os.environ.get(variable) and not settings.EMBEDDED:
        return f"{variable} is set, the embedded one is not used"
    try:
        return str(find())
    except EngineError as error:
        raise health.CheckFailed(str(error)) from error


def _folder() -> str:
    settings.VAR_DIR.mkdir(parents=True, exist_ok=True)
    if not os.access(settings.VAR_DIR, os.W_OK | os.X_OK):
        raise health.CheckFailed(f"{settings.VAR_DIR} can't be written")
    free = shutil.disk_usage(settings.VAR_DIR).free
    if free < _FREE_BYTES:
        raise health.CheckFailed(f"{settings.VAR_DIR}: {free / 1024**3:.1f} GiB free")
    return f"{settings.VAR_DIR}, {free / 1024**3:.0f} GiB free"


def _secrets() -> str:
    missing = [name for name in _SECRETS if len(os.environ.get(name, "")) < 32]
    if missing:
        raise health.CheckFailed(f"missing or too short: {', '.join(missing)}")
    return "set"


def _running() -> str:
    if os.environ.get("DATABASE_URL") and not settings.EMBEDDED:
        return "not embedded: your own orchestrator runs it"
    path = settings.VAR_DIR / "up.lock"
    if path.is_file():
        with path.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return f"pid {lock.read().strip()}"
    raise health.CheckFailed("`up` does not run here")


def _role() -> str:
    try:
        problem = role_problem(connection)
    except OperationalError as error:
        raise health.CheckFailed("the database does not answer") from error
    if problem:
        raise health.CheckFailed(problem)
    return "held by row-level security"


def _found(check: Callable[[], None], answer: str) -> Check:
    def run() -> str:
        check()
        return answer

    return run


_START = "Start it with `make run`, and see var/log for why it ended."
CHECKS: list[tuple[str, Check, str]] = [
    ("python", _python, "Make the virtual environment with Python 3.11: `make clean run`."),
    ("node", _node, "Install Node 20 or newer: it builds the SDK and runs the example."),
    ("postgres", _postgres, "Install the requirements, or set PG_BIN or DATABASE_URL."),
    ("valkey bin", _valkey, "Install the requirements, or set VALKEY_BIN or REDIS_URL."),
    ("folder", _folder, "Free some space, or set ATHOS_VAR to a folder of yours."),
    ("secrets", _secrets, "`make run` makes them; your own set-up is in docs/settings.md."),
    ("up", _running, "Start it with `make run`."),
    ("database", _found(health.check_database, "answers"), _START),
    ("role", _role, "Point DATABASE_URL at athos_app (docs/operations.md)."),
    ("migrations", _found(health.check_migrations, "all applied"), "Run `manage.py install`."),
    ("valkey", _found(health.check_valkey, "answers"), _START),
    ("speech", _found(health.check_speech, "warm, or remote"), _START),
    ("live", _found(health.check_live, "takes calls"), _START),
]
