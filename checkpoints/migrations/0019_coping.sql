-- What runs have spent on models, in all their drives. A row is made by the first answer that is counted.
create table adjourn.spending (
    thread_id     text        primary key references adjourn.runs (thread_id) on delete cascade,
    calls         bigint      not null default 0,
    input_tokens  bigint      not null default 0,
    output_tokens bigint      not null default 0,
    cost          float8      not null default 0,
    updated_at    timestamptz not null default clock_timestamp()
);

-- Answers of models and results of nodes that are given again for a while. The key is a digest of the question.
create table adjourn.cached (
    tenant     text        not null,
    key        text        not null,
    kind       text        not null,
    data       bytea       not null,
    expires_at timestamptz not null,
    primary key (tenant, key)
);
create index cached_by_expiry on adjourn.cached (expires_at);

-- When the next call of a model or a tool may begin, for calls that are spaced over all processes.
create table adjourn.call_turns (
    name    text        primary key,
    next_at timestamptz not null
);
