-- name: enqueue
-- Give runs a job each, in the caller's transaction; not those that have to wait for their time or for a place.
select adjourn.enqueue(%(thread_ids)s::text[], %(priority)s::integer);

-- name: submit_runs
-- Accept runs that workers are to drive; returns nothing for a thread id that is taken. No lease: whoever takes the first
-- one knows that the run was never driven.
insert into adjourn.runs (
    thread_id, tenant, workflow, version, source, status, requested_by,
    input_type, input, input_digest, context_type, context, forked_from, policies, priority, start_at, actor
)
select
    thread_id, tenant, workflow, version, source, 'queued', requested_by,
    input_type, input, input_digest, context_type, context, forked_from, policies::jsonb, priority, start_at::timestamptz,
    %(actor)s::jsonb || jsonb_build_object('by', requested_by)
from unnest(
    %(thread_ids)s::text[], %(tenants)s::text[], %(workflows)s::text[], %(versions)s::text[], %(sources)s::text[],
    %(requested_by)s::text[], %(input_types)s::text[], %(inputs)s::bytea[], %(input_digests)s::text[],
    %(context_types)s::text[], %(contexts)s::bytea[], %(forked_from)s::text[], %(policies)s::text[],
    %(priorities)s::bigint[], %(start_at)s::text[]
) with ordinality as given (
    thread_id, tenant, workflow, version, source,
    requested_by, input_type, input, input_digest, context_type, context, forked_from, policies, priority, start_at, place
)
order by thread_id
on conflict (thread_id) do nothing
returning *, false as expired;

-- name: queue_run
-- Let a worker go on with a run that nobody drives, in a transaction that has locked it; see the function, in a migration.
select from adjourn.queue_run(%(thread_id)s, %(actor)s);

-- name: queue_stalled
-- Put a run whose driver is gone back into the queue, with the attempt that this is. Of several processes one does it.
with run as (
    select thread_id from adjourn.runs
    where thread_id = %(thread_id)s and status = 'running'
    for no key update
),
lease as (
    update adjourn.leases set token = nextval('adjourn.lease_tokens'), expires_at = '-infinity'
    from run
    where leases.thread_id = run.thread_id and leases.expires_at <= clock_timestamp()
    returning leases.thread_id
),
queued as (
    update adjourn.runs
    set status = 'queued', updated_at = now(), actor = %(actor)s,
        attempts = %(attempts)s, attempted_checkpoint = %(checkpoint)s,
        next_attempt_at = clock_timestamp() + make_interval(secs => %(pause)s)
    from lease
    where runs.thread_id = lease.thread_id
    returning runs.thread_id
)
select count(*) as queued, adjourn.enqueue(array_agg(thread_id)) from queued;

-- name: queue_woken
-- Put paused runs whose children have ended into the queue, whatever kept others from driving them on.
with woken as (
    select runs.thread_id
    from (
        select distinct parent_id from adjourn.children where waited is not null and ended_as is not null
    ) as candidates
    join adjourn.runs on runs.thread_id = candidates.parent_id
    where runs.status = 'paused' and runs.workflow = any(%(workflows)s) and adjourn.may_go_on(runs.thread_id)
    order by runs.thread_id
    limit %(limit)s
    for no key update of runs skip locked
),
queued as (
    update adjourn.runs set status = 'queued', updated_at = now(), actor = %(actor)s
    from woken
    where runs.thread_id = woken.thread_id
    returning runs.thread_id
)
select count(*) as queued, adjourn.enqueue(array_agg(thread_id)) from queued;

-- name: queue_lost
-- Give runs that may be taken and have no job one: somebody has deleted it. Looked at are so many that are queued for a while,
-- in the order in which they became so, from a place on. Returns how many had none, and the place where the next look begins
-- (null at the end). Nobody is waited for.
with looked as materialized (
    select thread_id, coalesce(queued_at, created_at) as since
    from adjourn.runs
    where status = 'queued' and coalesce(admission, 'admitted') = 'admitted'
        and (coalesce(queued_at, created_at), thread_id) > (%(since)s::timestamptz, %(after)s)
        and coalesce(queued_at, created_at) <= now() - make_interval(secs => %(seconds)s)
    order by coalesce(queued_at, created_at), thread_id
    limit %(limit)s
),
lost as (
    select runs.thread_id
    from adjourn.runs join looked using (thread_id)
    where runs.status = 'queued' and coalesce(runs.admission, 'admitted') = 'admitted'
        and not exists (
            select from adjourn.procrastinate_jobs
            where status in ('todo', 'doing') and args ->> 'thread_id' = looked.thread_id
        )
    order by runs.thread_id
    for no key update of runs skip locked
),
given as (select count(*) as lost, adjourn.enqueue(array_agg(thread_id)) from lost),
last as (
    select since, thread_id from looked
    where (select count(*) from looked) = %(limit)s
    order by since desc, thread_id desc limit 1
)
select given.lost, last.since, last.thread_id from given left join last on true;

-- name: hand_back
-- Give a lease back and the run to another worker: the process stops. A run that was cancelled meanwhile stays so. One that
-- is for later and comes under a limit asks for a place only then.
with run as (
    select thread_id from adjourn.runs where thread_id = %(thread_id)s for no key update
),
lease as (
    update adjourn.leases set expires_at = '-infinity'
    from run
    where leases.thread_id = run.thread_id and token = %(token)s and expires_at > '-infinity'
    returning leases.thread_id
),
queued as (
    update adjourn.runs
    set status = 'queued', updated_at = now(), actor = %(actor)s,
        start_at = case when %(after)s::float8 > 0 and admission = 'admitted'
            then now() + make_interval(secs => %(after)s) else start_at end
    from lease
    where runs.thread_id = lease.thread_id and status = 'running'
    returning runs.thread_id
)
select adjourn.enqueue(
    array_agg(thread_id), due => case when %(after)s::float8 > 0 then now() + make_interval(secs => %(after)s) end)
from queued;

-- name: get_queued
-- A run that a job names, as far as a worker may drive it: queued, or paused with an answer that no drive was given, or with
-- children that have ended. A run whose driver died is recovery's, which counts the attempts.
select * from adjourn.runs
where thread_id = %(thread_id)s
  and (status = 'queued' and coalesce(admission, 'admitted') = 'admitted'
       or status = 'paused' and adjourn.has_news(thread_id));

-- name: claim_queued
-- Take the lease of such a run; of several workers exactly one succeeds. A thread without a lease was never driven. If this
-- is an attempt of recovery's, it is ours. One that comes under a limit and was not admitted (it was paused, or was queued
-- at the moment at which the limit was set) is not taken: it asks for a place.
with run as (
    select thread_id, status,
        (status = 'paused' or admission is null) and adjourn.is_limited(workflow, tenant) as asks
    from adjourn.runs
    where thread_id = %(thread_id)s
      and (status = 'queued' and coalesce(admission, 'admitted') = 'admitted'
           or status = 'paused' and adjourn.has_news(thread_id))
    for no key update
),
asking as (
    update adjourn.runs
    set status = 'queued', admission = 'waiting', queued_at = clock_timestamp(), updated_at = now(), actor = %(actor)s
    from run
    where runs.thread_id = run.thread_id and run.asks and not exists (
        select from adjourn.leases where leases.thread_id = run.thread_id and expires_at > clock_timestamp())
    returning pg_notify('adjourn_admission', '')
),
lease as (
    insert into adjourn.leases (thread_id, owner, expires_at)
    select thread_id, %(owner)s, clock_timestamp() + make_interval(secs => %(seconds)s) from run where not asks
    on conflict (thread_id) do update
        set token = nextval('adjourn.lease_tokens'), owner = excluded.owner, expires_at = excluded.expires_at
        where leases.expires_at <= clock_timestamp()
    returning token, xmax = 0 as is_first
)
update adjourn.runs
set status = 'running', error = null, ended_at = null, updated_at = now(), actor = %(actor)s,
    attempts = case when attempts = '[]' then attempts else jsonb_set(attempts, '{-1}', to_jsonb(%(owner)s::text)) end
from lease, run
where runs.thread_id = run.thread_id
returning runs.*, lease.token, case when lease.is_first then 'new' else run.status end as was, false as expired;

-- name: queue_names
-- The queues of workflows.
select adjourn.queue_of(workflow) as name from unnest(%(workflows)s::text[]) as workflow;

-- name: is_limited
-- Whether a run comes under a limit.
select adjourn.is_limited(workflow, tenant) as limited from adjourn.runs where thread_id = %(thread_id)s;
