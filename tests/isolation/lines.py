"""The three lines between tenants, switched off one by one so that each can be seen to hold alone.

Explicit filters: `for_tenant(...)`, `filter(tenant_id=...)`, the reader's agencies. Scopes: what
managers add by themselves inside `tenant_scope`. Row security: PostgreSQL's policies.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from django.db import connections, models
from django.db.models.query import QuerySet

from tenants.isolation import TenantManager
from tenants.models import Tenant
from tests.isolation.world import tenant_models

FILTERS, SCOPES, ROW_SECURITY = "explicit filters", "scopes", "row security"
EVERY_LINE = (FILTERS, SCOPES, ROW_SECURITY)
_TENANT = {"tenant", "tenant_id", "tenant__in", "tenant_id__in", "drill_owner_id"}
_AGENCIES = {"agency__in", "agency_id__in"}
_plain_filter = QuerySet._filter_or_exclude_inplace
_plain_get_queryset = TenantManager.get_queryset
_plain_with_catalogue = TenantManager.with_catalogue


@contextmanager
def standing(*lines: str) -> Iterator[None]:
    """Only these lines stand in the block. Needs no transaction to be open."""
    with ExitStack() as off:
        if ROW_SECURITY not in lines:
            off.enter_context(_no_row_security())
        if SCOPES not in lines:
            off.enter_context(patch.object(TenantManager, "get_queryset", _unscoped))
        else:
            off.enter_context(patch.object(TenantManager, "get_queryset", _scoped))
            off.enter_context(patch.object(TenantManager, "with_catalogue", _catalogued))
        if FILTERS not in lines:
            off.enter_context(patch.object(QuerySet, "_filter_or_exclude_inplace", _unfiltered))
        yield


def _unscoped(self: TenantManager) -> QuerySet:
    return models.Manager.get_queryset(self)


def _scoped(self: TenantManager) -> QuerySet:
    """The real one, whose own filter is no explicit one."""
    with patch.object(QuerySet, "_filter_or_exclude_inplace", _plain_filter):
        return _plain_get_queryset(self)


def _catalogued(self: TenantManager) -> QuerySet:
    with patch.object(QuerySet, "_filter_or_exclude_inplace", _plain_filter):
        return _plain_with_catalogue(self)


def _unfiltered(self: QuerySet, negate: bool, args: tuple, kwargs: dict) -> None:
    ours = _TENANT | _AGENCIES | ({"pk", "id"} if self.model is Tenant else set())
    kept = {name: value for name, value in kwargs.items() if name not in ours}
    if kept or args:
        _plain_filter(self, negate, args, kept)


@contextmanager
def _no_row_security() -> Iterator[None]:
    tables = [model._meta.db_table for model in tenant_models()]
    _as_owner(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY" for table in tables)
    try:
        yield
    finally:
        _as_owner(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY" for table in tables)


def _as_owner(statements: Iterator[str]) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("SET lock_timeout = '10s'")
        for statement in statements:
            cursor.execute(statement)
    connections["owner"].close()
