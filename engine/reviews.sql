-- name: lock_run
-- Whoever changes reviews locks the run first, then the reviews. A live lease is never waited for with the run locked: the
-- commit of its holder may be waiting for the run.
select status, requested_by from adjourn.runs where thread_id = %(thread_id)s for no key update

-- name: answerable_run
-- A run, the time, whether somebody drives it, what an answer to it depends on, and where it stands; and its open questions in
-- the order in which they were asked, each with what has been decided on it. The run stands in the first row only.
with asked as (
    select reviews as review, reviews.due_at <= clock_timestamp() as overdue, decisions as decision,
        row_number() over (order by reviews.created_at, reviews.review_id, decisions.number) as n
    from adjourn.reviews left join adjourn.decisions using (thread_id, review_id)
    where reviews.thread_id = %(thread_id)s and reviews.status = 'pending'
)
select runs.*, leases.expires_at <= clock_timestamp() as expired, clock_timestamp() as now,
    coalesce(leases.expires_at > clock_timestamp(), false) as driven, adjourn.answerable(runs.thread_id) as seen,
    adjourn.position(runs.thread_id) as position,
    null as "|", (asked.review).*, asked.overdue, null as "|", (asked.decision).*
from (values (1)) as first (n) left join asked on true
left join adjourn.runs
    on runs.thread_id = %(thread_id)s and runs.tenant = %(tenant)s and coalesce(asked.n, 1) = first.n
left join adjourn.leases on leases.thread_id = runs.thread_id
order by asked.n;

-- name: is_driven
-- Whether somebody drives a thread at this moment. Whoever does looks for answers when the lease is given back, for which
-- the run is locked, too.
select coalesce(bool_or(expires_at > clock_timestamp()), false) as driven
from adjourn.leases where thread_id = %(thread_id)s;

-- name: lock_lease
-- The lease of a thread that nobody drives: nobody can begin to until the end of the transaction.
select from adjourn.leases where thread_id = %(thread_id)s for update;

-- name: holds_lease
-- Whether a lease is still the newest of its thread.
select 1 as held from adjourn.leases where thread_id = %(thread_id)s and token = %(token)s;

-- name: lock_pending
-- The open questions of a thread, in the order in which they were asked, for the rest of the transaction.
select *, due_at <= clock_timestamp() as overdue from adjourn.reviews
where thread_id = %(thread_id)s and status = 'pending'
order by created_at, review_id
for update;

-- name: votes_on_pending
-- What has been decided on the open questions of a thread.
select decisions.* from adjourn.decisions join adjourn.reviews using (thread_id, review_id)
where thread_id = %(thread_id)s and reviews.status = 'pending'
order by decisions.number;

-- name: votes_on
-- What has been decided on some reviews of any threads.
select decisions.* from adjourn.decisions
where (thread_id, review_id) in (select * from unnest(%(thread_ids)s::text[], %(review_ids)s::text[]))
order by number;

-- name: time_now
-- The time, after everything that was waited for.
select clock_timestamp() as now;

-- name: get_reviews
-- Some reviews of a thread, open or closed.
select reviews.*, runs.requested_by, coalesce(reviews.due_at <= clock_timestamp(), false) as overdue
from adjourn.reviews join adjourn.runs using (thread_id)
where thread_id = %(thread_id)s and review_id = any(%(review_ids)s);

-- name: last_decided
-- The review of a thread that was answered last.
select review_id from adjourn.decisions
where thread_id = %(thread_id)s and final
order by number desc
limit 1;

-- name: unconsumed_of
-- Those of some reviews whose answer no node has taken.
select review_id from adjourn.decisions
where thread_id = %(thread_id)s and review_id = any(%(review_ids)s) and final and consumed_at is null;

-- name: expired_of
-- The reviews of a thread whose deadline failed the run.
select review_id from adjourn.reviews where thread_id = %(thread_id)s and status = 'expired';

-- name: record_decision
-- A decision, and its review as a rule left it, in a transaction that holds its lock; see the function, in a migration.
select adjourn.record_decision(%(given)s::jsonb);

-- name: record_answer
-- Decisions that were judged without a lock, and the lease, or nothing of it; see the function, in a migration. Returns what
-- that changes in the run's row: nothing else of it has changed.
select (run).status, (run).error, (run).ended_at, (run).updated_at, token, was, false as expired, position, review_id, decided_by, decided_at, question_type, question,
    answer_type, answer, approved_by
from adjourn.record_answer(
    %(thread_id)s, %(seen)s, %(now)s, %(decided)s::jsonb, %(claims)s, %(tenant)s, %(expected)s::text[], %(owner)s,
    %(seconds)s, %(actor)s);

-- name: record_and_queue
-- The same, and then a place in the queue instead of the lease. Returns what that changes in the run's row, if it was queued
-- by this.
with recorded as materialized (
    select count(*) as n
    from adjourn.record_answer(
        %(thread_id)s, %(seen)s, %(now)s, %(decided)s::jsonb, false, %(tenant)s, %(expected)s::text[], %(owner)s,
        %(seconds)s, %(actor)s)
)
select queued.status, queued.error, queued.ended_at, queued.updated_at, queued.admission, false as expired
from recorded cross join lateral adjourn.queue_run(case when n = 0 then %(thread_id)s::text end, %(actor)s) as queued;

-- name: unconsumed
-- Answers that LangGraph has not stored yet, with their questions; see the function, in a migration.
select * from adjourn.unconsumed(%(thread_id)s);

-- name: consume
-- A breakpoint has no node that could store its answer: it is consumed when the drive that passes it begins.
update adjourn.decisions set consumed_at = now()
where thread_id = %(thread_id)s and review_id = any(%(review_ids)s) and final and consumed_at is null;

-- name: open_reviews
-- In the commit that stores a pause: one row for each new question of a run. A question is stored again with every
-- drive that does not answer it, and by the tasks above a subgraph; the first row counts. Those of one commit are a
-- microsecond apart, so that they keep their order.
insert into adjourn.reviews (
    thread_id, review_id, checkpoint_ns, checkpoint_id, task_id, question_type, question, digest, roles, priority,
    due_at, remind_at, fails_closed, tenant, workflow, created_at
)
select asked.thread_id, asked.review_id, asked.checkpoint_ns, asked.checkpoint_id, asked.task_id, asked.question_type,
    asked.question, asked.digest, string_to_array(asked.roles, E'\x1f'), asked.priority,
    asked.at + make_interval(secs => asked.deadline / 1000.0), asked.at + make_interval(secs => asked.remind_after / 1000.0),
    asked.fails_closed = 1, runs.tenant, runs.workflow, asked.at
from (
    select given.*, now() + make_interval(secs => n / 1000000.0) as at
    from unnest(
        %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[], %s::text[], %s::text[],
        %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[]
    ) with ordinality as given (
        thread_id, review_id, checkpoint_ns, checkpoint_id, task_id, question_type, question, digest, roles,
        priority, deadline, remind_after, fails_closed, n
    )
) asked
join adjourn.runs using (thread_id)
order by asked.n
on conflict do nothing;

-- name: consume_answers
-- In the commit that stores the end of nodes that had been answered: their answers are consumed, except those to
-- questions that this very commit opens.
update adjourn.decisions set consumed_at = now()
from adjourn.reviews, unnest(%s::text[], %s::text[]) as answered (thread_id, task_id)
where reviews.thread_id = answered.thread_id
  and reviews.task_id = answered.task_id
  and decisions.thread_id = reviews.thread_id
  and decisions.review_id = reviews.review_id
  and decisions.final
  and decisions.consumed_at is null
  and not exists (
    select from unnest(%s::text[], %s::text[]) as opened (thread_id, review_id)
    where opened.thread_id = reviews.thread_id and opened.review_id = reviews.review_id);

-- name: close_answered_elsewhere
-- The same commit, where the answer came through a door without the engine: the question is closed with what LangGraph
-- was given.
update adjourn.reviews set status = 'decided', closed_at = now()
from unnest(%s::text[], %s::text[], %s::text[], %s::bytea[], %s::text[])
    as answered (thread_id, task_id, answer_type, answer, answer_digest)
where reviews.thread_id = answered.thread_id
  and reviews.task_id = answered.task_id
  and reviews.status = 'pending'
  and not exists (
    select from unnest(%s::text[], %s::text[]) as opened (thread_id, review_id)
    where opened.thread_id = reviews.thread_id and opened.review_id = reviews.review_id)
returning reviews.*, answered.answer_type, answered.answer, answered.answer_digest

-- name: record_answered_elsewhere
-- And the decision on it; reads the item before.
insert into adjourn.decisions (
    thread_id, review_id, decided_by, source, channel, answer_type, answer, answer_digest, shown, version, decided_at,
    consumed_at
)
select thread_id, review_id, 'unknown', 'trusted', 'studio', answer_type, answer, answer_digest, digest, version, now(),
    now()
from close_answered_elsewhere
on conflict do nothing

-- name: withdraw_others
-- After a drive or an edit past the engine: questions that the thread does not ask any more, because it was given another
-- input or another state; only the holder of the lease may.
with lease as (
    select from adjourn.leases where thread_id = %(thread_id)s and token = %(token)s for key share
)
update adjourn.reviews set status = 'withdrawn', closed_at = now()
where exists (select from lease)
  and thread_id = %(thread_id)s and status = 'pending' and review_id <> all (%(asked)s);
