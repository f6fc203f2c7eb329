-- name: renew_leases
-- The heartbeat of a process: one statement for all of its drives. Says which threads it still holds, under which
-- token, and whether their runs were cancelled. It touches no column of a unique index, so it waits for no commit. Like
-- everything that locks several leases it goes by thread id, so that nobody waits in a circle. A lease that is not driven
-- under any more is not renewed: it runs out, and recovery finds the run.
with mine as (
    select thread_id from adjourn.leases
    where thread_id = any(%(thread_ids)s) and owner = %(owner)s and expires_at > '-infinity'
    order by thread_id
    for no key update
),
renewed as (
    update adjourn.leases
    set expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
    from mine
    where leases.thread_id = mine.thread_id and owner = %(owner)s and expires_at > '-infinity'
    returning leases.thread_id, token
)
select renewed.thread_id, renewed.token, runs.status = 'cancelled' as cancelled
from renewed left join adjourn.runs using (thread_id);

-- name: abandon_lease
-- Give back the lease of a drive that ended because the database was away. If recovery had begun that drive, its attempt
-- is taken back: the run was not to blame. The run is locked first, as everywhere.
with run as (
    select thread_id from adjourn.runs where thread_id = %(thread_id)s for no key update
),
released as (
    update adjourn.leases set expires_at = '-infinity'
    from run
    where leases.thread_id = run.thread_id and token = %(token)s and expires_at > '-infinity'
    returning leases.thread_id
)
update adjourn.runs
set attempts = attempts - (-1), next_attempt_at = null
from released
where runs.thread_id = released.thread_id and status = 'running' and attempts ->> -1 = %(owner)s;
