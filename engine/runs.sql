-- name: claim_run
-- Take the lease of a run that stands in one of some statuses, and drive it; see the function, in a migration.
select (run).*, token, was, false as expired
from adjourn.claim_run(%(thread_id)s, %(tenant)s, %(expected)s::text[], %(owner)s, %(seconds)s, %(actor)s);

-- name: get_run
-- One run of one tenant, and whether the lease of its driver has run out.
select runs.*, leases.expires_at <= clock_timestamp() as expired
from adjourn.runs left join adjourn.leases using (thread_id)
where thread_id = %(thread_id)s and tenant = %(tenant)s;

-- name: show_run
-- The same with the run's latest checkpoint and where the thread stands, in one exchange; where only some statuses are waited
-- for, without them in others.
select runs.*, leases.expires_at <= clock_timestamp() as expired, null as "|", saved.*,
    case when saved.thread_id is not null then adjourn.position(runs.thread_id) end as position
from adjourn.runs left join adjourn.leases using (thread_id)
left join lateral ({latest}) as saved on %(only)s::text[] is null or runs.status = any(%(only)s)
where runs.thread_id = %(thread_id)s and runs.tenant = %(tenant)s;

-- name: list_runs
-- A page of a tenant's runs, newest first; `after` is the thread id that ended the page before.
select runs.*, leases.expires_at <= clock_timestamp() as expired
from adjourn.runs left join adjourn.leases using (thread_id)
where tenant = %(tenant)s
  and (%(status)s::text is null or status = %(status)s)
  and (not %(stalled)s or leases.expires_at <= clock_timestamp())
  and (%(workflow)s::text is null or workflow = %(workflow)s)
  and (%(parent)s::text is null or parent_id = %(parent)s)
  and (%(after)s::text is null or (created_at, thread_id) < (
        select created_at, thread_id from adjourn.runs where thread_id = %(after)s and tenant = %(tenant)s))
order by created_at desc, thread_id desc
limit %(limit)s;

-- name: lock_run
-- What changes a run, its questions and its lease together locks the run first, so that nobody waits in a circle.
select from adjourn.runs where thread_id = %(thread_id)s for no key update;

-- name: lock_lease
-- Before a pause with more than itself to be written down: whoever wants the lease waits from here on.
select from adjourn.leases where thread_id = %(thread_id)s and token = %(token)s for update;

-- name: pause_run
-- Record that a run pauses, unless an answer came meanwhile; see the function, in a migration.
select (run).*, false as expired, ends
from adjourn.pause_run(%(thread_id)s, %(token)s, %(checkpointed)s, %(fed)s::text[]);

-- name: open_breakpoint
-- Before a pause: a static breakpoint writes no interrupt, so its review is opened by the drive.
insert into adjourn.reviews (
    thread_id, review_id, checkpoint_ns, checkpoint_id, task_id, question_type, question, digest, roles, priority,
    due_at, remind_at, fails_closed, tenant, workflow
)
select thread_id, %(review_id)s, '', %(checkpoint_id)s, '', %(question_type)s, %(question)s, %(digest)s,
    string_to_array(%(roles)s, E'\x1f'), %(priority)s, now() + make_interval(secs => %(deadline)s::bigint / 1000.0),
    now() + make_interval(secs => %(remind_after)s::bigint / 1000.0), %(fails_closed)s, runs.tenant, runs.workflow
from adjourn.leases join adjourn.runs using (thread_id)
where thread_id = %(thread_id)s and token = %(token)s
on conflict do nothing;

-- name: cancel_runs
-- End a run for good with all of its child runs, and withdraw their open questions; see the function, in a migration.
select adjourn.cancel_runs(%(thread_id)s, %(tenant)s, %(error)s, %(actor)s) as thread_id;

-- name: lock_to_delete
-- Lock a run and all of its child runs, in the order in which those are locked that are cancelled; see the function.
select adjourn.lock_to_delete(%(thread_id)s, %(tenant)s);

-- name: delete_run
-- Forget a run whose thread was deleted, and the cases that it has left; what goes on below it is cancelled. In a transaction
-- that has locked all of them.
with cases as (delete from adjourn.cases where thread_id = %(thread_id)s and tenant = %(tenant)s)
delete from adjourn.runs where thread_id = %(thread_id)s and tenant = %(tenant)s returning *;

-- name: forget_failed_writes
-- Drop what failed tasks of a thread's latest checkpoints had written, except the answers that they were given, so
-- that they run again as a whole, routing included. (LangGraph takes a task with partial output for finished.) A
-- question without an answer is kept too: the answer that the workflow refused was its failure, and the next needs it.
-- Only the holder of the lease may.
with lease as (
    select from adjourn.leases where thread_id = %(thread_id)s and token = %(token)s for key share
),
latest as (
    select distinct on (thread_id, checkpoint_ns) thread_id, checkpoint_ns, checkpoint_id
    from checkpoints
    where thread_id = %(thread_id)s
    order by thread_id, checkpoint_ns, checkpoint_id desc
)
delete from checkpoint_writes w
using latest
where exists (select from lease)
  and w.thread_id = latest.thread_id
  and w.checkpoint_ns = latest.checkpoint_ns
  and w.checkpoint_id = latest.checkpoint_id
  and w.channel <> '__resume__'
  and (w.channel <> '__interrupt__' or exists (
    select from checkpoint_writes answered
    where answered.thread_id = w.thread_id
      and answered.checkpoint_ns = w.checkpoint_ns
      and answered.checkpoint_id = w.checkpoint_id
      and answered.task_id = w.task_id
      and answered.channel = '__resume__'
  ))
  and exists (
    select from checkpoint_writes failed
    where failed.thread_id = w.thread_id
      and failed.checkpoint_ns = w.checkpoint_ns
      and failed.checkpoint_id = w.checkpoint_id
      and failed.task_id = w.task_id
      and failed.channel = '__error__'
  );

-- name: release_lease
-- Give a lease back and change nothing else: the run is found by recovery.
update adjourn.leases set expires_at = '-infinity'
where thread_id = %(thread_id)s and token = %(token)s and expires_at > '-infinity';
