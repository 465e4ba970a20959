"""The audit log, read by people: who did what, the newest first."""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Q

from tenants.errors import InvalidRequest
from tenants.isolation import tenant_scope
from tenants.models import AuditEvent, User
from tenants.sealing import SealBroken, seal, unseal

PAGE = 50
ACTIONS_MOST = 100
_PURPOSE = "audit-cursor"
_OURS = {"system": "Athos itself", "staff": "Athos support"}
# The next action after the one before, by the index: the log itself is not read through.
_ACTIONS = """
    WITH RECURSIVE found AS (
        (SELECT action FROM tenants_auditevent WHERE tenant_id = %(tenant)s ORDER BY action LIMIT 1)
        UNION ALL
        SELECT (
            SELECT next.action FROM tenants_auditevent AS next
            WHERE next.tenant_id = %(tenant)s AND next.action > found.action
            ORDER BY next.action LIMIT 1
        ) FROM found WHERE found.action IS NOT NULL
    )
    SELECT action FROM found WHERE action IS NOT NULL LIMIT %(most)s
"""


@dataclass(frozen=True, slots=True)
class Entry:
    at: datetime
    actor: str  # as people know them
    action: str
    target: str
    details: str


@dataclass(frozen=True, slots=True)
class Log:
    entries: tuple[Entry, ...]
    older: str  # a cursor; empty: there are none


def audit_page_of(
    *, tenant_id: uuid.UUID, actor: str = "", action: str = "", cursor: str = ""
) -> Log:
    """One page. `actor` is an e-mail address, or the log's own word such as `system`."""
    with tenant_scope(tenant_id):
        rows = AuditEvent.objects.for_tenant(tenant_id)
        if actor:
            rows = rows.filter(actor=_actor_named(actor))
        if action:
            rows = rows.filter(action=action)
        if cursor:
            at, pk = _opened(cursor)
            rows = rows.filter(Q(at__lt=at) | Q(at=at, pk__lt=pk), at__lte=at)
        found = list(rows.order_by("-at", "-pk")[: PAGE + 1])
    people = _people(found)
    shown = found[:PAGE]
    entries = tuple(
        Entry(
            at=row.at,
            actor=_shown(row.actor, people),
            action=row.action,
            target=_shown(row.target, people),
            details=_details(row.details),
        )
        for row in shown
    )
    return Log(entries, _cursor(shown[-1]) if len(found) > PAGE else "")


def audit_actions(*, tenant_id: uuid.UUID) -> list[str]:
    """All actions that the log knows, in order."""
    with tenant_scope(tenant_id), connection.cursor() as cursor:
        cursor.execute(_ACTIONS, {"tenant": tenant_id, "most": ACTIONS_MOST})
        return [action for (action,) in cursor.fetchall()]


def _actor_named(text: str) -> str:
    if "@" not in text:
        return text
    person = User.objects.filter(email__iexact=text).values_list("pk", flat=True).first()
    return f"user:{person}"


def _people(rows: list[AuditEvent]) -> dict[str, str]:
    """Addresses of the people who did something, or to whom it was done."""
    names = {name for row in rows for name in (row.actor, row.target) if name.startswith("user:")}
    ids = [name.removeprefix("user:") for name in names]
    known = User.objects.filter(pk__in=[i for i in ids if _is_uuid(i)])
    return {f"user:{pk}": email for pk, email in known.values_list("pk", "email")}


def _shown(name: str, people: dict[str, str]) -> str:
    """What people may read of an actor or a target: ids of ours stay inside."""
    kind, _, value = name.partition(":")
    if kind in _OURS:
        return _OURS[kind]
    if name in people:
        return people[name]
    if kind == "user":
        return "a person who is gone"
    return kind if not value or _is_uuid(value) else f"{kind} {value}"


def _details(details: dict[str, object]) -> str:
    def said(value: object) -> str:
        if isinstance(value, dict):
            return ", ".join(f"{name}: {said(part)}" for name, part in value.items())
        if isinstance(value, list):
            return ", ".join(map(said, value))
        return "—" if value is None else str(value)

    return "; ".join(f"{name} {said(value)}" for name, value in details.items())


def _cursor(row: AuditEvent) -> str:
    return seal(json.dumps([row.at.isoformat(), str(row.pk)]).encode(), purpose=_PURPOSE)


def _opened(cursor: str) -> tuple[datetime, uuid.UUID]:
    try:
        at, pk = json.loads(unseal(cursor, purpose=_PURPOSE))
    except SealBroken as odd:
        raise InvalidRequest("This page of the log is not known.") from odd
    return datetime.fromisoformat(at), uuid.UUID(pk)


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
