-- name: list_pending
-- The open questions of a thread, in the order in which they were asked.
select * from adjourn.reviews
where thread_id = %(thread_id)s and status = 'pending'
order by number;

-- name: get_outcome
-- One question of a thread and its answer, if there is one.
select reviews.review_id, reviews.status, reviews.closed_at, decisions.decided_by, decisions.decided_at,
    decisions.answer_type, decisions.answer, decisions.answer_digest
from adjourn.reviews left join adjourn.decisions using (thread_id, review_id)
where thread_id = %(thread_id)s and review_id = %(review_id)s;

-- name: last_outcome
-- The answer that was recorded last on a thread.
select reviews.review_id, reviews.status, reviews.closed_at, decisions.decided_by, decisions.decided_at,
    decisions.answer_type, decisions.answer, decisions.answer_digest
from adjourn.reviews join adjourn.decisions using (thread_id, review_id)
where thread_id = %(thread_id)s
order by decided_at desc
limit 1;

-- name: decide
-- Close a pending question with an answer. Of several answers the first to lock the review wins; the others get no row.
with closed as (
    update adjourn.reviews set status = 'decided', closed_at = now()
    where thread_id = %(thread_id)s and review_id = %(review_id)s and status = 'pending'
    returning thread_id, review_id
)
insert into adjourn.decisions
    (thread_id, review_id, decided_by, source, channel, answer_type, answer, answer_digest)
select thread_id, review_id, %(decided_by)s, %(source)s, %(channel)s, %(answer_type)s, %(answer)s, %(answer_digest)s
from closed
returning review_id;

-- name: unconsumed
-- Answers that LangGraph has not stored yet, with their questions: what a drive is given, after a crash as well.
select review_id, decided_by, decided_at, answer_type, answer, question_type, question
from adjourn.decisions join adjourn.reviews using (thread_id, review_id)
where thread_id = %(thread_id)s and consumed_at is null;

-- name: consume
-- A breakpoint has no node that could store its answer: it is consumed when the drive that passes it begins.
update adjourn.decisions set consumed_at = now()
where thread_id = %(thread_id)s and review_id = any(%(review_ids)s) and consumed_at is null;

-- name: open_reviews
-- In the commit that stores a pause: one row for each new question of a run. A question is stored again with every
-- drive that does not answer it, and by the tasks above a subgraph; the first row counts.
insert into adjourn.reviews
    (thread_id, review_id, checkpoint_ns, checkpoint_id, task_id, question_type, question)
select asked.thread_id, asked.review_id, asked.checkpoint_ns, asked.checkpoint_id, asked.task_id, asked.question_type,
    asked.question
from unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bytea[])
    with ordinality as asked (thread_id, review_id, checkpoint_ns, checkpoint_id, task_id, question_type, question, n)
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
  and decisions.consumed_at is null
  and not exists (
    select from unnest(%s::text[], %s::text[]) as opened (thread_id, review_id)
    where opened.thread_id = reviews.thread_id and opened.review_id = reviews.review_id);

-- name: close_answered_elsewhere
-- The same commit, where the answer came through a door without the engine: the question is closed with what LangGraph
-- was given.
with closed as (
    update adjourn.reviews set status = 'decided', closed_at = now()
    from unnest(%s::text[], %s::text[], %s::text[], %s::bytea[], %s::text[])
        as answered (thread_id, task_id, answer_type, answer, answer_digest)
    where reviews.thread_id = answered.thread_id
      and reviews.task_id = answered.task_id
      and reviews.status = 'pending'
      and not exists (
        select from unnest(%s::text[], %s::text[]) as opened (thread_id, review_id)
        where opened.thread_id = reviews.thread_id and opened.review_id = reviews.review_id)
    returning reviews.thread_id, reviews.review_id, answered.answer_type, answered.answer, answered.answer_digest
)
insert into adjourn.decisions
    (thread_id, review_id, decided_by, source, channel, answer_type, answer, answer_digest, consumed_at)
select thread_id, review_id, 'unknown', 'trusted', 'studio', answer_type, answer, answer_digest, now()
from closed
on conflict do nothing;

-- name: reopen
-- Take answers back that the workflow's own schema refused; only the holder of the lease may.
with lease as (
    select from adjourn.leases where thread_id = %(thread_id)s and token = %(token)s for key share
),
taken_back as (
    delete from adjourn.decisions
    where exists (select from lease)
      and thread_id = %(thread_id)s and review_id = any(%(review_ids)s) and consumed_at is null
    returning thread_id, review_id
)
update adjourn.reviews set status = 'pending', closed_at = null
from taken_back
where reviews.thread_id = taken_back.thread_id and reviews.review_id = taken_back.review_id;

-- name: withdraw_others
-- After a drive or an edit past the engine: questions that the thread does not ask any more, because it was given another
-- input or another state; only the holder of the lease may.
with lease as (
    select from adjourn.leases where thread_id = %(thread_id)s and token = %(token)s for key share
)
update adjourn.reviews set status = 'withdrawn', closed_at = now()
where exists (select from lease)
  and thread_id = %(thread_id)s and status = 'pending' and review_id <> all (%(asked)s);
