-- name: add_events
-- Number and store a batch of events of any threads, and tell listeners the last number of each thread. Events of
-- threads that are gone are left out, and of runs whose content was erased; erasing waits for those that are on their way.
with given as (
    select g.thread_id, g.kind, g.payload, g.place
    from rows from (jsonb_to_recordset(%(events)s::jsonb) as (thread_id text, kind text, payload jsonb))
         with ordinality as g (thread_id, kind, payload, place)
    join adjourn.runs using (thread_id)
    where runs.erased_at is null or runs.ended_at is null or runs.ended_at > runs.erased_at
    order by thread_id
    for key share of runs
), added as (
    insert into adjourn.events (thread_id, seq, at, kind, payload)
    select thread_id,
           coalesce((select max(e.seq) from adjourn.events e where e.thread_id = given.thread_id), 0)
               + row_number() over (partition by thread_id order by place),
           clock_timestamp(), kind, payload
    from given
    returning thread_id, seq
), told as (
    select thread_id, max(seq) as seq from added group by thread_id
)
select thread_id, seq, pg_notify(%(channel)s, json_build_array(thread_id, seq)::text) from told;

-- name: keep_last
-- Drop the oldest events of a thread that has more than it may keep.
delete from adjourn.events where thread_id = %(thread_id)s and seq <= %(until)s;

-- name: drop_old
-- Drop events of runs that ended long ago, a bounded number at a time. The last of each run stays, so that numbers go on
-- where they were if the run does.
delete from adjourn.events
where (thread_id, seq) in (
    select e.thread_id, e.seq
    from adjourn.events e
    join adjourn.runs r using (thread_id)
    where e.at < now() - make_interval(days => %(days)s)
      and r.ended_at < now() - make_interval(days => %(days)s)
      and e.seq < (select max(l.seq) from adjourn.events l where l.thread_id = e.thread_id)
    limit 5000
);

-- name: read_events
-- The events of a thread behind a number, in order.
select seq, at, kind, payload from adjourn.events
where thread_id = %(thread_id)s and seq > %(after)s
order by seq
limit %(limit)s;
