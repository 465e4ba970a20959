"""The one door to a tenant's rows, and the managers that stay shut without it.

Three lines hold: an explicit `for_tenant(...)`, django-scopes (a query outside a scope raises), and
PostgreSQL's row-level security (`tenants/row_security.py`), whose policies call `app_tenant()`.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from django.db import connection, models, transaction
from django_scopes import get_scope, scope
from django_scopes.manager import DisabledQuerySet

# The shared tenant that owns the shipped drills. Its drills may be read by all, written by none.
CATALOGUE = uuid.UUID("00000000-0000-4000-8000-00000000a705")

# Tables that belong to no tenant. The catalogue test fails on any other without row security.
TABLES_WITHOUT_TENANT = frozenset(
    {
        "account_emailaddress",
        "account_emailconfirmation",
        "auth_group",
        "auth_group_permissions",
        "auth_permission",
        "calls_liveslot",  # names a call by id only
        "calls_liveworker",
        "django_content_type",
        "django_migrations",
        "django_session",
        "tenants_user",
        "tenants_user_groups",
        "tenants_user_user_permissions",
    }
)

Row = TypeVar("Row", bound=models.Model)


class TenantMismatch(RuntimeError):
    """Code that works for one tenant tried to work for another. Always a fault of ours."""


class TenantManager(models.Manager[Row]):
    """The rows of the tenant in scope. Any query outside `tenant_scope` raises ScopeError.

    The managers of django-scopes are made by a function that types cannot follow; this is the same
    in the form of a class.
    """

    tenant_field = "tenant_id"

    def get_queryset(self) -> models.QuerySet[Row]:
        scoped = get_scope()
        if not scoped.get("_enabled", True):
            return super().get_queryset()
        if "tenant" not in scoped:
            refusing: Any = DisabledQuerySet(self.model, using=self._db, missing_scopes={"tenant"})
            return cast(models.QuerySet[Row], refusing)
        return super().get_queryset().filter(**{self.tenant_field: scoped["tenant"]})

    def all(self) -> models.QuerySet[Row]:
        return self.get_queryset().all()

    def for_tenant(self, tenant: models.Model | uuid.UUID) -> models.QuerySet[Row]:
        """Where each read for a person starts."""
        tenant_id = tenant if isinstance(tenant, uuid.UUID) else tenant.pk
        return self.get_queryset().filter(**{self.tenant_field: tenant_id})

    def with_catalogue(self) -> models.QuerySet[Row]:
        """The rows of the tenant in scope and of the catalogue, for tables that share it."""
        self.get_queryset().all()  # refuses outside a scope
        both = [get_scope().get("tenant"), CATALOGUE]
        return super().get_queryset().filter(**{f"{self.tenant_field}__in": both})


class TenantItselfManager(TenantManager[Row]):
    """For the table of tenants, whose rows name their tenant by their own id."""

    tenant_field = "id"


@contextmanager
def tenant_scope(tenant_id: uuid.UUID) -> Iterator[None]:
    """Work for one tenant, in one transaction.

    Entering it again for the same tenant makes a savepoint; for another tenant it refuses. The
    setting is local to the transaction, so a pooled connection carries nothing to its next user.
    """
    current = get_scope().get("tenant")
    if current is not None and current != tenant_id:
        raise TenantMismatch("A tenant scope is open for another tenant.")
    nested = connection.in_atomic_block
    with transaction.atomic():
        _set_tenant(str(tenant_id))
        with scope(tenant=tenant_id):
            yield
        if nested and current is None and not connection.needs_rollback:
            # The transaction goes on without us. On failure the savepoint takes the setting back.
            _set_tenant("")


def _set_tenant(value: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant_id', %s, true)", [value])
