-- Privileges inside the `athos` database, run by a superuser or by athos_owner. Safe to run again.
create extension if not exists pg_trgm;
create extension if not exists btree_gin;
create extension if not exists btree_gist;
revoke create on schema public from public;
grant usage on schema public to athos_app;
grant usage, create on schema public to athos_definer;
alter default privileges for role athos_owner in schema public
    grant select, insert, update, delete on tables to athos_app;
alter default privileges for role athos_owner in schema public
    grant usage on sequences to athos_app;
