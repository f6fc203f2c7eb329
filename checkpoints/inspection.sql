-- name: server
-- What the server is and whether it can be written to.
select
    current_setting('server_version') as version,
    current_user as role,
    current_database() as database,
    pg_is_in_recovery() or current_setting('default_transaction_read_only')::boolean as read_only,
    to_regclass('adjourn.migrations') is not null as has_table;

-- name: closed_tables
-- Tables of adjourn and LangGraph that the role cannot read and change, with the schema they are in.
select format('%I.%I', schemaname, tablename) as name
  from pg_tables
 where (schemaname = 'adjourn'
        or to_regclass(format('%I', tablename)) = format('%I.%I', schemaname, tablename)::regclass
           and tablename in ('checkpoints', 'checkpoint_blobs', 'checkpoint_writes', 'checkpoint_migrations'))
   and not (has_schema_privilege(schemaname, 'usage')
            and has_table_privilege(format('%I.%I', schemaname, tablename), 'select')
            and has_table_privilege(format('%I.%I', schemaname, tablename), 'insert')
            and has_table_privilege(format('%I.%I', schemaname, tablename), 'update')
            and has_table_privilege(format('%I.%I', schemaname, tablename), 'delete'))
 order by 1;
