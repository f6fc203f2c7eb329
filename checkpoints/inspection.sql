-- name: server
-- What the server is, whether it can be written to, and whether pgvector is there or we may install it.
select
    current_setting('server_version') as version,
    current_user as role,
    current_database() as database,
    pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean as read_only,
    exists (select from pg_extension where extname = 'vector')
        or exists (select from pg_available_extensions where name = 'vector')
        and (select rolsuper from pg_roles where rolname = current_user) as vectors;

-- name: closed_tables
-- Tables of adjourn, and visible ones of LangGraph, that the role cannot read and change. By number, not by name: a
-- name in a closed schema is an error.
select format('%I.%I', nspname, relname) as name
  from pg_class
  join pg_namespace on pg_namespace.oid = relnamespace
 where relkind in ('r', 'p')
   and (nspname = 'adjourn'
        or pg_table_is_visible(pg_class.oid)
           and relname in ('checkpoints', 'checkpoint_blobs', 'checkpoint_writes', 'checkpoint_migrations',
                           'store', 'store_migrations'))
   and not (has_schema_privilege(relnamespace, 'usage')
            and has_table_privilege(pg_class.oid, 'select')
            and has_table_privilege(pg_class.oid, 'insert')
            and has_table_privilege(pg_class.oid, 'update')
            and has_table_privilege(pg_class.oid, 'delete'))
 order by 1;
