"""A table for the probe, and tenants that own its rows."""

import uuid
from collections.abc import Iterator

import pytest
from django.db import connections

from tenants.isolation import tenant_scope
from tenants.models import Tenant
from tenants.row_security import definer_may_read, tenant_table
from work.sql import due_functions
from work.tests.probe import Probe

OPERATIONS = [
    *tenant_table("work_probe"),
    definer_may_read("work_probe"),
    *due_functions(kind="probe", table="work_probe", where="true"),
]


@pytest.fixture(scope="package")
def probe_table(django_db_setup, django_db_blocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        with connections["owner"].schema_editor() as editor:
            editor.create_model(Probe)
        _as_owner([operation.sql for operation in OPERATIONS])
        yield
        undo = [operation.reverse_sql for operation in reversed(OPERATIONS)]
        _as_owner([*undo, "DROP TABLE work_probe"])


def _as_owner(statements: list[str]) -> None:
    with connections["owner"].cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connections["owner"].close()


def tenant_make() -> uuid.UUID:
    tenant_id = uuid.uuid4()
    with tenant_scope(tenant_id):
        Tenant.objects.create(id=tenant_id, name="Probe")
    return tenant_id


@pytest.fixture
def tenant(probe_table, db) -> uuid.UUID:
    return tenant_make()


@pytest.fixture
def stranger(probe_table, db) -> uuid.UUID:
    return tenant_make()
