-- name: add_events
-- Number and store a batch of events, and tell listeners; see the function, in a migration.
select of_thread as thread_id, last_seq as seq from adjourn.add_events(%(events)s::jsonb, %(channel)s);

-- name: keep_last
-- Drop the oldest events of a thread that has more than it may keep.
delete from adjourn.event_batches where thread_id = %(thread_id)s and last_seq <= %(until)s;

-- name: drop_old
-- Drop events of runs that ended long ago, a bounded number at a time. The last of each run stay, so that numbers go on
-- where they were if the run does.
delete from adjourn.event_batches
where (thread_id, last_seq) in (
    select e.thread_id, e.last_seq
    from adjourn.event_batches e
    join adjourn.runs r using (thread_id)
    where e.at < now() - make_interval(days => %(days)s)
      and r.ended_at < now() - make_interval(days => %(days)s)
      and e.last_seq < (select max(l.last_seq) from adjourn.event_batches l where l.thread_id = e.thread_id)
    limit 5000
);

-- name: below
-- What is below a run, each behind its parent.
with recursive tree as (
    select thread_id, parent_id, child_id, ended_as, depth, number
    from adjourn.children where parent_id = %(thread_id)s
    union all
    select child.thread_id, child.parent_id, child.child_id, child.ended_as, child.depth, child.number
    from tree join adjourn.children child on child.parent_id = tree.thread_id
)
select thread_id, parent_id, child_id, ended_as from tree order by depth, number limit %(limit)s;

-- name: read_family
-- The next events of several threads behind a number of each, thread by thread, in order. With each stands what was stored in one
-- transaction (batch), and its number there.
select asked.thread_id, next.*
from unnest(%(thread_ids)s::text[], %(afters)s::bigint[]) with ordinality as asked (thread_id, after, place)
cross join lateral (
    select batch.last_seq - jsonb_array_length(batch.events) + each.place as seq, batch.at, batch.batch,
        coalesce((event ->> 'n')::bigint, 0) as number, event ->> 'kind' as kind, event -> 'payload' as payload
    from (
        select *, xmin::text as batch from adjourn.event_batches
        where event_batches.thread_id = asked.thread_id and last_seq > asked.after
        order by last_seq
        limit %(limit)s
    ) as batch, jsonb_array_elements(batch.events) with ordinality as each (event, place)
    where batch.last_seq - jsonb_array_length(batch.events) + each.place > asked.after
    order by seq
    limit %(limit)s
) as next
order by asked.place, next.seq;

-- name: read_events
-- The events of a thread behind a number, in order.
with batch as (
    select * from adjourn.event_batches
    where thread_id = %(thread_id)s and last_seq > %(after)s
    order by last_seq
    limit %(limit)s
)
select last_seq - jsonb_array_length(events) + place as seq, at, event ->> 'kind' as kind, event -> 'payload' as payload
from batch, jsonb_array_elements(events) with ordinality as each (event, place)
where last_seq - jsonb_array_length(events) + place > %(after)s
order by seq
limit %(limit)s;
