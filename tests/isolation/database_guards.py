"""What PostgreSQL itself must refuse, table by table, and its guards taken away one by one."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import DatabaseError, connection, connections, transaction

from tenants.isolation import tenant_scope
from tests.isolation.world import Side, World, tenant_models

# A copy of a row needs new values where the old ones are taken.
_NEW_TEXTS = {
    *("public_id", "session_id", "digest", "subject_digest", "external_id", "check_key"),
}
_NEW_IDS = {"id", "jti", "subject_id"}


def _rows(statement: str, *values: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def _column(table: str) -> str:
    return "id" if table == "tenants_tenant" else "tenant_id"


def _count(table: str, where: str = "true", *values: object) -> int:
    return _rows(f"SELECT count(*) FROM {table} WHERE {where}", *values)[0][0]


def _refusal(statement: str, *values: object) -> str:
    """The SQLSTATE or the violated constraint; empty when it went through. Taken back."""
    try:
        with transaction.atomic():
            _rows(statement, *values)
            _rows("SET CONSTRAINTS ALL IMMEDIATE")
            transaction.set_rollback(True)
    except DatabaseError as error:
        cause = error.__cause__
        return cause.diag.constraint_name or cause.sqlstate  # type: ignore[union-attr]
    return ""


def _copy(table: str, side: Side, **changed: object) -> tuple[str, list[object]]:
    """An INSERT of a row like one of the side's."""
    columns = {
        name
        for (name,) in _rows(
            "SELECT column_name FROM information_schema.columns WHERE table_name = %s", table
        )
    }
    ids = _NEW_IDS | ({"call_id"} if table == "calls_erasedcall" else set())
    fresh = {name: str(uuid.uuid4()) for name in columns & ids}
    fresh |= {name: uuid.uuid4().hex[:30] for name in columns & _NEW_TEXTS}
    fresh |= {"version": "900"} if "version" in columns else {}  # the next one
    if table == "calls_assignee":  # a rep has an assignment once
        fresh["assignment_id"] = side.spare_assignment
    values = json.dumps(fresh | {name: str(value) for name, value in changed.items()})
    statement = (
        f"INSERT INTO {table} SELECT (jsonb_populate_record(t, %s::jsonb)).* FROM {table} AS t"
        f" WHERE {_column(table)} = %s LIMIT 1"
    )
    return statement, [values, side.tenant.pk]


def table_problems(world: World, table: str) -> list[str]:
    """In A's scope: A's rows are there, B's are not, and none can be given to B."""
    a, b, column = world.a, world.b, _column(table)
    found = []
    with tenant_scope(a.tenant.pk):
        if not _count(table, f"{column} = %s", a.tenant.pk):
            found.append("the own rows are hidden")
        if _count(table, f"{column} = %s", b.tenant.pk):
            found.append("a stranger's rows are shown")
        changed = f"UPDATE {table} SET {column} = {column} WHERE {column} = %s RETURNING 1"
        taken = f"DELETE FROM {table} WHERE {column} = %s RETURNING 1"
        for statement in (changed, taken):
            with transaction.atomic():
                try:
                    with transaction.atomic():
                        if _rows(statement, b.tenant.pk):
                            found.append("a stranger's rows can be written")
                except DatabaseError:
                    pass  # the privilege is missing
                transaction.set_rollback(True)
        given = {column: b.tenant.pk} if column == "tenant_id" else {"id": b.tenant.pk}
        statement, values = _copy(table, a, **given)
        if _refusal(statement, *values) != "42501":
            found.append("a row can be written into another tenant")
    return [f"{table}: {problem}" for problem in found]


def agency_problems(world: World, table: str) -> list[str]:
    """In a scope of one agency fewer rows are seen, and other agencies' can't be written."""
    agency = world.a.calls["one"].agency_id
    with tenant_scope(world.a.tenant.pk):
        everything = _count(table)
    with tenant_scope(world.a.tenant.pk, agencies=[agency]):
        if _count(table) < everything:
            return []
    return [f"{table}: another agency's rows are shown"]


def references() -> list[tuple[str, str, str, str]]:
    """(table, constraint, column, parent) of the references that name the tenant too."""
    return _rows(
        """
        SELECT con.conrelid::regclass::text, con.conname, att.attname, con.confrelid::regclass::text
        FROM pg_constraint AS con
        JOIN pg_attribute AS att ON att.attrelid = con.conrelid AND att.attnum = con.conkey[2]
        WHERE con.contype = 'f' AND cardinality(con.conkey) = 2
        ORDER BY 1, 2
        """
    )  # type: ignore[return-value]


def reference_problems(world: World, table: str, name: str, column: str, parent: str) -> list[str]:
    """A row of A cannot point at a row of B."""
    b = world.b
    with tenant_scope(b.tenant.pk):
        ((theirs,),) = _rows(f"SELECT id FROM {parent} WHERE tenant_id = %s LIMIT 1", b.tenant.pk)
    if parent == "calls_call":
        theirs = b.open_call.pk  # type: ignore[union-attr]
    with tenant_scope(world.a.tenant.pk):
        statement, values = _copy(table, world.a, **{column: theirs})
        refused = _refusal(statement, *values)
    return [] if refused == name else [f"{table}.{column} takes a stranger's row: {refused!r}"]


# --- taken away ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class DatabaseGuard:
    """A guard that lies in the database: how it is taken away and put back."""

    name: str
    kind: str  # of the behaviour that must show it: table, agency, reference, none
    subject: tuple[str, ...]
    away: str
    back: str

    @contextmanager
    def gone(self) -> Iterator[None]:
        _as_owner(self.away)
        try:
            yield
        finally:
            _as_owner(self.back)


def _as_owner(statement: str) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SET lock_timeout = '10s'")
        cursor.execute(statement)
    connections["owner"].close()


def database_guards() -> list[DatabaseGuard]:
    found = []
    for model in tenant_models():
        table = model._meta.db_table
        change = f"ALTER TABLE {table}"
        for what, back in (("DISABLE", "ENABLE"), ("NO FORCE", "FORCE")):
            kind = "table" if what == "DISABLE" else "none"  # the owner serves nobody
            found.append(
                DatabaseGuard(
                    f"{table}: {what}",
                    kind,
                    (table,),
                    f"{change} {what} ROW LEVEL SECURITY",
                    f"{change} {back} ROW LEVEL SECURITY",
                )
            )
    for table, policy, permissive, roles, command, using, check in _rows(
        "SELECT tablename, policyname, permissive, array_to_string(roles, ', '), cmd, qual,"
        " with_check FROM pg_policies WHERE schemaname = 'public' AND policyname IN"
        " ('own_rows', 'own_agencies') ORDER BY 1, 2"
    ):
        kind = "table" if policy == "own_rows" else "agency"
        make = f"CREATE POLICY {policy} ON {table} AS {permissive} FOR {command} TO {roles}"
        away = f"DROP POLICY {policy} ON {table};"
        back = f"{away} {make} USING ({using}) WITH CHECK ({check})"
        found.append(
            DatabaseGuard(f"{table}.{policy}", kind, (table,), away, back.removeprefix(away))
        )
        if kind == "table":
            for what, weak in (
                ("reads", f"USING (true) WITH CHECK ({check})"),
                ("writes", f"USING ({using}) WITH CHECK (true)"),
            ):
                weakened = f"{away} {make} {weak}"
                found.append(
                    DatabaseGuard(f"{table}.{policy} {what}", kind, (table,), weakened, back)
                )
    for table, constraint, column, parent in references():
        ((text,),) = _rows(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s", constraint
        )
        change = f"ALTER TABLE {table}"
        # checking what is there would need row security lifted; nothing was written meanwhile
        back = f"{change} ADD CONSTRAINT {constraint} {text} NOT VALID"
        found.append(
            DatabaseGuard(
                constraint,
                "reference",
                (table, constraint, column, parent),
                f"{change} DROP CONSTRAINT {constraint}",
                back,
            )
        )
    return found


def behaviour(world: World, guard: DatabaseGuard) -> list[str]:
    """What is seen to go wrong, without a look at the catalogue."""
    match guard.kind:
        case "table":
            return table_problems(world, *guard.subject)
        case "agency":
            return agency_problems(world, *guard.subject)
        case "reference":
            return reference_problems(world, *guard.subject)
        case _:
            return []
