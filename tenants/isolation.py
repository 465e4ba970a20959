"""The one door to a tenant's rows, and the managers that stay shut without it.

Three lines hold: an explicit `for_tenant(...)`, django-scopes (a query outside a scope raises), and
PostgreSQL's row-level security (`tenants/row_security.py`), whose policies call `app_tenant()`, and
`app_agencies()` where who asks is limited to some of the tenant's agencies.
"""

import uuid
from collections.abc import Iterator, Sequence
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
        "axes_accessattempt",  # empty: tries are counted in Valkey
        "axes_accessattemptexpiration",
        "axes_accessfailurelog",
        "axes_accesslog",
        "calls_liveslot",  # names a call by id only
        "calls_liveworker",
        "django_admin_log",  # empty: acts stand in their tenant's audit log
        "django_content_type",
        "django_migrations",
        "django_session",
        "mfa_authenticator",
        "socialaccount_socialaccount",  # which user a provider's subject is, in its own tenant only
        "socialaccount_socialapp",  # empty: providers are rows of tenants
        "socialaccount_socialtoken",
        "tenants_user",
        "tenants_user_groups",
        "tenants_user_user_permissions",
        "usersessions_usersession",
    }
)

Row = TypeVar("Row", bound=models.Model)


class TenantMismatch(RuntimeError):
    """Code that works for one tenant tried to work for another. Always a fault of ours."""


class AgenciesMismatch(RuntimeError):
    """Code that is limited to agencies tried to see others. Always a fault of ours."""


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
def tenant_scope(tenant_id: uuid.UUID, *, agencies: Sequence[uuid.UUID] = ()) -> Iterator[None]:
    """Work for one tenant, in one transaction; with `agencies`, among rows of those only.

    Entering it again for the same tenant makes a savepoint; for another tenant it refuses. A limit
    to agencies is never widened: without `agencies` the limit around it holds on, other agencies
    than those it names are refused. The settings are local to the transaction, so a pooled
    connection carries nothing to its next user.
    """
    around = get_scope()
    current, around_limit = around.get("tenant"), around.get("agencies", ())
    if current is not None and current != tenant_id:
        raise TenantMismatch("A tenant scope is open for another tenant.")
    limit = _narrower(around_limit, agencies)
    nested = connection.in_atomic_block
    with transaction.atomic():
        _set_scope(tenant_id, limit)
        with scope(tenant=tenant_id, agencies=limit):
            yield
        changed = current is None or limit != around_limit
        if nested and changed and not connection.needs_rollback:
            # The transaction goes on without us. On failure the savepoint takes the settings back.
            _set_scope(current, around_limit if current else ())


@contextmanager
def limited_to(agencies: Sequence[uuid.UUID]) -> Iterator[None]:
    """Every `tenant_scope` opened in the block is limited to these agencies; empty: no limit.

    The doors enter it for their caller, so that no view can forget it.
    """
    with scope(agencies=_narrower(get_scope().get("agencies", ()), agencies)):
        yield


@contextmanager
def whole_tenant() -> Iterator[None]:
    """Scopes opened in the block see all agencies, whoever calls.

    Only for what belongs to the tenant as a whole and is not shown to the caller row by row, such
    as the minutes that a quota counts. Refuses inside a limited `tenant_scope`.
    """
    if "tenant" in get_scope() and get_scope().get("agencies"):
        raise AgenciesMismatch("The scope that is open is limited to agencies.")
    with scope(agencies=()):
        yield


def _narrower(limit: Sequence[uuid.UUID], wanted: Sequence[uuid.UUID]) -> tuple[uuid.UUID, ...]:
    if limit and not set(wanted) <= set(limit):
        raise AgenciesMismatch("The scope is limited to other agencies.")
    return tuple(wanted or limit)


def _set_scope(tenant_id: uuid.UUID | None, agencies: Sequence[uuid.UUID]) -> None:
    listed = f"{{{','.join(map(str, agencies))}}}" if agencies else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('app.tenant_id', %s, true), set_config('app.agencies', %s, true)",
            [str(tenant_id or ""), listed],
        )
