"""Every place of a call is filled with a canary; after the erasure nobody finds one anywhere."""

import io
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from django.conf import settings as project
from django.core.cache import cache

from athos.logs import KeyValueFormatter
from calls.erasure.carrying_out import erasure_carry_out
from calls.erasure.stores import ERASED, KEPT
from calls.models import Erasure, Recording
from calls.tests.making import make_drill, make_integrator
from calls.tests.test_erasure import delete, full_call, get
from tenants.isolation import tenant_scope
from tenants.services import ALL_SCOPES
from work.drain import drain

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("bells")]

CANARY = "canary-7f3a"
REP = f"rep {CANARY} Zoë"
TEXTS = {"text", "character varying", "jsonb", "bytea"}
# Columns of the erased tables that hold no free text: words from a list that a constraint guards,
# names of a drill or a rubric, and ids of ours.
OURS = {
    *("public_id", "session_id", "mode", "source", "stage", "end_reason", "failure", "difficulty"),
    *("role", "channel", "format", "answer", "state", "type", "script", "webhook", "rehearsal"),
    *("last_error", "file", "check_key", "section", "consent_source", "reminder"),
    *("outcome", "drill_key"),
}


@pytest.fixture(autouse=True)
def storage(tmp_path, settings) -> Path:
    settings.MEDIA_ROOT = str(tmp_path / "recordings")
    return tmp_path / "recordings"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the product would have written, as it writes it."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(KeyValueFormatter())
    logging.getLogger().addHandler(handler)
    yield written
    logging.getLogger().removeHandler(handler)


@contextmanager
def everything() -> Iterator[psycopg.Connection]:
    """The database without row-level security: its owner lifts it inside a transaction."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as owner:
        for (table,) in owner.execute(
            "SELECT relname FROM pg_class JOIN pg_namespace AS space ON space.oid = relnamespace"
            " WHERE nspname = 'public' AND relforcerowsecurity"
        ).fetchall():
            owner.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY".encode())
        yield owner
        owner.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for (table,) in owner.execute(
            "SELECT relname FROM pg_class WHERE relrowsecurity AND NOT relforcerowsecurity"
        ).fetchall():
            owner.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY".encode())


def columns() -> dict[str, dict[str, str]]:
    """All columns of all tables: table -> column -> type."""
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as owner:
        found: dict[str, dict[str, str]] = {}
        for table, column, kind in owner.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " JOIN pg_tables ON schemaname = table_schema AND tablename = table_name"
            " WHERE table_schema = 'public'"
        ):
            found.setdefault(table, {})[column] = kind
    return found


def hits_in_tables() -> list[str]:
    """Every column of every row, whatever its type, as text; bytes as they are."""
    found = []
    with everything() as owner:
        for table, of_table in columns().items():
            for column, kind in of_table.items():
                quoted = f'"{column}"'
                text = f"encode({quoted}, 'escape')" if kind == "bytea" else f"{quoted}::text"
                (number,) = owner.execute(
                    f"SELECT count(*) FROM {table} WHERE {text} LIKE %s".encode(),
                    [f"%{CANARY}%"],
                ).fetchone()
                found += [f"{table}.{column}"] * number
    return sorted(found)


def hits_in_files(*folders: Path) -> list[str]:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if CANARY.encode() in path.read_bytes()]


def hits_in_valkey() -> list[str]:
    client = redis.Redis.from_url(project.REDIS_URL)
    dumps = ((key, client.dump(key) or b"") for key in client.scan_iter(count=1000))
    return [str(key) for key, value in dumps if CANARY.encode() in key + value]


def put_canaries() -> set[str]:
    """Into every free text of every row that is erased; which columns took one."""
    filled = set()
    with everything() as owner:
        owner.execute(  # a version goes with a source and a time
            "UPDATE calls_call"
            " SET consent_source = 'integrator', consent_version = '1', consented_at = now()"
        )
        for table in ERASED:
            for column, kind in columns()[table].items():
                if kind not in TEXTS or column in OURS:
                    continue
                value = {"jsonb": f'{{"was": "{CANARY}"}}'}.get(kind, CANARY)
                change = "%s::bytea" if kind == "bytea" else f"%s::{kind}"
                acme = "tenant_id = (SELECT id FROM tenants_tenant WHERE name = 'Acme')"
                owner.execute(
                    f"UPDATE {table} SET {column} = {change} WHERE {acme}".encode(), [value]
                )
                filled.add(f"{table}.{column}")
    return filled


def test_every_table_is_known_to_the_erasure():
    """A new table is either erased with the call or the rep, or says why it needs not be."""
    tables = set(columns())
    assert tables - set(ERASED) - set(KEPT) == set(), "add it to calls/erasure/stores.py"
    assert {*ERASED, *KEPT} - tables == set(), "no such table any more"
    assert not set(ERASED) & set(KEPT)


def test_no_kept_table_points_at_a_call_or_a_rep():
    """Neither by a foreign key nor by the name of a column."""
    pointing = {"call_id", "rep_id", "subject_id", "external_user_id", "turn_id", "recording_id"}
    found = {
        f"{table}.{column}" for table in KEPT for column in columns()[table] if column in pointing
    }
    assert found == {"calls_erasedcall.call_id", "calls_liveslot.call_id"}
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"]) as owner:
        referring = owner.execute(
            "SELECT DISTINCT conrelid::regclass::text FROM pg_constraint WHERE contype = 'f'"
            " AND confrelid::regclass::text = ANY(%s)",
            [list(ERASED)],
        ).fetchall()
    assert {table for (table,) in referring} <= set(ERASED)


def test_a_canary_in_every_place_is_gone_after_the_erasure(storage, tmp_path, log):
    make_drill()
    acme, stranger = (make_integrator(name, scopes=ALL_SCOPES) for name in ("Acme", "Stranger"))
    call = full_call(acme, REP, agency="chicago")
    full_call(stranger, "rep of a stranger")
    acme.token(REP)
    acme.token(REP)
    with tenant_scope(acme.tenant.pk):
        recording = Path(Recording.objects.get(call=call).file.path)
    for path in (recording, *storage.rglob(f"*/{call.pk}/*")):
        path.write_bytes(f"sound of {CANARY}".encode())
    before = get(stranger, "/calls?from=2020-01-01").json()
    filled = put_canaries()
    with everything() as owner:  # so that the key still finds the rep
        for table, column in (("tenants_rep", "external_id"), ("calls_call", "external_user_id"),
                              ("calls_sessiontoken", "external_user_id")):  # fmt: skip
            owner.execute(
                f"UPDATE {table} SET {column} = %s WHERE {column} = %s".encode(), [REP, CANARY]
            )
    assert set(hits_in_tables()) >= filled - {"calls_sandboxcall.rep_lines"} and len(filled) > 30
    assert len(hits_in_files(tmp_path)) == 3
    get(acme, f"/calls/{call.public_id}")
    get(acme, f"/calls?from=2020-01-01&externalUserId={REP}")

    answer = delete(acme, f"/reps/{REP}")
    drain(Erasure, kind="erase", handle=erasure_carry_out)
    again = delete(acme, f"/reps/{REP}")
    assert delete(stranger, f"/reps/{REP}").status_code == 404
    assert get(acme, f"/erasures/{answer.json()['erasureId']}").json()["status"] == "finished"
    assert again.json()["erasureId"] == answer.json()["erasureId"]

    assert hits_in_tables() == []
    assert hits_in_files(tmp_path) == []
    assert hits_in_valkey() == []
    assert CANARY not in json.dumps(answer.json())
    assert "erasure_finished" in log.getvalue() and CANARY not in log.getvalue()
    assert get(stranger, "/calls?from=2020-01-01").json() == before


def test_the_search_for_canaries_finds_them(storage, tmp_path):
    """Otherwise the test above proves nothing."""
    make_drill()
    acme = make_integrator("Acme")
    full_call(acme, REP)
    cache.set("somewhere", CANARY, 5)
    storage.mkdir(exist_ok=True)
    (storage / "late").write_text(CANARY)
    assert "calls_call.external_user_id" in hits_in_tables()
    assert "webhooks_event.body" in hits_in_tables()
    assert len(hits_in_files(tmp_path)) == 1 and len(hits_in_valkey()) == 1
    cache.delete("somewhere")
