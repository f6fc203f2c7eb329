-- Reviews that several people decide, until a deadline: who is asked, how far it is, and everything that was said.

-- the policies that a run was started with, {"run": {action: policy}, "workflow": {action: policy}}; null for none
alter table adjourn.runs add column policies jsonb;

alter table adjourn.reviews
    -- of the run, for listings without a join
    add column tenant       text,
    add column workflow     text,
    -- who is asked now; empty for everybody
    add column roles        text[]      not null default '{}',
    add column priority     integer     not null default 0,
    -- how often it was escalated, and when this stage ends
    add column stage        integer     not null default 0,
    add column due_at       timestamptz,
    -- null when the people of this stage have been reminded
    add column remind_at    timestamptz,
    -- whether the end of this stage fails the run, which waits until nobody drives it
    add column fails_closed boolean     not null default false,
    -- 1, and one more with each edit; SHA-256 of exactly what is shown in this version (null in rows from before)
    add column version      integer     not null default 1,
    add column digest       text;
update adjourn.reviews set tenant = runs.tenant, workflow = runs.workflow
from adjourn.runs where runs.thread_id = reviews.thread_id;
alter table adjourn.reviews
    alter column tenant set not null,
    alter column workflow set not null,
    -- the order of questions is that of their times
    drop column number;

-- the inbox: the most urgent first, then what waits longest; with the roles in it, so that those of a role that many
-- reviews ask for are found in this order without a look at the table
create index reviews_inbox on adjourn.reviews (tenant, (-priority), created_at, thread_id, review_id)
    include (roles, priority)
    where status = 'pending';
create index reviews_inbox_of_workflow
    on adjourn.reviews (tenant, workflow, (-priority), created_at, thread_id, review_id)
    where status = 'pending';
create index reviews_inbox_of_roles on adjourn.reviews using gin (roles) where status = 'pending';
-- those that were closed, newest first
create index reviews_closed on adjourn.reviews (tenant, status, created_at desc, thread_id desc, review_id desc)
    where status <> 'pending';
-- what the next sweep looks at
create index reviews_due on adjourn.reviews (due_at) where status = 'pending' and due_at is not null;
create index reviews_to_remind on adjourn.reviews (remind_at) where status = 'pending' and remind_at is not null;

-- Every decision is a row now; one of a review is the final one, which the workflow is given. They outlive the row of
-- their review, which can be made anew from them and the checkpoints.
alter table adjourn.decisions
    drop constraint decisions_pkey,
    drop constraint decisions_thread_id_review_id_fkey,
    add column number       bigint      not null generated always as identity,
    -- approve, edit, reject, respond, value; escalate for a deadline that asked others; null in rows from before
    add column kind         text,
    add column roles        text[]      not null default '{}',
    -- SHA-256 of what was shown to them, and of what they want: that, or their edit of it, or their plain answer
    add column shown        text,
    add column proposal     text,
    add column version      integer     not null default 1,
    -- whether it still stands
    add column counts       boolean     not null default true,
    add column final        boolean     not null default true,
    -- what the workflow is given, where that is not this person's own answer: whoever approves an edit approves that edit
    add column outcome_type text,
    add column outcome      bytea,
    add primary key (thread_id, review_id, number),
    add foreign key (thread_id) references adjourn.runs on delete cascade;
create unique index decisions_final on adjourn.decisions (thread_id, review_id) where final;
drop index adjourn.decisions_open;
create index decisions_open on adjourn.decisions (thread_id) where final and consumed_at is null;
