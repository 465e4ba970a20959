"""The one door to a tenant's rows: what it lets through, and what it refuses."""

import contextlib
import threading
import uuid

import pytest
from django.db import IntegrityError, ProgrammingError, connection, transaction
from django_scopes import ScopeError, get_scope, scopes_disabled

from tenants.isolation import (
    CATALOGUE,
    AgenciesMismatch,
    TenantMismatch,
    limited_to,
    tenant_scope,
    whole_tenant,
)
from tenants.models import Agency, ApiKey, AuditEvent, Rep, Tenant


def make_tenant(name: str = "Acme") -> Tenant:
    tenant_id = uuid.uuid4()
    with tenant_scope(tenant_id):
        return Tenant.objects.create(id=tenant_id, name=name)


def make_agency(tenant: Tenant, name: str = "chicago") -> Agency:
    with tenant_scope(tenant.pk):
        return Agency.objects.create(tenant=tenant, external_id=name)


def sql(statement: str, *values: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def setting() -> str:
    return sql("SELECT coalesce(current_setting('app.tenant_id', true), '')")[0][0]


@pytest.fixture
def acme(db):
    return make_tenant("Acme")


@pytest.fixture
def stranger(db):
    return make_tenant("Stranger")


@pytest.mark.django_db
@pytest.mark.parametrize("model", [Tenant, Agency, Rep, ApiKey, AuditEvent])
@pytest.mark.parametrize("act", ["all", "count", "first", "delete", "for_tenant"])
def test_a_query_outside_a_scope_raises(model, act):
    with pytest.raises(ScopeError):
        if act == "for_tenant":
            model.objects.for_tenant(uuid.uuid4())
        elif act == "all":
            list(model.objects.all())
        else:
            getattr(model.objects.get_queryset(), act)()


@pytest.mark.django_db
def test_raw_sql_without_a_tenant_raises_even_on_an_empty_table():
    with pytest.raises(ProgrammingError, match="No tenant in scope"):
        sql("SELECT count(*) FROM tenants_agency")


def test_each_tenant_sees_its_own_rows_only(acme, stranger):
    make_agency(acme, "chicago")
    make_agency(stranger, "boston")
    with tenant_scope(acme.pk):
        assert [a.external_id for a in Agency.objects.all()] == ["chicago"]
        assert not Agency.objects.for_tenant(stranger).exists()
        assert list(Tenant.objects.all()) == [acme]


def test_row_security_alone_holds_when_every_filter_is_gone(acme, stranger):
    make_agency(acme, "chicago")
    theirs = make_agency(stranger, "boston")
    with tenant_scope(acme.pk), scopes_disabled():
        assert [a.external_id for a in Agency.objects.all()] == ["chicago"]
        assert sql("SELECT external_id FROM tenants_agency") == [("chicago",)]
        assert sql("SELECT name FROM tenants_tenant") == [("Acme",)]
        assert sql("UPDATE tenants_agency SET name = 'x' RETURNING external_id") == [("chicago",)]
        assert sql("DELETE FROM tenants_agency WHERE id = %s RETURNING id", theirs.pk) == []
    with tenant_scope(stranger.pk):
        assert Agency.objects.get().name == ""


def test_a_row_cannot_be_written_into_another_tenant(acme, stranger):
    mine = make_agency(acme)
    with tenant_scope(acme.pk):
        for write in (
            lambda: Agency.objects.create(tenant=stranger, external_id="x"),
            lambda: Agency.objects.filter(pk=mine.pk).update(tenant=stranger),
        ):
            with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
                write()


def test_a_row_cannot_point_at_another_tenants_row(acme, stranger):
    theirs = make_agency(stranger)
    with pytest.raises(IntegrityError), tenant_scope(acme.pk):
        Rep.objects.create(tenant=acme, external_id="r", agency_id=theirs.pk)
        sql("SET CONSTRAINTS ALL IMMEDIATE")


def test_another_tenants_scope_inside_a_scope_is_refused(acme, stranger):
    with tenant_scope(acme.pk):
        with pytest.raises(TenantMismatch), tenant_scope(stranger.pk):
            pass
        assert setting() == str(acme.pk)


def test_the_same_tenant_may_enter_again(acme):
    with tenant_scope(acme.pk):
        with tenant_scope(acme.pk):
            make_agency(acme)
        assert Agency.objects.count() == 1
    assert setting() == ""


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_stays_behind_inside_an_outer_transaction(acme, fails):
    def work():
        with tenant_scope(acme.pk):
            if fails:
                raise KeyError("on purpose")

    with transaction.atomic():
        if fails:
            with pytest.raises(KeyError):
                work()
        else:
            work()
        assert setting() == ""
        assert "tenant" not in get_scope()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [None, KeyError, ProgrammingError])
def test_a_pooled_connection_carries_nothing_to_its_next_user(error):
    tenant = make_tenant()
    try:
        with tenant_scope(tenant.pk):
            if error is KeyError:
                raise KeyError
            if error is ProgrammingError:
                sql("SELECT nonsense")
    except (KeyError, ProgrammingError):
        pass
    connection.close()  # back to the pool
    assert setting() == ""
    with pytest.raises(ProgrammingError, match="No tenant in scope"):
        sql("SELECT count(*) FROM tenants_agency")


@pytest.mark.django_db(transaction=True)
def test_tenants_at_work_at_once_never_mix():
    """24 threads on a pool of 8 connections, a third of the works fails: no foreign row is seen."""
    tenants = [make_tenant(f"T{n}") for n in range(4)]
    for tenant in tenants:
        make_agency(tenant, str(tenant.pk))
    connection.close()
    wrong: list[object] = []

    def work(number: int) -> None:
        for turn in range(12):
            tenant = tenants[(number + turn) % 4]
            try:
                with tenant_scope(tenant.pk):
                    seen = sql("SELECT external_id FROM tenants_agency")
                    if seen != [(str(tenant.pk),)]:
                        wrong.append(seen)
                    if turn % 3 == 0:
                        raise KeyError
            except KeyError:
                pass
            except Exception as error:  # the main thread must hear of it
                wrong.append(error)
            finally:
                connection.close()

    threads = [threading.Thread(target=work, args=(n,)) for n in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert not any(thread.is_alive() for thread in threads)
    # a slow machine may refuse a connection within the pool's second; a wrong row never comes
    assert [w for w in wrong if "couldn't get a connection" not in str(w)] == []


@pytest.mark.django_db(transaction=True)
def test_a_thread_that_inherits_the_scope_still_has_no_tenant():
    """asgiref copies context variables into its threads, but not the connection's setting."""
    import contextvars

    tenant = make_tenant()
    found: list[str] = []

    def work() -> None:
        try:
            Agency.objects.count()
        except ProgrammingError as error:
            found.append(str(error))
        finally:
            connection.close()

    with tenant_scope(tenant.pk):
        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
        thread.start()
        thread.join(timeout=10)
    assert "No tenant in scope" in found[0]


def test_audit_events_are_added_and_never_changed(acme):
    with tenant_scope(acme.pk):
        event = AuditEvent.objects.create(tenant=acme, actor="system", action="tenant.create")
        for change in (
            lambda: AuditEvent.objects.filter(pk=event.pk).update(actor="x"),
            lambda: AuditEvent.objects.filter(pk=event.pk).delete(),
            lambda: sql("TRUNCATE tenants_auditevent"),
        ):
            with pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
                change()
        assert AuditEvent.objects.get().actor == "system"


def test_the_catalogue_tenant_itself_is_not_shown_to_others(acme):
    with tenant_scope(acme.pk), scopes_disabled():
        assert not Tenant.objects.filter(pk=CATALOGUE).exists()


def test_an_error_that_was_swallowed_inside_undoes_the_scope_quietly(acme):
    with transaction.atomic():
        with tenant_scope(acme.pk):
            make_agency(acme)
            with contextlib.suppress(IntegrityError):
                Agency.objects.create(tenant=acme, external_id="chicago")  # there already
        assert setting() == ""
        with tenant_scope(acme.pk):
            assert Agency.objects.count() == 0


# --- agencies ------------------------------------------------------------------------------------


@pytest.fixture
def two_agencies(acme):
    return make_agency(acme, "chicago"), make_agency(acme, "boston")


def agencies_seen() -> list[str]:
    return [name for (name,) in sql("SELECT external_id FROM tenants_agency ORDER BY external_id")]


def test_a_limited_scope_shows_rows_of_its_agencies_only(acme, stranger, two_agencies):
    make_agency(stranger, "denver")
    chicago, boston = two_agencies
    with tenant_scope(acme.pk, agencies=[chicago.pk]):
        assert agencies_seen() == ["chicago"]
        assert sql("UPDATE tenants_agency SET name = 'x' RETURNING external_id") == [("chicago",)]
        assert sql("DELETE FROM tenants_agency WHERE id = %s RETURNING id", boston.pk) == []
    with tenant_scope(acme.pk, agencies=[chicago.pk, boston.pk]):
        assert agencies_seen() == ["boston", "chicago"]
    with tenant_scope(acme.pk):
        assert agencies_seen() == ["boston", "chicago"]


def test_a_limited_scope_takes_no_row_of_another_agency(acme, two_agencies):
    chicago, boston = two_agencies
    with tenant_scope(acme.pk, agencies=[chicago.pk]):
        Rep.objects.create(tenant=acme, external_id="r", agency=chicago)
        for agency in (boston, None):
            with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
                Rep.objects.create(tenant=acme, external_id="s", agency=agency)


def test_a_limit_reaches_every_scope_inside_and_is_never_widened(acme, two_agencies):
    chicago, boston = two_agencies
    with tenant_scope(acme.pk, agencies=[chicago.pk]):
        with tenant_scope(acme.pk):
            assert agencies_seen() == ["chicago"]
        with pytest.raises(AgenciesMismatch), tenant_scope(acme.pk, agencies=[boston.pk]):
            pass
        with pytest.raises(AgenciesMismatch), whole_tenant():
            pass
    with limited_to([chicago.pk]):
        with tenant_scope(acme.pk):
            assert agencies_seen() == ["chicago"]
        with whole_tenant(), tenant_scope(acme.pk):
            assert agencies_seen() == ["boston", "chicago"]


@pytest.mark.parametrize("fails", [False, True])
def test_a_narrower_scope_gives_the_wider_one_back(acme, two_agencies, fails):
    chicago, _ = two_agencies
    with tenant_scope(acme.pk):
        with contextlib.suppress(KeyError), tenant_scope(acme.pk, agencies=[chicago.pk]):
            if fails:
                raise KeyError("on purpose")
        assert agencies_seen() == ["boston", "chicago"]
    with transaction.atomic():
        with contextlib.suppress(KeyError), tenant_scope(acme.pk, agencies=[chicago.pk]):
            if fails:
                raise KeyError("on purpose")
        assert sql("SELECT coalesce(current_setting('app.agencies', true), '')") == [("",)]
