-- name: get
-- One schedule, locked.
select *, clock_timestamp() as now from adjourn.schedules where tenant = %(tenant)s and name = %(name)s for no key update;

-- name: clock
-- The time that counts.
select clock_timestamp() as now;

-- name: put
-- Declare a schedule, or put another in its place. One whose times have changed begins anew.
insert into adjourn.schedules (
    tenant, name, workflow, cron, timezone, missed, grace, priority,
    input_type, input, input_digest, context_type, context, policies, created_by, settled_until, next_at
)
values (
    %(tenant)s, %(name)s, %(workflow)s, %(cron)s, %(timezone)s, %(missed)s, %(grace)s, %(priority)s,
    %(input_type)s, %(input)s, %(input_digest)s, %(context_type)s, %(context)s, %(policies)s::jsonb, %(by)s,
    %(settled_until)s, %(next_at)s
)
on conflict (tenant, name) do update set
    workflow = excluded.workflow, cron = excluded.cron, timezone = excluded.timezone, missed = excluded.missed,
    grace = excluded.grace, priority = excluded.priority, input_type = excluded.input_type, input = excluded.input,
    input_digest = excluded.input_digest, context_type = excluded.context_type, context = excluded.context,
    policies = excluded.policies, created_by = excluded.created_by,
    settled_until = excluded.settled_until, next_at = excluded.next_at
returning *;

-- name: list
-- The schedules of a tenant.
select * from adjourn.schedules where tenant = %(tenant)s order by name;

-- name: remove
-- Forget a schedule; runs that it has started go on.
delete from adjourn.schedules where tenant = %(tenant)s and name = %(name)s returning name;

-- name: next
-- When the next moment of any schedule comes that is for these workflows, but for some that cannot be kept here.
select min(next_at) as next_at, clock_timestamp() as now from adjourn.schedules
where workflow = any(%(workflows)s) and tenant || E'\x1f' || name <> all(%(but)s::text[]);

-- name: due
-- Schedules whose moment has come, of all tenants. Whoever has one locked is starting its runs at this moment.
select *, clock_timestamp() as now from adjourn.schedules
where next_at <= clock_timestamp() and workflow = any(%(workflows)s)
  and tenant || E'\x1f' || name <> all(%(but)s::text[])
order by next_at
limit %(most)s
for no key update skip locked;

-- name: settle
-- Remember how far a schedule is, in the transaction that starts its runs.
update adjourn.schedules
set settled_until = %(settled_until)s, next_at = %(next_at)s,
    last_at = coalesce(%(last_at)s, last_at), last_thread_id = coalesce(%(last_thread_id)s, last_thread_id)
where tenant = %(tenant)s and name = %(name)s;

-- name: strangers
-- Of some thread ids those that are taken by runs which a schedule has not started.
select thread_id from adjourn.runs
where thread_id = any(%(thread_ids)s::text[]) and (tenant <> %(tenant)s or requested_by <> %(requested_by)s);
