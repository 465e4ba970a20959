"""Migration operations that give a table its tenant: row-level security, keys, named functions.

Roles (made by whoever makes the database): the owner runs migrations; `athos_app` serves, owns
nothing and obeys every policy; `athos_definer` cannot log in and owns the few functions that must
see across tenants.
"""

# ruff: noqa: S608 - names of tables come from migrations, never from outside

from django.db.migrations import RunSQL

from tenants.isolation import CATALOGUE

APP_ROLE = "athos_app"
DEFINER_ROLE = "athos_definer"

_ROLES = f"""
DO $$
BEGIN
    IF (SELECT count(*) FROM pg_roles WHERE rolname IN ('{APP_ROLE}', '{DEFINER_ROLE}')) < 2 THEN
        RAISE EXCEPTION 'The roles {APP_ROLE} and {DEFINER_ROLE} must exist before migrations run.';
    END IF;
END
$$;
GRANT USAGE ON SCHEMA public TO {APP_ROLE}, {DEFINER_ROLE};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {APP_ROLE};
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {APP_ROLE};
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {APP_ROLE};
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {APP_ROLE};
REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM {APP_ROLE};
"""

_APP_TENANT = """
CREATE FUNCTION app_tenant() RETURNS uuid LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    setting text := current_setting('app.tenant_id', true);
BEGIN
    IF setting IS NULL OR setting = '' THEN
        RAISE EXCEPTION 'No tenant in scope: enter tenant_scope() first.'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN setting::uuid;
END
$$;
"""

# NULL: all agencies.
_APP_AGENCIES = """
CREATE FUNCTION app_agencies() RETURNS uuid[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT nullif(current_setting('app.agencies', true), '')::uuid[]
$$;
"""

# The policies hold for the role that migrates as well, so it enters the tenant like everybody.
CREATE_CATALOGUE = f"""
SELECT set_config('app.tenant_id', '{CATALOGUE}', true);
INSERT INTO tenants_tenant (id, name, status, allowed_ips, browser_origins, created_at)
    VALUES ('{CATALOGUE}', 'Catalogue', 'suspended', '{{}}', '{{}}', now());
SELECT set_config('app.tenant_id', '', true);
"""
REMOVE_CATALOGUE = f"""
SELECT set_config('app.tenant_id', '{CATALOGUE}', true);
DELETE FROM tenants_tenant WHERE id = '{CATALOGUE}';
SET CONSTRAINTS ALL IMMEDIATE;
SELECT set_config('app.tenant_id', '', true);
"""


def prepare_roles() -> RunSQL:
    """Privileges for the serving role on all tables, those to come included; once, at the start."""
    undo = f"""
    ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM {APP_ROLE};
    ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON SEQUENCES FROM {APP_ROLE};
    """
    return RunSQL(_ROLES, undo)


def create_app_tenant() -> RunSQL:
    """`app_tenant()`: the tenant in scope. It raises when there is none, so forgetting is loud."""
    return RunSQL(_APP_TENANT, "DROP FUNCTION app_tenant();")


def create_app_agencies() -> RunSQL:
    """`app_agencies()`: the agencies that the scope is limited to, NULL where it is not."""
    return RunSQL(_APP_AGENCIES, "DROP FUNCTION app_agencies();")


def agency_column(column: str) -> str:
    """The condition of `limit_to_agencies` for a row that names its agency itself."""
    return f"{column} = ANY (app_agencies())"


def limit_to_agencies(table: str, visible: str) -> RunSQL:
    """Where the scope is limited to agencies, show and take only rows that are `visible`.

    `visible` is SQL over the row's columns: `agency_column(...)`, or a `visible_function` for rows
    that hang off another. It is not looked at while there is no limit. CASE and not OR: the planner
    would take `x = '' OR ...` for a rare condition and choose plans for few rows. And the setting
    itself, not a sub-select of it: planning that costs more than asking for each row.
    """
    unlimited = "coalesce(current_setting('app.agencies', true), '') = ''"
    limit = f"CASE WHEN {unlimited} THEN true ELSE {visible} END"
    return RunSQL(
        f"""
        CREATE POLICY own_agencies ON {table} AS RESTRICTIVE FOR ALL TO {APP_ROLE}, CURRENT_USER
            USING ({limit}) WITH CHECK ({limit});
        """,
        f"DROP POLICY own_agencies ON {table};",
    )


def visible_function(name: str, arguments: str, body: str) -> RunSQL:
    """A question of `limit_to_agencies` about another table, whose own policies hold inside.

    PL/pgSQL, so that a plan without a limit is not made longer by looking into it.
    """
    return RunSQL(
        f"""
        CREATE FUNCTION {name}({arguments}) RETURNS boolean LANGUAGE plpgsql STABLE
            SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN {body}; END $$;
        REVOKE ALL ON FUNCTION {name}({arguments}) FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION {name}({arguments}) TO {APP_ROLE}, {DEFINER_ROLE};
        """,
        f"DROP FUNCTION {name}({arguments});",
    )


def enable_row_security(
    table: str, *, column: str = "tenant_id", shared_catalogue: bool = False
) -> RunSQL:
    """Hide other tenants' rows of this table from everybody, its owner included.

    `shared_catalogue` lets every tenant read the rows of the catalogue as well. The constraint
    from `tenant_id` to the tenant comes with `plain_foreign_key`.
    """
    own = f"{column} = app_tenant()"
    forward = f"""
    ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
    ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
    CREATE POLICY own_rows ON {table} FOR ALL TO {APP_ROLE}, CURRENT_USER
        USING ({own}) WITH CHECK ({own});
    """
    undo = f"""
    DROP POLICY own_rows ON {table};
    ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY;
    ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;
    """
    if shared_catalogue:
        forward += f"""
        CREATE POLICY catalogue_rows ON {table} FOR SELECT TO {APP_ROLE}, CURRENT_USER
            USING ({column} = '{CATALOGUE}'::uuid);
        """
        undo = f"DROP POLICY catalogue_rows ON {table};" + undo
    return RunSQL(forward, undo)


def tenant_table(table: str, *, shared_catalogue: bool = False) -> list[RunSQL]:
    """All that a table with `tenant_id` needs at least."""
    return [
        plain_foreign_key(table, "tenant_id", "tenants_tenant"),
        enable_row_security(table, shared_catalogue=shared_catalogue),
    ]


def tenant_key(table: str) -> RunSQL:
    """Let other tables point at (tenant_id, id) of this one."""
    return RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_tenant_key UNIQUE (tenant_id, id);",
        f"ALTER TABLE {table} DROP CONSTRAINT {table}_tenant_key;",
    )


def composite_foreign_key(
    table: str, column: str, parent: str, *, owner_column: str = "tenant_id"
) -> RunSQL:
    """The real constraint behind a ForeignKey(db_constraint=False) between rows of one tenant.

    Foreign keys ignore row-level security: a plain one would accept another tenant's row.
    `owner_column` names the parent's tenant where it is not the row's own.
    """
    return _constraint(
        table, f"{table}_{column}_tenant_fk", f"{owner_column}, {column}", parent, "tenant_id, id"
    )


def plain_foreign_key(table: str, column: str, parent: str) -> RunSQL:
    """A constraint from a tenant's row to a row without tenant, or to the tenant itself."""
    return _constraint(table, f"{table}_{column}_fk", column, parent, "id")


def _constraint(table: str, name: str, columns: str, parent: str, parent_columns: str) -> RunSQL:
    """Add a foreign key and let PostgreSQL check all tenants' rows while it does.

    PostgreSQL checks present rows by a query of the owner, to which forced policies apply: it
    would raise, or see one tenant only. So FORCE is lifted inside this one statement. Django's own
    constraints cannot do that, therefore the fields say `db_constraint=False`.
    """
    return RunSQL(
        f"""
        DO $$
        DECLARE
            forced regclass[] := ARRAY(
                SELECT oid::regclass FROM pg_class
                WHERE oid IN ('{table}'::regclass, '{parent}'::regclass) AND relforcerowsecurity
            );
            locked regclass;
        BEGIN
            FOREACH locked IN ARRAY forced LOOP
                EXECUTE format('ALTER TABLE %s NO FORCE ROW LEVEL SECURITY', locked);
            END LOOP;
            ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({columns})
                REFERENCES {parent} ({parent_columns}) DEFERRABLE INITIALLY DEFERRED;
            FOREACH locked IN ARRAY forced LOOP
                EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', locked);
            END LOOP;
        END
        $$;
        """,
        f"ALTER TABLE {table} DROP CONSTRAINT {name};",
    )


def append_only(table: str) -> RunSQL:
    """The serving role may add and read rows of this table, never change or remove them."""
    return RunSQL(
        f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM {APP_ROLE};",
        f"GRANT UPDATE, DELETE ON {table} TO {APP_ROLE};",
    )


def definer_may_read(table: str) -> RunSQL:
    """Let functions made by `definer_function` read all tenants' rows of this table."""
    return RunSQL(
        f"""
        GRANT SELECT ON {table} TO {DEFINER_ROLE};
        CREATE POLICY definer_reads ON {table} FOR SELECT TO {DEFINER_ROLE} USING (true);
        """,
        f"""
        DROP POLICY definer_reads ON {table};
        REVOKE SELECT ON {table} FROM {DEFINER_ROLE};
        """,
    )


def definer_function(
    name: str, arguments: str, returns: str, body: str, *, volatility: str = "STABLE"
) -> RunSQL:
    """A named way across tenants: SECURITY DEFINER, fixed search path, for the serving role only.

    `body` is one SQL statement that names tables with their schema (`public.calls_call`).
    `arguments` are written as in CREATE FUNCTION, without defaults.
    """
    return RunSQL(
        f"""
        CREATE FUNCTION {name}({arguments}) RETURNS {returns}
            LANGUAGE sql {volatility} SECURITY DEFINER SET search_path = pg_catalog, pg_temp
            AS $body$ {body} $body$;
        REVOKE ALL ON FUNCTION {name}({arguments}) FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION {name}({arguments}) TO {APP_ROLE};
        GRANT CREATE ON SCHEMA public TO {DEFINER_ROLE};
        ALTER FUNCTION {name}({arguments}) OWNER TO {DEFINER_ROLE};
        REVOKE CREATE ON SCHEMA public FROM {DEFINER_ROLE};
        """,
        f"DROP FUNCTION {name}({arguments});",
    )
