-- The questions to people, and their answers. A question is opened by the commit that stores the pause, and its answer is
-- consumed by the commit that stores the end of the node that asked.
create table adjourn.reviews (
    thread_id     text        not null references adjourn.runs on delete cascade,
    -- LangGraph's interrupt id, or breakpoint:<checkpoint id>
    review_id     text        not null,
    status        text        not null default 'pending'
        check (status in ('pending', 'decided', 'expired', 'withdrawn')),
    -- the task that asks; for a subgraph the innermost one
    checkpoint_ns text        not null,
    checkpoint_id text        not null,
    task_id       text        not null,
    -- the question, serialised like a channel value
    question_type text        not null,
    question      bytea       not null,
    -- the order in which questions were asked
    number        bigint      not null generated always as identity,
    created_at    timestamptz not null default now(),
    closed_at     timestamptz,
    primary key (thread_id, review_id)
);
create index reviews_pending on adjourn.reviews (thread_id) where status = 'pending';
create index reviews_by_task on adjourn.reviews (thread_id, task_id);

create table adjourn.decisions (
    thread_id     text        not null,
    review_id     text        not null,
    decided_by    text        not null,
    -- how we know who that is: trusted or authenticated
    source        text        not null,
    -- python, cli, http, page, studio
    channel       text        not null,
    -- the answer in one form, serialised like a channel value, and the digest of that form
    answer_type   text        not null,
    answer        bytea       not null,
    answer_digest text        not null,
    decided_at    timestamptz not null default clock_timestamp(),
    -- when the end of the asking node was stored
    consumed_at   timestamptz,
    primary key (thread_id, review_id),
    foreign key (thread_id, review_id) references adjourn.reviews on delete cascade
);
create index decisions_open on adjourn.decisions (thread_id) where consumed_at is null;
