-- The three roles, once per PostgreSQL server, run by a superuser. Safe to run again.
-- With a server of your own: run this, set passwords, `create database athos owner athos_owner`,
-- then run database.sql inside that database (docs/operations.md).
do $$
begin
    -- migrations and backups: owns the tables
    if not exists (select from pg_roles where rolname = 'athos_owner') then
        create role athos_owner login nosuperuser nocreaterole nobypassrls;
    end if;
    -- everything that serves: owns nothing, obeys row-level security
    if not exists (select from pg_roles where rolname = 'athos_app') then
        create role athos_app login nosuperuser nocreaterole nocreatedb nobypassrls noinherit;
    end if;
    -- owns the few functions that look across tenants; nobody can log in as it
    if not exists (select from pg_roles where rolname = 'athos_definer') then
        create role athos_definer nologin nosuperuser nocreaterole nobypassrls;
    end if;
end
$$;
-- SET so that migrations can say `alter function ... owner to athos_definer`; no INHERIT, so that
-- the owner doesn't quietly see what the definer sees.
grant athos_definer to athos_owner with set true, inherit false;
