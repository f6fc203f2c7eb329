-- name: accept_runs
-- Accept runs and take their leases; returns nothing for a thread id that is taken.
with given as (
    select * from unnest(
        %(thread_ids)s::text[], %(tenants)s::text[], %(workflows)s::text[], %(versions)s::text[], %(sources)s::text[],
        %(requested_by)s::text[], %(input_types)s::text[], %(inputs)s::bytea[], %(input_digests)s::text[],
        %(context_types)s::text[], %(contexts)s::bytea[], %(forked_from)s::text[], %(policies)s::text[]
    ) as given (
        thread_id, tenant, workflow, version, source,
        requested_by, input_type, input, input_digest, context_type, context, forked_from, policies
    )
),
run as (
    insert into adjourn.runs (
        thread_id, tenant, workflow, version, source, status, requested_by,
        input_type, input, input_digest, context_type, context, forked_from, policies, actor
    )
    select
        thread_id, tenant, workflow, version, source, 'running', requested_by,
        input_type, input, input_digest, context_type, context, forked_from, policies::jsonb,
        %(actor)s::jsonb || jsonb_build_object('by', requested_by)
    from given
    order by thread_id
    on conflict (thread_id) do nothing
    returning *
),
lease as (
    insert into adjourn.leases (thread_id, owner, expires_at)
    select thread_id, %(owner)s, clock_timestamp() + make_interval(secs => %(seconds)s) from run
    on conflict (thread_id) do update
        set token = nextval('adjourn.lease_tokens'), owner = excluded.owner, expires_at = excluded.expires_at
        where leases.expires_at <= clock_timestamp()
    returning thread_id, token
)
select run.*, lease.token, 'new' as was, false as expired from run left join lease using (thread_id);

-- name: end_runs
-- Record drives that are over, and give their leases back. No answer can be missed here: nobody goes on with one after the
-- end of a run, or after its failure. The runs are locked first, in one order, so that nobody waits in a circle. A run
-- that was cancelled meanwhile stays so.
with given as (
    select * from unnest(
        %(thread_ids)s::text[], %(tokens)s::bigint[], %(statuses)s::text[], %(errors)s::text[], %(checkpointed)s::bigint[]
    ) as given (of_thread, token, status, error, checkpointed)
),
locked as (
    select thread_id from adjourn.runs join given on thread_id = of_thread order by thread_id for no key update of runs
),
held as (
    select leases.thread_id, given.token, given.status, given.error, given.checkpointed
    from adjourn.leases join given on leases.thread_id = of_thread and leases.token = given.token
    join locked on locked.thread_id = of_thread
    order by leases.thread_id
    for no key update of leases
),
released as (
    update adjourn.leases set expires_at = '-infinity'
    from held
    where leases.thread_id = held.thread_id and leases.token = held.token
    returning leases.thread_id, held.status, held.error, held.checkpointed
),
ended as (
    update adjourn.runs
    set status = released.status,
        error = released.error::jsonb,
        updated_at = now(),
        ended_at = now(),
        input = case when released.checkpointed = 1 then null else input end,
        input_type = case when released.checkpointed = 1 then null else input_type end,
        attempts = '[]', attempted_checkpoint = null, next_attempt_at = null
    from released
    where runs.thread_id = released.thread_id and runs.status = 'running'
    returning runs.*
),
withdrawn as (
    update adjourn.reviews set status = 'withdrawn', closed_at = now()
    from released
    where reviews.thread_id = released.thread_id and reviews.status = 'pending' and released.status = 'completed'
)
select released.thread_id as of_thread, ended.*, false as expired
from released left join ended on ended.thread_id = released.thread_id;
