-- name: renew_leases
-- The heartbeat of a process: one statement for all of its drives. Says which threads it still holds, under which
-- token, and whether their runs were cancelled. It touches no column of a unique index, so it waits for no commit. Like
-- everything that locks several leases it goes by thread id, so that nobody waits in a circle.
with mine as (
    select thread_id from adjourn.leases
    where owner = %(owner)s and expires_at > '-infinity'
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
