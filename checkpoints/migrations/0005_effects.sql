-- What was done to the world outside, by thread, place in the graph, and name.
create table adjourn.effects (
    -- a thread id, or the scope of an effect outside of any node
    scope         text        not null,
    checkpoint_ns text        not null,
    name          text        not null,
    key           text        not null,
    status        text        not null check (status in ('started', 'done', 'failed')),
    arguments     text        not null,
    attempts      integer     not null default 1,
    -- the lease token under which it was last started; null without a lease
    token         bigint,
    result_type   text,
    result        bytea,
    error         text,
    started_at    timestamptz not null default clock_timestamp(),
    ended_at      timestamptz,
    primary key (scope, checkpoint_ns, name, key)
);
