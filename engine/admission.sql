-- name: lock
-- Of all processes one decides at a time; the others need not wait for it: whoever is told of something new while it decides
-- decides once more.
select pg_try_advisory_xact_lock(%(key)s) as taken;

-- name: wait_for_lock
-- For those who change the limits.
select pg_advisory_xact_lock(%(key)s);

-- name: any
-- Whether there is anything to decide, and when the next run is to begin that was submitted for later.
select exists (select from adjourn.runs where status = 'queued' and admission = 'waiting') as waiting,
    (select min(start_at) from adjourn.runs where status = 'queued' and admission = 'later') as next_at,
    clock_timestamp() as now;

-- name: come_due
-- Runs whose time has come: those under a limit wait from now on for a place, the others may begin.
with due as (
    select thread_id from adjourn.runs
    where status = 'queued' and admission = 'later' and start_at <= clock_timestamp()
    order by start_at
    limit %(most)s
),
locked as (
    select thread_id, adjourn.is_limited(workflow, tenant) as limited from adjourn.runs join due using (thread_id)
    where status = 'queued' and admission = 'later'
    order by thread_id
    for no key update of runs skip locked
),
moved as (
    update adjourn.runs set admission = case when limited then 'waiting' end, queued_at = clock_timestamp()
    from locked
    where runs.thread_id = locked.thread_id
    returning runs.thread_id, runs.start_at, limited
)
select count(*) as moved,
    adjourn.enqueue(array_agg(thread_id order by start_at, thread_id) filter (where not limited)) as enqueued
from moved;

-- name: limits
-- All limits.
select workflow, tenant, at_once, per_minute, changed_by, changed_at, clock_timestamp() as now
from adjourn.limits
order by workflow nulls first, tenant nulls first;

-- name: pairs
-- The workflows and tenants that have runs waiting: one look into the index for each.
with recursive pairs as (
    (select workflow, tenant from adjourn.runs
     where status = 'queued' and admission = 'waiting'
     order by workflow, tenant limit 1)
    union all
    select next.workflow, next.tenant
    from pairs cross join lateral (
        select workflow, tenant from adjourn.runs
        where status = 'queued' and admission = 'waiting'
          and (workflow, tenant) > (pairs.workflow, pairs.tenant)
        order by workflow, tenant limit 1) as next
)
select workflow, tenant from pairs;

-- name: use
-- What is taken up, by workflow and tenant. A run whose driver died keeps its place until it is queued again, and one that was
-- cancelled until its driver has stopped.
with places as (
    select workflow, tenant, false as coming from adjourn.runs where status = 'running'
    union all
    select workflow, tenant, not begun from adjourn.runs where status = 'queued' and admission = 'admitted'
    union all
    select workflow, tenant, false from adjourn.leases join adjourn.runs using (thread_id)
    where expires_at > clock_timestamp() and status = 'cancelled'
),
taken as (
    select workflow, tenant, count(*) as under_way, count(*) filter (where coming) as coming
    from places group by workflow, tenant
),
begun as (
    select workflow, tenant, array_agg(started_at) as starts
    from adjourn.starts
    where started_at > clock_timestamp() - interval '1 minute'
    group by workflow, tenant
)
select workflow, tenant, coalesce(under_way, 0) as under_way, coalesce(coming, 0) as coming,
    coalesce(starts, '{}') as starts, last_at
from taken full join begun using (workflow, tenant) full join adjourn.turns using (workflow, tenant);

-- name: heads
-- Of each workflow and tenant those that come first, new ones and those that go on by themselves.
select runs.thread_id, workflow, tenant, priority, begun, queued_at
from unnest(%(workflows)s::text[], %(tenants)s::text[], %(most)s::integer[]) as wanted (workflow, tenant, most)
cross join (values (true), (false)) as kind (begun)
cross join lateral (
    select thread_id, priority, queued_at from adjourn.runs
    where status = 'queued' and admission = 'waiting'
      and runs.workflow = wanted.workflow and runs.tenant = wanted.tenant and runs.begun = kind.begun
    order by -priority, queued_at, thread_id
    limit wanted.most
) as runs;

-- name: admit
-- Admit runs and give them their jobs. One that somebody cancels at this moment is left out.
with given as (
    select * from unnest(%(thread_ids)s::text[]) with ordinality as given (thread_id, place)
),
locked as (
    select thread_id, place from adjourn.runs join given using (thread_id)
    where status = 'queued' and admission = 'waiting'
    order by thread_id
    for no key update of runs skip locked
),
admitted as (
    update adjourn.runs set admission = 'admitted' from locked
    where runs.thread_id = locked.thread_id
    returning runs.thread_id, runs.workflow, runs.tenant, locked.place
),
turn as (
    insert into adjourn.turns (workflow, tenant, last_at)
    select workflow, tenant, %(now)s::timestamptz + max(place) * interval '1 microsecond'
    from admitted group by workflow, tenant
    on conflict (workflow, tenant) do update set last_at = excluded.last_at
)
select count(*) as admitted, adjourn.enqueue(array_agg(thread_id order by place)) as enqueued from admitted;

-- name: forget
-- What is too old to count: turns of a day ago are as good as none.
with starts as (delete from adjourn.starts where started_at < clock_timestamp() - interval '2 minutes')
delete from adjourn.turns where last_at < clock_timestamp() - interval '1 day';

-- name: set_limit
-- Set a limit, or put another in its place.
insert into adjourn.limits (workflow, tenant, at_once, per_minute, changed_by)
values (%(workflow)s, %(tenant)s, %(at_once)s, %(per_minute)s, %(by)s)
on conflict ((coalesce(workflow, '')), (coalesce(tenant, ''))) do update
    set at_once = excluded.at_once, per_minute = excluded.per_minute,
        changed_by = excluded.changed_by, changed_at = excluded.changed_at;

-- name: remove_limit
-- Take a limit away; what it held back may begin unless another holds it back.
delete from adjourn.limits
where workflow is not distinct from %(workflow)s and tenant is not distinct from %(tenant)s
returning true as removed;

-- name: hold_back
-- Runs that were queued before there was a limit wait from now on as well. Their jobs find nothing to do.
with mine as (
    select thread_id from adjourn.runs
    where status = 'queued' and admission is null and adjourn.is_limited(workflow, tenant)
    order by thread_id
    for no key update
)
update adjourn.runs set admission = 'waiting' from mine where runs.thread_id = mine.thread_id;

-- name: waiting
-- How many runs wait for a place, by workflow and tenant.
select workflow, tenant, count(*) as waiting from adjourn.runs
where status = 'queued' and admission = 'waiting'
group by workflow, tenant;

-- name: tell
-- Tell those who admit runs that there is something to decide.
select pg_notify('adjourn_admission', '');
