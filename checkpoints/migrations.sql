-- name: state
-- What the database holds, in one cheap query. Fails with "undefined table" on one that was never migrated.
select
    (select coalesce(jsonb_object_agg(number, sha256), '{}') from adjourn.migrations) as applied,
    (select coalesce(max(v), -1) from checkpoint_migrations) as langgraph,
    (select coalesce(jsonb_agg(name), '[]') from adjourn.queue_files) as queue,
    (select count(*)
       from pg_index
      where not indisvalid
        and indrelid in ('checkpoints'::regclass, 'checkpoint_blobs'::regclass, 'checkpoint_writes'::regclass)
    ) as broken_indexes;

-- name: try_lock
-- Take the lock of all migrations, or return false at once.
select pg_try_advisory_lock(%(key)s) as taken;

-- name: unlock
-- Give the lock back; false when a pooler ran this in another session than try_lock.
select pg_advisory_unlock(%(key)s) as given_back;

-- name: surroundings
-- What exists, where, and which rights the role has to make the rest.
select
    current_user as role,
    current_database() as database,
    current_schema() as schema,
    current_setting('search_path') as search_path,
    (select relnamespace::regnamespace::text from pg_class where oid = to_regclass('checkpoint_migrations'))
        as langgraph_schema,
    (select min(relnamespace::regnamespace::text)
       from pg_class
      where relname = 'checkpoint_migrations' and relkind in ('r', 'p')) as langgraph_anywhere,
    -- a role called adjourn will find itself in its own schema as soon as that is made
    (current_user = 'adjourn' and to_regnamespace('adjourn') is null)
        or coalesce(has_schema_privilege(current_schema(), 'create'), false) as may_make_langgraph,
    to_regnamespace('adjourn') is not null as has_schema,
    has_database_privilege(current_database(), 'create') as may_make_schema,
    coalesce(has_schema_privilege(to_regnamespace('adjourn'), 'create'), false) as may_make_tables,
    to_regclass('adjourn.migrations') is not null as has_table;

-- name: go_to_schema
-- Let names without a schema mean this one, until reset.
select set_config('search_path', %(schema)s, false);

-- name: go_back
-- Undo go_to_schema.
reset search_path;

-- name: create_schema
-- The home of adjourn's own tables.
create schema adjourn;

-- name: create_table
-- Which numbered files were applied, and what they held.
create table adjourn.migrations (
    number     integer     not null primary key,
    name       text        not null,
    sha256     text        not null,
    applied_at timestamptz not null default now()
);

-- name: record
-- One file was applied.
insert into adjourn.migrations (number, name, sha256) values (%(number)s, %(name)s, %(sha256)s);

-- name: broken_indexes
-- Indexes that a kill during `create index concurrently` left unusable on LangGraph's tables.
select index.oid::regclass::text as name, index.relname ~ '_cc(new|old)[0-9]*$' as is_leftover
  from pg_index
  join pg_class as index on index.oid = pg_index.indexrelid
 where not pg_index.indisvalid
   and pg_index.indrelid in (to_regclass('checkpoints'), to_regclass('checkpoint_blobs'), to_regclass('checkpoint_writes'));
