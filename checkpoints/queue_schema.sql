-- name: create_table
-- Which of Procrastinate's files the database holds.
create table if not exists adjourn.queue_files (
    name       text        not null primary key,
    applied_at timestamptz not null default now()
);

-- name: applied
-- Their names.
select name from adjourn.queue_files;

-- name: go_to_schema
-- Procrastinate's names have no schema; until the end of the transaction they mean ours.
set local search_path = adjourn, pg_temp;

-- name: fix_search_path
-- Let its functions find its tables whoever calls them.
do $$
declare
    name text;
begin
    for name in
        select oid::regprocedure::text from pg_proc
        where pronamespace = 'adjourn'::regnamespace and proname like 'procrastinate\_%'
    loop
        execute format('alter function %s set search_path = adjourn, pg_temp', name);
    end loop;
end $$;

-- name: record
-- These were applied, or the whole schema that has them in it.
insert into adjourn.queue_files (name) select unnest(%(names)s::text[]);
