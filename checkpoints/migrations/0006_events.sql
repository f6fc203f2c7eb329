-- What happens in runs while they are driven, for whoever follows them from elsewhere. Not the truth about a run: that
-- is its row and its checkpoints. Rows are written in small batches after the fact, and old ones are dropped.
create table adjourn.events (
    thread_id  text        not null references adjourn.runs on delete cascade,
    -- 1, 2, 3, … in each thread; two writers of one thread collide on it, so nothing becomes visible behind a reader
    seq        bigint      not null,
    at         timestamptz not null,
    kind       text        not null,
    payload    jsonb       not null,
    primary key (thread_id, seq)
);

-- rows come in the order of time, so this is enough to find the old ones, and costs next to nothing
create index events_by_age on adjourn.events using brin (at);
