-- The processes that drive queued runs: a row each while they live, for people to look at. Nothing depends on it: who drives
-- what is in the leases, and what became of a run whose worker died is recovery's to find.
create table adjourn.workers (
    -- what stands in the leases that it holds
    owner       text        not null primary key,
    host        text        not null,
    pid         integer     not null,
    version     text        not null,
    concurrency integer     not null,
    -- the workflows whose runs it takes
    workflows   text[]      not null,
    draining    boolean     not null default false,
    started_at  timestamptz not null default clock_timestamp(),
    seen_at     timestamptz not null default clock_timestamp()
);

-- `status`: how many runs wait, and since when
create index runs_queued on adjourn.runs (workflow, updated_at) where status = 'queued';
