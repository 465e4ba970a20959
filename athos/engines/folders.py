"""Where the engines live: folders, sockets, the account they run as."""

import hashlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from athos.engines.errors import EngineError
from athos.engines.programs import Account

# 107 bytes on Linux, 103 on macOS, for the longest name we put there: ".s.PGSQL.5432.lock"
_LONGEST_FOLDER = 103 - len("/.s.PGSQL.5432.lock")


@dataclass(frozen=True)
class Folders:
    """The data of one installation."""

    var: Path

    @property
    def postgres(self) -> Path:
        return self.var / "pg"

    @property
    def valkey(self) -> Path:
        return self.var / "valkey"

    @property
    def logs(self) -> Path:
        return self.var / "log"

    @property
    def metrics(self) -> Path:
        """Where all processes count; emptied at each start."""
        return self.var / "metrics"

    @property
    def sockets(self) -> Path:
        """`var/run`, or a short folder in the temporary one when the path is too long."""
        wanted = self.var / "run"
        if len(os.fsencode(wanted)) <= _LONGEST_FOLDER:
            return wanted
        digest = hashlib.sha256(os.fsencode(self.var)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"athos-{digest}"

    def create(self) -> None:
        """Make them all, private. A socket folder that somebody else owns is refused."""
        self.var.mkdir(parents=True, exist_ok=True)
        for folder in (self.valkey, self.logs, self.sockets):
            folder.mkdir(mode=0o700, exist_ok=True)
        if self.sockets.parent != self.var and self.sockets.stat().st_uid != os.geteuid():
            raise EngineError(f"{self.sockets} belongs to another account: remove it.")
        self.sockets.chmod(0o700)


def wheel_folder(package: str) -> Path | None:
    """Where a package's files are. It is not imported: importing some makes folders and locks."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


@cache
def namespace_prefix() -> tuple[str, ...]:
    """As root, a command prefix under which PostgreSQL, which refuses root, sees another uid.

    Files stay root's, so it works below a private folder. Empty when not root, or when the
    machine forbids user namespaces.
    """
    prefix = ("unshare", "--user", "--map-user=65534", "--map-group=65534")
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return ()
    probe = subprocess.run([*prefix, "true"], capture_output=True, check=False, timeout=10)
    return prefix if probe.returncode == 0 else ()


def postgres_account() -> Account | None:
    """As root without user namespaces: the account to drop to."""
    if os.geteuid() != 0 or namespace_prefix():
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise EngineError("Running as root, and there is no account to run PostgreSQL as: add one.")


def hand_over(folder: Path, account: Account | None) -> None:
    """Give a folder and all in it to the account PostgreSQL runs as (to us when it is None)."""
    uid, gid = (account.uid, account.gid) if account else (os.geteuid(), os.getegid())
    if os.geteuid() != 0 or folder.stat().st_uid == uid:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, uid, gid, follow_symlinks=False)


def check_reach(account: Account | None, *paths: Path) -> None:
    """Refuse early, with the folder's name, when the account can't walk to a path."""
    if account is None:
        return
    for path in paths:
        probe = subprocess.run(
            ["test", "-x", str(path)],
            check=False,
            user=account.uid,
            group=account.gid,
            extra_groups=[],
        )
        if probe.returncode != 0:
            raise EngineError(
                f"Running as root, so PostgreSQL runs as '{account.name}', who can't reach {path}: "
                "run as an ordinary account, or set DATABASE_URL and DATABASE_OWNER_URL."
            )
