-- Events as they are written: one row for all events of a run that are written at once. A row each cost more than the rest of
-- what the engine records of a run.
create table adjourn.event_batches (
    thread_id text        not null references adjourn.runs on delete cascade,
    -- the number of its last event
    last_seq  bigint      not null,
    at        timestamptz not null,
    -- [{"kind": …, "payload": …}, …]
    events    jsonb       not null,
    primary key (thread_id, last_seq)
);
create index event_batches_by_age on adjourn.event_batches using brin (at);

insert into adjourn.event_batches (thread_id, last_seq, at, events)
select thread_id, seq, at, jsonb_build_array(jsonb_build_object('kind', kind, 'payload', payload)) from adjourn.events;
drop table adjourn.events;

-- The events one by one, 1, 2, 3, … in each thread.
create view adjourn.events as
select thread_id, last_seq - jsonb_array_length(events) + place as seq, at,
    event ->> 'kind' as kind, event -> 'payload' as payload
from adjourn.event_batches, jsonb_array_elements(events) with ordinality as each (event, place);

-- Number and store events, and tell listeners. Two who write of one thread take turns, so nothing becomes visible behind a
-- reader.
create or replace function adjourn.add_events(given jsonb, channel text)
returns table (of_thread text, last_seq bigint) language plpgsql as $$
declare
    this record;
begin
    for this in
        select thread, events from jsonb_to_recordset(given) as each (thread text, events jsonb) order by thread
    loop
        perform from adjourn.runs
        where thread_id = this.thread and (erased_at is null or ended_at is null or ended_at > erased_at)
        for key share;
        if not found then
            continue;
        end if;
        perform pg_advisory_xact_lock(hashtextextended('adjourn.events ' || this.thread, 0));
        of_thread := this.thread;
        select coalesce(max(batch.last_seq), 0) + jsonb_array_length(this.events) into last_seq
        from adjourn.event_batches batch where batch.thread_id = this.thread;
        insert into adjourn.event_batches values (this.thread, last_seq, clock_timestamp(), this.events);
        perform pg_notify(channel, json_build_array(this.thread, last_seq)::text);
        return next;
    end loop;
end $$;
