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
