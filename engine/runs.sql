-- name: insert_run
-- Accept a run; returns nothing when the thread id is taken.
insert into adjourn.runs (
    thread_id, tenant, workflow, version, source, status, requested_by,
    input_type, input, input_digest, context_type, context, forked_from
) values (
    %(thread_id)s, %(tenant)s, %(workflow)s, %(version)s, %(source)s, %(status)s, %(requested_by)s,
    %(input_type)s, %(input)s, %(input_digest)s, %(context_type)s, %(context)s, %(forked_from)s
)
on conflict (thread_id) do nothing
returning *;

-- name: get_run
-- One run of one tenant.
select * from adjourn.runs where thread_id = %(thread_id)s and tenant = %(tenant)s;

-- name: list_runs
-- A page of a tenant's runs, newest first; `after` is the thread id that ended the page before.
select * from adjourn.runs
where tenant = %(tenant)s
  and (%(status)s::text is null or status = %(status)s)
  and (%(workflow)s::text is null or workflow = %(workflow)s)
  and (%(after)s::text is null or (created_at, thread_id) < (
        select created_at, thread_id from adjourn.runs where thread_id = %(after)s and tenant = %(tenant)s))
order by created_at desc, thread_id desc
limit %(limit)s;

-- name: claim_run
-- Take a run from one of some statuses into another; returns nothing when it is in none of them.
update adjourn.runs
set status = %(status)s, error = null, ended_at = null, updated_at = now()
where thread_id = %(thread_id)s and tenant = %(tenant)s and status = any(%(expected)s)
returning *;

-- name: settle_run
-- Record how a drive ended. The input goes once a checkpoint holds it. A run that was cancelled meanwhile stays so.
update adjourn.runs
set status = %(status)s,
    error = %(error)s,
    updated_at = now(),
    ended_at = case when %(ended)s then now() end,
    input = case when %(checkpointed)s then null else input end,
    input_type = case when %(checkpointed)s then null else input_type end
where thread_id = %(thread_id)s and status = 'running'
returning *;

-- name: cancel_run
-- End a run for good, unless it has ended.
update adjourn.runs
set status = 'cancelled', error = %(error)s, updated_at = now(), ended_at = now()
where thread_id = %(thread_id)s and tenant = %(tenant)s and status = any(%(expected)s)
returning *;

-- name: delete_run
-- Forget a run whose thread was deleted.
delete from adjourn.runs where thread_id = %(thread_id)s and tenant = %(tenant)s returning *;

-- name: forget_failed_writes
-- Drop what failed tasks of a thread's latest checkpoints had written, except the answers that they were given, so
-- that they run again as a whole, routing included. (LangGraph takes a task with partial output for finished.)
delete from checkpoint_writes w
using (
    select distinct on (thread_id, checkpoint_ns) thread_id, checkpoint_ns, checkpoint_id
    from checkpoints
    where thread_id = %(thread_id)s
    order by thread_id, checkpoint_ns, checkpoint_id desc
) latest
where w.thread_id = latest.thread_id
  and w.checkpoint_ns = latest.checkpoint_ns
  and w.checkpoint_id = latest.checkpoint_id
  and w.channel <> '__resume__'
  and exists (
    select from checkpoint_writes failed
    where failed.thread_id = w.thread_id
      and failed.checkpoint_ns = w.checkpoint_ns
      and failed.checkpoint_id = w.checkpoint_id
      and failed.task_id = w.task_id
      and failed.channel = '__error__'
  );
