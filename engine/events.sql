-- name: add_events
-- Number and store a batch of events, and tell listeners; see the function, in a migration.
select of_thread as thread_id, last_seq as seq from adjourn.add_events(%(events)s::jsonb, %(channel)s);

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
