-- name: list_stalled
-- Runs whose driver is gone and whose time to be tried has come, with the newest checkpoint of any of their graphs, or of
-- their child runs: a run goes on when what it waits for does. Behind the checkpoint stands how many effects were done: a
-- node that does many of them goes on with each, and writes no checkpoint before its end.
select runs.thread_id, runs.tenant, runs.attempts, runs.attempted_checkpoint,
    (select max(checkpoint_id) from checkpoints where checkpoints.thread_id = any (adjourn.tree_of(runs.thread_id)))
        || coalesce('+' || nullif((
            select count(*) from adjourn.effects
            where effects.scope = any (adjourn.tree_of(runs.thread_id)) and effects.status = 'done'), 0), '')
        as newest_checkpoint
from adjourn.runs join adjourn.leases using (thread_id)
where runs.status = 'running'
  and leases.expires_at <= clock_timestamp()
  and (runs.next_attempt_at is null or runs.next_attempt_at <= clock_timestamp())
  and (%(tenant)s::text is null or tenant = %(tenant)s)
  and (%(workflows)s::text[] is null or workflow = any(%(workflows)s))
order by leases.expires_at
limit %(limit)s;

-- name: note_attempt
-- Remember, under the lease, that a run is tried again.
update adjourn.runs
set attempts = %(attempts)s, attempted_checkpoint = %(checkpoint)s,
    next_attempt_at = clock_timestamp() + make_interval(secs => %(pause)s)
where thread_id = %(thread_id)s and status = 'running';
