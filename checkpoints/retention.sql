-- name: try_lock
-- One pruning at a time in a database; the lock ends with the transaction.
select pg_try_advisory_xact_lock(%(key)s) as taken;

-- name: due_for_pruning
-- Ended runs whose past is kept longer than asked, oldest first. A run that somebody is about to retry, or whose thread
-- is being driven, is passed over; so is a child run while the run at the top of its family goes on, which may look at it
-- again.
select runs.thread_id
from adjourn.runs
where runs.ended_at < %(before)s
    and (runs.pruned_at is null or runs.pruned_at < runs.ended_at)
    and runs.status in ('completed', 'failed', 'cancelled')
    and not exists (
        select from adjourn.leases where leases.thread_id = runs.thread_id and leases.expires_at > clock_timestamp()
    )
    and (runs.parent_id is null or not exists (
        select from adjourn.children join adjourn.runs top on top.thread_id = children.root_id
        where children.thread_id = runs.thread_id and top.ended_at is null
    ))
order by runs.ended_at
limit %(batch)s
for no key update of runs skip locked;

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
    and (runs.parent_id is null or not exists (
        select from adjourn.children join adjourn.runs top on top.thread_id = children.root_id
        where children.thread_id = runs.thread_id and top.ended_at is null
    ))
order by runs.ended_at
limit %(batch)s
for no key update of runs skip locked;

-- name: lock_for_erasing
-- Lock one run with all of its child runs, if they have ended and nobody drives them, and if a parent that may look at it
-- again has, too. Says of each whether its content is gone already; returns nothing where one has not ended.
with family as (
    select runs.thread_id, runs.status, coalesce(runs.erased_at >= runs.ended_at, false) as erased
    from adjourn.runs
    where runs.thread_id = any (adjourn.tree_of(%(thread_id)s))
    order by runs.thread_id
    for no key update
)
select thread_id, erased
from family
where not exists (select from family where status not in ('completed', 'failed', 'cancelled'))
    and not exists (
        select from adjourn.leases join family using (thread_id) where leases.expires_at > clock_timestamp()
    )
    and not exists (
        select from adjourn.children join adjourn.runs top on top.thread_id = children.root_id
        where children.thread_id = %(thread_id)s and top.ended_at is null
    );

-- name: lock_against_events
-- Behind the fence, when no commit of the saver can be waiting for these runs: wait for events that are on their way; none
-- comes later.
select from adjourn.runs where thread_id = any (%(thread_ids)s) order by thread_id for update;

-- name: mark_pruned
-- These are done, until they end again. (The audit gets its entry by this.)
update adjourn.runs set pruned_at = %(now)s, actor = %(actor)s where thread_id = any (%(thread_ids)s);

-- name: erase_content
-- What adjourn itself keeps of what these runs were about: questions and answers, policies, what effects returned, who was
-- told, events, cases that they left to later runs, input, context, and the text of errors. Of the run stay ids, status and
-- times. (The audit gets its entry by this.)
with reviews as (delete from adjourn.reviews where thread_id = any (%(thread_ids)s)),
    decisions as (delete from adjourn.decisions where thread_id = any (%(thread_ids)s)),
    effects as (
        delete from adjourn.effects
        where scope = any (
            %(thread_ids)s::text[] || array(select 'notices:' || id from unnest(%(thread_ids)s::text[]) ids (id)))
    ),
    notices as (delete from adjourn.notices where thread_id = any (%(thread_ids)s)),
    events as (delete from adjourn.event_batches where thread_id = any (%(thread_ids)s)),
    cases as (delete from adjourn.cases where thread_id = any (%(thread_ids)s))
update adjourn.runs
set erased_at = coalesce(%(now)s, clock_timestamp()), pruned_at = coalesce(%(now)s, clock_timestamp()),
    input_type = null, input = null, context_type = null, context = null, policies = null,
    -- only what is known to hold no content; of an error that is encrypted nothing is
    error = case when error is not null then coalesce(
        (select jsonb_object_agg(key, value) from jsonb_each(error) where key in ('type', 'node', 'by', 'attempts')), '{}')
    end,
    actor = %(actor)s
where thread_id = any (%(thread_ids)s);

-- name: drop_cases
-- The oldest cases from before a moment, a bounded number at a time.
delete from adjourn.cases
where ctid = any (array(
    select ctid from adjourn.cases where remembered_at < %(before)s
    order by remembered_at limit %(batch)s for update skip locked
));

-- name: forget_deleted
-- The traces of threads that were deleted so long ago that no run from before can be under way. Tokens come from one
-- sequence, so a thread whose row is gone still gets a higher one next time.
delete from adjourn.leases
where deleted_at < %(before)s and expires_at = '-infinity'
    and not exists (select from adjourn.runs where runs.thread_id = leases.thread_id);
