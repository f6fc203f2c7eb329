-- What people are still to be told about reviews, and what they were told. A row names an event and holds no content: the
-- words are made when it is sent.
create table adjourn.notices (
    thread_id  text        not null references adjourn.runs on delete cascade,
    review_id  text        not null,
    kind       text        not null check (kind in ('asked', 'reminded', 'escalated', 'decided', 'expired')),
    -- tells events of one kind apart
    number     integer     not null default 0,
    -- of the event
    created_at timestamptz not null default now(),
    attempts   integer     not null default 0,
    -- when it is to be sent; while a process sends it, when another one may; null: nothing is left to do
    next_at    timestamptz default now(),
    -- receivers that refused it for good
    refused    text[]      not null default '{}',
    primary key (thread_id, review_id, kind, number)
);
create index notices_due on adjourn.notices (next_at) where next_at is not null;
