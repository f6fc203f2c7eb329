-- name: due_threads
-- Runs of a tenant (null: of all) whose open questions have a deadline or a reminder that is over, the longest overdue first. What would
-- fail a run waits while it is driven.
with due as (
    (select reviews.thread_id, reviews.due_at as since
     from adjourn.reviews join adjourn.runs using (thread_id)
     where reviews.status = 'pending' and reviews.due_at <= coalesce(%(now)s::timestamptz, clock_timestamp())
       and (%(tenant)s::text is null or reviews.tenant = %(tenant)s)
       and (runs.status = 'paused' or (runs.status in ('queued', 'running') and not reviews.fails_closed))
     order by reviews.due_at
     limit %(limit)s)
    union all
    (select reviews.thread_id, reviews.remind_at
     from adjourn.reviews join adjourn.runs using (thread_id)
     where reviews.status = 'pending' and reviews.remind_at <= coalesce(%(now)s::timestamptz, clock_timestamp())
       and (%(tenant)s::text is null or reviews.tenant = %(tenant)s)
       and runs.status in ('paused', 'queued', 'running')
     order by reviews.remind_at
     limit %(limit)s)
)
select thread_id from due group by thread_id order by min(since) limit %(limit)s;

-- name: fail_expired
-- A run whose question nobody answered in time: it is over until somebody retries it. In a transaction that has locked it.
update adjourn.runs
set status = 'failed', error = %(error)s, updated_at = now(), ended_at = now(),
    actor = '{"by": "system:deadline", "source": "authenticated", "channel": "deadline"}'
where thread_id = %(thread_id)s and status = 'paused'
returning thread_id;
