-- name: begin_effect
-- Record that an effect is about to be done, under the lease of the drive that does it. Says whether the lease is held
-- and, where the effect was begun before, what is known of it.
with lease as (
    select from adjourn.leases where thread_id = %(scope)s and token = %(token)s for key share
),
begun as (
    insert into adjourn.effects (scope, checkpoint_ns, name, key, status, arguments, token)
    select %(scope)s, %(checkpoint_ns)s, %(name)s, %(key)s, 'started', %(arguments)s, %(token)s
    where %(token)s::bigint is null or exists (select from lease)
    on conflict do nothing
    returning 1
)
select
    %(token)s::bigint is null or exists (select from lease) as held,
    exists (select from begun) as fresh,
    known.status, known.arguments, known.attempts, known.result_type, known.result, known.error
from (select 1) one
left join adjourn.effects known
    on known.scope = %(scope)s and known.checkpoint_ns = %(checkpoint_ns)s
    and known.name = %(name)s and known.key = %(key)s;

-- name: look_at_effect
-- The same for an effect of which the end alone is recorded: nothing is written.
select
    %(token)s::bigint is null
        or exists (select from adjourn.leases where thread_id = %(scope)s and token = %(token)s) as held,
    known.status is null as fresh, clock_timestamp() as now,
    known.status, known.arguments, known.attempts, known.result_type, known.result, known.error
from (select 1) one
left join adjourn.effects known
    on known.scope = %(scope)s and known.checkpoint_ns = %(checkpoint_ns)s
    and known.name = %(name)s and known.key = %(key)s;

-- name: record_effect
-- Record such an effect when it has ended. Where two processes did it, the one with the later lease is believed.
insert into adjourn.effects (
    scope, checkpoint_ns, name, key, status, arguments, token, result_type, result, error, started_at, ended_at
) values (
    %(scope)s, %(checkpoint_ns)s, %(name)s, %(key)s, %(status)s, %(arguments)s, %(token)s, %(result_type)s, %(result)s,
    %(error)s, %(started_at)s, clock_timestamp()
)
on conflict (scope, checkpoint_ns, name, key) do update
set status = excluded.status, result_type = excluded.result_type, result = excluded.result, error = excluded.error,
    attempts = effects.attempts + 1, token = excluded.token, started_at = excluded.started_at, ended_at = excluded.ended_at
where coalesce(effects.token, 0) <= coalesce(excluded.token, 0);

-- name: begin_effect_again
-- The same for an effect that failed, or of which nobody knows whether it happened.
with lease as (
    select from adjourn.leases where thread_id = %(scope)s and token = %(token)s for key share
)
update adjourn.effects
set status = 'started', attempts = attempts + 1, token = %(token)s, error = null, started_at = clock_timestamp()
where scope = %(scope)s and checkpoint_ns = %(checkpoint_ns)s and name = %(name)s and key = %(key)s
  and status <> 'done'
  and (%(token)s::bigint is null or exists (select from lease))
returning attempts;

-- name: end_effect
-- Record how an effect went. It is recorded whoever has the lease now: it did happen.
update adjourn.effects
set status = %(status)s, result_type = %(result_type)s, result = %(result)s, error = %(error)s,
    ended_at = clock_timestamp()
where scope = %(scope)s and checkpoint_ns = %(checkpoint_ns)s and name = %(name)s and key = %(key)s;

-- name: past_run
-- Where a run stands, for another run of its tenant, and whether somebody may still be at work on it.
select runs.status, coalesce(leases.expires_at > clock_timestamp(), false) as busy,
    runs.parent_id is not null and asking.parent_id is not null as for_child
from adjourn.runs
join adjourn.runs asking on asking.tenant = runs.tenant
left join adjourn.leases on leases.thread_id = runs.thread_id
where runs.thread_id = %(scope)s and asking.thread_id = %(asked_by)s;

-- name: past_effects
-- What a run did, in the order in which it began it.
select name, key, status, result_type, result from adjourn.effects where scope = %(scope)s order by started_at;
