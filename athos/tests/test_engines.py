"""The embedded engines: real servers in folders of their own."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from athos.engines.errors import EngineError
from athos.engines.folders import Folders
from athos.engines.launcher import Engines
from athos.engines.postgres import postgres_binaries
from athos.engines.secret_values import secrets_load
from athos.tests.test_supervisor import alive, wait_for

_HOLDER = """
import sys, time
from pathlib import Path
from athos.engines.launcher import Engines
engines = Engines(Path(sys.argv[1]), durable=True)
engines.start()
print(" ".join(str(process.pid) for _, process in engines._running), flush=True)
time.sleep(120)
"""


@pytest.fixture
def no_outside_engines(monkeypatch):
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "SPEECH_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def engines(tmp_path, no_outside_engines):
    engines = Engines(tmp_path / "var", durable=True)
    yield engines
    engines.stop()


def ask(url: str, question: str) -> list[tuple]:
    with psycopg.connect(url) as connection:
        return connection.execute(question).fetchall()


def test_they_start_stop_and_keep_what_was_written(engines):
    environment = engines.start()
    with psycopg.connect(environment["DATABASE_OWNER_URL"]) as owner:
        owner.execute("create table note (word text)")
    with psycopg.connect(environment["DATABASE_URL"]) as app:
        app.execute("insert into note values ('kept')")
    redis.Redis.from_url(environment["REDIS_URL"]).set("key", "kept")
    engines.stop()
    assert not list(engines.folders.sockets.glob("*.lock"))

    assert engines.start() == environment
    assert ask(environment["DATABASE_URL"], "select word from note") == [("kept",)]
    assert redis.Redis.from_url(environment["REDIS_URL"]).get("key") == b"kept"


def test_the_roles_have_just_their_rights(engines):
    environment = engines.start()
    roles = ask(
        environment["DATABASE_URL"],
        "select rolname, rolsuper or rolbypassrls or rolcreaterole or rolcreatedb, rolcanlogin"
        " from pg_roles where rolname like 'athos_%' and rolname <> 'athos_root' order by 1",
    )
    assert roles == [
        ("athos_app", False, True),
        ("athos_definer", False, False),
        ("athos_owner", False, True),
    ]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(environment["DATABASE_URL"], "create table mine (word text)")
    with psycopg.connect(environment["DATABASE_OWNER_URL"]) as owner:
        owner.execute("create table theirs (word text)")
        owner.execute("create function f() returns int language sql as 'select 1'")
        owner.execute("alter function f() owner to athos_definer")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(environment["DATABASE_URL"], "truncate theirs")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(environment["DATABASE_URL"], "set role athos_definer")


def test_the_extensions_are_there(engines):
    environment = engines.start()
    found = {
        name for (name,) in ask(environment["DATABASE_URL"], "select extname from pg_extension")
    }
    assert {"pg_trgm", "btree_gin", "btree_gist"} <= found


def test_nothing_listens_on_the_network_and_the_files_are_private(engines):
    environment = engines.start()
    assert ask(environment["DATABASE_URL"], "show listen_addresses") == [("",)]
    assert redis.Redis.from_url(environment["REDIS_URL"]).config_get("port") == {"port": "0"}
    var = engines.folders.var
    for name in ("secrets.json", "embedded.env"):
        assert stat.S_IMODE((var / name).stat().st_mode) == 0o600
    for folder in (engines.folders.sockets, var / "pg", var / "valkey"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.chaos
def test_killed_engines_come_back_with_what_was_committed(engines):
    environment = engines.start()
    with psycopg.connect(environment["DATABASE_OWNER_URL"]) as owner:
        owner.execute("create table note (word text)")
    for _, process in engines._running:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
    assert (engines.folders.postgres / "postmaster.pid").exists()
    engines.start()
    assert ask(environment["DATABASE_URL"], "select count(*) from note") == [(0,)]


@pytest.mark.chaos
def test_a_pid_file_that_names_another_process_is_no_obstacle(engines):
    environment = engines.start()
    pid_file = engines.folders.postgres / "postmaster.pid"
    left_behind = pid_file.read_text()
    engines.stop()
    with subprocess.Popen(["sleep", "60"]) as bystander:
        pid_file.write_text("\n".join([str(bystander.pid), *left_behind.split("\n")[1:]]))
        engines.start()
        assert bystander.poll() is None
        bystander.kill()
    assert ask(environment["DATABASE_URL"], "select 1") == [(1,)]


@pytest.mark.chaos
def test_they_end_when_their_parent_is_killed(tmp_path, no_outside_engines):
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    pids = [int(pid) for pid in holder.stdout.readline().split()]
    assert len(pids) == 2
    holder.kill()
    holder.communicate(timeout=10)
    wait_for(lambda: not any(alive(pid) for pid in pids), 10)


def test_a_data_folder_of_another_major_version_is_told(engines):
    engines.start()
    engines.stop()
    (engines.folders.postgres / "PG_VERSION").write_text("9\n")
    with pytest.raises(EngineError, match="was made by PostgreSQL 9, this is 18"):
        engines.start()


def test_an_engine_that_cannot_start_shows_its_last_lines(engines):
    engines.start()
    engines.stop()
    (engines.folders.postgres / "postgresql.conf").write_text("shared_buffers = nonsense\n")
    with pytest.raises(EngineError, match=r"(?s)postgres did not start.*nonsense"):
        engines.start()


def test_a_long_path_gets_its_sockets_elsewhere(tmp_path, no_outside_engines):
    deep = tmp_path / ("long" * 20)
    engines = Engines(deep, durable=False)
    try:
        environment = engines.start()
        assert len(str(engines.folders.sockets)) < 80
        assert ask(environment["DATABASE_URL"], "select 1") == [(1,)]
    finally:
        engines.stop()
        engines.folders.sockets.rmdir()


def test_someone_elses_socket_folder_is_refused(tmp_path, monkeypatch):
    folders = Folders(tmp_path / ("long" * 20))
    folders.sockets.mkdir()
    try:
        monkeypatch.setattr(os, "geteuid", lambda: 4321)
        with pytest.raises(EngineError, match="belongs to another account"):
            folders.create()
    finally:
        folders.sockets.rmdir()


def test_outside_engines_replace_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://app@db/athos")
    monkeypatch.setenv("DATABASE_OWNER_URL", "postgres://owner@db/athos")
    monkeypatch.setenv("REDIS_URL", "redis://bell:6379")
    engines = Engines(tmp_path, durable=True)
    assert engines.programs() == []
    environment = engines.start()
    assert environment["DATABASE_URL"] == "postgres://app@db/athos"
    assert environment["REDIS_URL"] == "redis://bell:6379"
    assert not (tmp_path / "pg").exists()


def test_one_database_url_alone_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgres://app@db/athos")
    monkeypatch.delenv("DATABASE_OWNER_URL", raising=False)
    with pytest.raises(EngineError, match="both DATABASE_URL and DATABASE_OWNER_URL"):
        Engines(tmp_path, durable=True)


def test_a_wrong_pg_bin_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    with pytest.raises(EngineError, match="holds no 'postgres'"):
        postgres_binaries()


def test_secrets_are_made_once(tmp_path):
    first = secrets_load(tmp_path)
    assert secrets_load(tmp_path) == first
    assert len(first["SECRET_KEY"]) >= 50
    assert all(
        first[name].startswith("k1:") and len(first[name]) > 50
        for name in ("SESSION_TOKEN_KEYS", "API_KEY_PEPPERS", "ENCRYPTION_KEYS")
    )


def test_a_secret_added_by_a_later_version_leaves_the_others_alone(tmp_path):
    (tmp_path / "secrets.json").write_text(json.dumps({"SECRET_KEY": "old"}))
    assert secrets_load(tmp_path)["SECRET_KEY"] == "old"
    assert "ENCRYPTION_KEYS" in json.loads((tmp_path / "secrets.json").read_text())


def test_settings_read_the_file_for_processes_started_by_hand(tmp_path, no_outside_engines):
    (tmp_path / "embedded.env").write_text(
        "".join(f"{name}={value}\n" for name, value in secrets_load(tmp_path).items())
        + "DATABASE_URL=postgres://athos_app@/athos?host=/a/b%20c\n"
        + "DATABASE_OWNER_URL=postgres://athos_owner@/athos?host=/a/b%20c\nREDIS_URL=unix:///a/v\n"
    )
    code = "from django.conf import settings; d = settings.DATABASES['default'];"
    code += "print(d['HOST'], d['USER'], d['NAME'], sorted(d['OPTIONS']), sep='|')"
    secrets = {"SECRET_KEY", "SESSION_TOKEN_KEYS", "API_KEY_PEPPERS", "ENCRYPTION_KEYS"}
    environment = {name: value for name, value in os.environ.items() if name not in secrets}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"ATHOS_VAR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "/a/b c|athos_app|athos|['connect_timeout', 'pool']"


def test_the_sql_files_may_be_run_again(engines):
    engines.start()
    engines.bootstrap()
    engines.bootstrap()
    assert Path(engines.folders.var / "pg").is_dir()
