-- The runs: one row for each thread that was ever accepted.
create table adjourn.runs (
    thread_id     text        not null primary key check (length(thread_id) between 1 and 200),
    tenant        text        not null,
    workflow      text        not null,
    version       text        not null,
    -- where the workflow was registered: "builtin:…", "entry point …", "langgraph.json …", "workflows=…"
    source        text        not null,
    status        text        not null
        check (status in ('queued', 'running', 'paused', 'completed', 'failed', 'cancelled')),
    requested_by  text        not null,
    -- serialised by the saver's serializer; the input is dropped once the first checkpoint holds it
    input_type    text,
    input         bytea,
    input_digest  text        not null,
    context_type  text,
    context       bytea,
    -- {"type": …, "message": …, "node": …} of the last failure, or why it was cancelled
    error         jsonb,
    forked_from   text,
    created_at    timestamptz not null default now(),
    updated_at    timestamptz not null default now(),
    ended_at      timestamptz
);

-- `list`, newest first, by keyset
create index runs_by_age on adjourn.runs (tenant, created_at desc, thread_id desc);
create index runs_by_status on adjourn.runs (tenant, status, created_at desc, thread_id desc);
create index runs_by_workflow on adjourn.runs (tenant, workflow, created_at desc, thread_id desc);
