"""Walks the database's own catalogue: a table that forgets its tenant's lock fails here."""

import pytest
from django.apps import apps
from django.db import connection, models

from tenants.isolation import TABLES_WITHOUT_TENANT, TenantManager
from tenants.models import TenantRow

pytestmark = pytest.mark.django_db

SHARED_TABLES = {"calls_drill", "scoring_rubric"}  # the catalogue's rows may be read by all
# What belongs to the tenant as a whole; every other table is limited to the agencies of a scope.
OF_ALL_AGENCIES = SHARED_TABLES | {
    "calls_provider",
    "tenants_apikey",
    "tenants_apirequest",
    "tenants_auditevent",
    "tenants_branding",
    "tenants_consenttext",
    "tenants_idempotentanswer",
    "tenants_invitation",  # the team's, which nobody changes whom agencies limit
    "tenants_membership",
    "tenants_singlesignon",
    "tenants_tenant",
    "webhooks_endpoint",
    "webhooks_endpointnotice",
}
SHARED_OWNERS = {"drill": "drill_owner_id", "rubric": "rubric_owner_id"}


def rows(statement: str, *values: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchall()


def tables() -> dict[str, tuple[bool, bool, str]]:
    found = rows(
        "SELECT relname, relrowsecurity, relforcerowsecurity, relowner::regrole::text"
        " FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    )
    return {name: (enabled, forced, owner) for name, enabled, forced, owner in found}


def tenant_tables() -> list[str]:
    return sorted(set(tables()) - TABLES_WITHOUT_TENANT)


def tenant_column(table: str) -> str:
    return "id" if table == "tenants_tenant" else "tenant_id"


def test_the_list_of_tables_without_tenant_names_tables_that_exist():
    assert set(tables()) >= TABLES_WITHOUT_TENANT


def test_every_other_table_has_a_tenant_that_is_never_null():
    columns = set(
        rows(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND is_nullable = 'NO' AND data_type = 'uuid'"
        )
    )
    assert [t for t in tenant_tables() if (t, tenant_column(t)) not in columns] == []


def test_row_security_is_on_and_forced():
    locks = tables()
    assert [t for t in tenant_tables() if locks[t][:2] != (True, True)] == []


def test_every_policy_reads_and_writes_the_own_tenant_only():
    policies: dict[str, list[tuple]] = {}
    for table, *policy in rows(
        "SELECT tablename, policyname, permissive, roles::text[], cmd, qual, with_check"
        " FROM pg_policies WHERE schemaname = 'public'"
    ):
        policies.setdefault(table, []).append(tuple(policy))
    assert set(policies) == set(tenant_tables())
    for table, found in policies.items():
        own = f"({tenant_column(table)} = app_tenant())"
        for_app = [p for p in found if "athos_app" in p[2] or "public" in p[2]]
        for_app = [p for p in for_app if p[0] != "own_agencies"]
        others = [p for p in for_app if p[0] != "own_rows"]
        (main,) = [p for p in for_app if p[0] == "own_rows"]
        assert main[1] == "PERMISSIVE", table
        assert main[3:] == ("ALL", own, own), table
        expected = ["catalogue_rows"] if table in SHARED_TABLES else []
        assert [p[0] for p in others] == expected, table
        assert all(p[3] == "SELECT" for p in others), table
        for name, _, roles, command, *_ in found:
            if name not in {"own_rows", "catalogue_rows", "own_agencies"}:
                assert (roles, command) == (["athos_definer"], "SELECT"), (table, name)


def test_every_table_is_limited_to_agencies_or_declared_to_belong_to_all():
    limits = {
        table: policy
        for table, *policy in rows(
            "SELECT tablename, permissive, cmd, roles::text[], qual, with_check FROM pg_policies"
            " WHERE schemaname = 'public' AND policyname = 'own_agencies'"
        )
    }
    assert set(limits) == set(tenant_tables()) - OF_ALL_AGENCIES
    off = "(COALESCE(current_setting('app.agencies'::text, true), ''::text) = ''::text)"
    for table, (permissive, command, roles, qual, check) in limits.items():
        assert (permissive, command, qual) == ("RESTRICTIVE", "ALL", check), table
        assert set(roles) == {"athos_app", "athos_owner"}, table
        assert " ".join(qual.split()).startswith(f"CASE WHEN {off} THEN true ELSE "), table


def test_every_reference_between_tenants_rows_names_the_tenant_too():
    """Row security does not look at foreign keys: a plain one would take a stranger's row."""
    real = set(
        rows(
            """
            SELECT con.conrelid::regclass::text, con.confrelid::regclass::text, ARRAY(
                SELECT att.attname::text FROM unnest(con.conkey) WITH ORDINALITY AS k(num, place)
                JOIN pg_attribute AS att ON att.attrelid = con.conrelid AND att.attnum = k.num
                ORDER BY k.place
            )::text
            FROM pg_constraint AS con WHERE con.contype = 'f' AND con.convalidated
            """
        )
    )
    missing = []
    for model in apps.get_models():
        for field in model._meta.local_fields:
            if not isinstance(field, models.ForeignKey):
                continue
            parent = field.related_model
            inside = issubclass(model, TenantRow) and issubclass(parent, TenantRow)
            owner = SHARED_OWNERS.get(field.name, "tenant_id")
            columns = f"{{{owner},{field.column}}}" if inside else f"{{{field.column}}}"
            if (model._meta.db_table, parent._meta.db_table, columns) not in real:
                missing.append((model._meta.db_table, field.column))
    assert missing == []


def test_every_model_with_a_tenant_has_the_manager_that_needs_a_scope():
    odd = [
        model
        for model in apps.get_models()
        if model._meta.db_table not in TABLES_WITHOUT_TENANT
        and not isinstance(model._default_manager, TenantManager)
    ]
    assert odd == []


def test_every_unique_rule_that_a_tenant_fills_names_the_tenant():
    """Else a refusal tells one tenant what another has. Random values may stand alone."""
    random_values = {"digest", "public_id", "session_id", "jti", "call_id", "id"}
    found = rows(
        """
        SELECT index.indrelid::regclass::text, ARRAY(
            SELECT att.attname::text FROM pg_attribute AS att
            WHERE att.attrelid = index.indrelid AND att.attnum = ANY (index.indkey)
        ) FROM pg_index AS index JOIN pg_class AS c ON c.oid = index.indrelid
        WHERE index.indisunique AND c.relnamespace = 'public'::regnamespace
        """
    )
    odd = [
        (table, columns)
        for table, columns in found
        if table in tenant_tables() and "tenant_id" not in columns
        if not set(columns) & random_values
    ]
    assert odd == []


def test_the_serving_role_has_no_way_around():
    ((user, superuser, bypass, creates),) = rows(
        "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole FROM pg_roles"
        " WHERE rolname = current_user"
    )
    assert (user, superuser, bypass, creates) == ("athos_app", False, False, False)
    assert (
        rows("SELECT roleid::regrole::text FROM pg_auth_members WHERE member = %s::regrole", user)
        == []
    )
    assert {owner for *_, owner in tables().values()} == {"athos_owner"}


def test_definer_functions_are_few_fixed_and_owned_by_a_role_that_cannot_log_in():
    found = rows(
        """
        SELECT proname, proowner::regrole::text, proconfig::text, proacl::text
        FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace
        """
    )
    named = (
        *("calls_said", "calls_saying", "erasures_export", "invitation_find", "key_lookup"),
        *("keys_by_pepper", "memberships_of", "single_sign_on_find", "tenants_listed"),
    )
    generated = ("due_", "parked_", "counts_")
    assert {name for name, *_ in found} >= set(named)
    for name, owner, config, privileges in found:
        assert name in named or name.startswith(generated), name
        assert owner == "athos_definer", name
        assert config == '{"search_path=pg_catalog, pg_temp"}', name
        assert "athos_app=X/athos_definer" in privileges, name
        assert "{=X" not in privileges, name
        assert ",=X" not in privileges, name
    assert rows(
        "SELECT rolcanlogin, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = 'athos_definer'"
    ) == [(False, False, False)]


@pytest.mark.django_db(databases=["default", "owner"])
def test_migrations_match_the_models():
    from django.core.management import call_command

    call_command("makemigrations", check=True, dry_run=True, verbosity=0)
