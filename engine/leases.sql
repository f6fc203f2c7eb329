-- name: renew_leases
-- The heartbeat of a process: one statement for all of its drives. Says which threads it still holds, under which
-- token, and whether their runs were cancelled. It touches no column of a unique index, so it waits for no commit.
with renewed as (
    update adjourn.leases
    set expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
    where owner = %(owner)s and expires_at > '-infinity'
    returning thread_id, token
)
select renewed.thread_id, renewed.token, runs.status = 'cancelled' as cancelled
from renewed left join adjourn.runs using (thread_id);
