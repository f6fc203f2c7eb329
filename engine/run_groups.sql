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
-- Record drives that are over, and give their leases back; see the function, in a migration. Returns what that changes in a
-- run's row, and what others may have: whoever drove the run has the rest.
select of_thread, (ended).thread_id, (ended).status, (ended).error, (ended).updated_at, (ended).ended_at, (ended).has_children
from adjourn.end_runs(
    %(thread_ids)s::text[], %(tokens)s::bigint[], %(statuses)s::text[], %(errors)s::text[], %(checkpointed)s::boolean[],
    waits => true);

-- name: complete_runs
-- The same as an item of the commit that stores the last checkpoints of runs, where no lock may be waited for. Leases are
-- given back only when they have been looked at: a row that this statement has changed is no lease any more to the rest of it.
-- Who waits for one of some of the runs is woken by that commit.
select of_thread, (ended).thread_id, (ended).status, (ended).error, (ended).updated_at, (ended).ended_at, (ended).has_children,
    case when of_thread = any(%b::text[]) then pg_notify(%b, json_build_array(of_thread)::text) end as told
from admitted cross join lateral adjourn.end_runs(
    case when admitted.n = 0 then %b::text[] end, %b::bigint[], %b::text[], %b::text[], %b::boolean[], waits => false)
