-- Schedules: workflows that are started again and again. Each row is what `submit` would store of a run, and when to.
create table adjourn.schedules (
    tenant         text             not null,
    name           text             not null,
    workflow       text             not null,
    cron           text             not null,
    timezone       text             not null,
    -- what becomes of moments that nobody was there for, and after how many seconds one was missed
    missed         text             not null check (missed in ('latest', 'all', 'skip')),
    grace          double precision not null check (grace >= 0),
    priority       integer          not null,
    input_type     text,
    input          bytea,
    input_digest   text             not null,
    context_type   text,
    context        bytea,
    policies       jsonb,
    created_by     text             not null,
    created_at     timestamptz      not null default clock_timestamp(),
    -- moments up to this one were started or skipped; the next one; the last that was started, and its run
    settled_until  timestamptz      not null default clock_timestamp(),
    next_at        timestamptz,
    last_at        timestamptz,
    last_thread_id text,
    primary key (tenant, name)
);
create index schedules_due on adjourn.schedules (next_at) where next_at is not null;
