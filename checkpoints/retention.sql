-- name: try_lock
-- One pruning at a time in a database; the lock ends with the transaction.
select pg_try_advisory_xact_lock(%(key)s) as taken;

-- name: due_for_pruning
-- Ended runs whose past is kept longer than asked, oldest first. A run that somebody is about to retry, or whose thread
-- is being driven, is passed over.
select runs.thread_id
from adjourn.runs
where runs.ended_at < %(before)s
    and (runs.pruned_at is null or runs.pruned_at < runs.ended_at)
    and runs.status in ('completed', 'failed', 'cancelled')
    and not exists (
        select from adjourn.leases where leases.thread_id = runs.thread_id and leases.expires_at > clock_timestamp()
    )
order by runs.ended_at
limit %(batch)s
for update of runs skip locked;

-- name: due_for_erasing
-- The same for runs whose content is kept longer than asked.
select runs.thread_id
from adjourn.runs
where runs.ended_at < %(before)s
    and (runs.erased_at is null or runs.erased_at < runs.ended_at)
    and runs.status in ('completed', 'failed', 'cancelled')
    and not exists (
        select from adjourn.leases where leases.thread_id = runs.thread_id and leases.expires_at > clock_timestamp()
    )
order by runs.ended_at
limit %(batch)s
for update of runs skip locked;

-- name: mark_pruned
-- These are done, until they end again.
update adjourn.runs set pruned_at = %(now)s where thread_id = any (%(thread_ids)s);

-- name: mark_erased
-- These are done; of the run itself stay ids, status and times.
update adjourn.runs
set erased_at = %(now)s, pruned_at = %(now)s,
    input_type = null, input = null, context_type = null, context = null, error = error - 'message'
where thread_id = any (%(thread_ids)s);

-- name: forget_deleted
-- The traces of threads that were deleted so long ago that no run from before can be under way. Tokens come from one
-- sequence, so a thread whose row is gone still gets a higher one next time.
delete from adjourn.leases
where deleted_at < %(before)s and expires_at = '-infinity'
    and not exists (select from adjourn.runs where runs.thread_id = leases.thread_id);
