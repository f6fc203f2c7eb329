-- What is done with every change of a run, with less: PostgreSQL reads the condition of each trigger anew for each statement,
-- so there are fewer and shorter ones, and what a trigger looked for is found by the function that has the row at hand.

-- Pages keep room for the next state of a run, of which each has several.
alter table adjourn.runs set (fillfactor = 70);

-- Whoever makes a run queued, it is decided here whether it has to wait. Those who admit runs are told when one waits, and
-- when one has given up its place; without limits nobody is told anything.
create or replace function adjourn.hold_back() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and old.status = 'queued' then
        return new;
    end if;
    if new.status = 'queued' then
        new.queued_at := clock_timestamp();
        new.begun := tg_op = 'UPDATE';
        if new.start_at > clock_timestamp() then
            new.admission := 'later';
        elsif adjourn.is_limited(new.workflow, new.tenant) then
            new.admission := 'waiting';
        else
            new.admission := null;
        end if;
        if new.admission is not null then
            perform pg_notify('adjourn_admission', '');
        end if;
    elsif adjourn.is_limited(new.workflow, new.tenant) then
        new.admission := 'admitted';  -- it is driven by whoever started it, and counts
    end if;
    return new;
end $$;
drop trigger hold_back on adjourn.runs;
create trigger hold_back before update of status on adjourn.runs
    for each row when (new.status = 'queued') execute function adjourn.hold_back();

-- A run that came under a limit begins for the first time: it counts for a minute; or it gives up its place: those who admit
-- runs are told.
create function adjourn.place_changed() returns trigger language plpgsql as $$
declare
    was text := case when tg_op = 'UPDATE' then old.status end;
begin
    if new.status = 'running' and (was is null or was = 'queued' and not new.begun) then
        insert into adjourn.starts (workflow, tenant)
        select new.workflow, new.tenant where exists (select from adjourn.limits where per_minute is not null);
    elsif was in ('queued', 'running') and new.status not in ('queued', 'running') then
        perform pg_notify('adjourn_admission', '');
    end if;
    return null;
end $$;
drop trigger note_start_new on adjourn.runs;
drop trigger note_start on adjourn.runs;
drop trigger tell_of_place on adjourn.runs;
drop function adjourn.note_start;
drop function adjourn.tell_of_place;
create trigger place_changed after insert or update of status on adjourn.runs
    for each row when (new.admission = 'admitted') execute function adjourn.place_changed();

-- Whatever ends a run, or goes on with one that had ended, writes it down here, in its own transaction and at its end: what a
-- group of ends locks here it locks after all of its runs and leases.
-- Where workers drive the family, the parent that waits for it gets a job; whoever else ends a child goes on with the parent
-- by itself.
create or replace function adjourn.child_changed() returns trigger language plpgsql as $$
declare
    ends    boolean := new.status in ('completed', 'failed', 'cancelled');
    awaited boolean;
begin
    if new.status = old.status or not (ends or old.status in ('completed', 'failed', 'cancelled')) then
        return null;
    end if;
    update adjourn.children set ended_as = case when ends then new.status end
    where thread_id = new.thread_id
    returning waited is not null into awaited;
    if awaited and ends then
        perform adjourn.enqueue(array[parent.thread_id]) from adjourn.runs parent
        where parent.thread_id = new.parent_id and parent.status = 'paused'
          and 'worker' in (parent.actor ->> 'channel', new.actor ->> 'channel');
    end if;
    return null;
end $$;
drop trigger child_changed on adjourn.runs;
create constraint trigger child_changed after update of status on adjourn.runs
    deferrable initially deferred
    for each row when (new.parent_id is not null) execute function adjourn.child_changed();

-- Record drives that are over, and give their leases back. Whoever holds leases must not wait for a run (runs are locked
-- before leases): in a commit of the saver, one that somebody else has locked is left, and its drive asks again.
create or replace function adjourn.end_runs(
    thread_ids text[], tokens bigint[], statuses text[], errors text[], checkpointed boolean[], waits boolean
) returns table (of_thread text, ended adjourn.runs) language plpgsql as $$
declare
    places integer[] := '{1}';
    place  integer;
begin
    if thread_ids is null then
        return;
    end if;
    if cardinality(thread_ids) > 1 then
        places := array(select n::integer from unnest(thread_ids) with ordinality as given (thread, n) order by thread);
    end if;
    foreach place in array places loop
        of_thread := thread_ids[place];
        if waits then
            perform from adjourn.runs where thread_id = of_thread for no key update;
        else
            perform from adjourn.runs where thread_id = of_thread for no key update skip locked;
            if not found then
                continue;
            end if;
        end if;
        update adjourn.leases set expires_at = '-infinity'
        where leases.thread_id = of_thread and leases.token = tokens[place];
        if not found then
            continue;
        end if;
        ended := null;
        update adjourn.runs
        set status = statuses[place],
            error = errors[place]::jsonb,
            updated_at = now(),
            ended_at = now(),
            input = case when checkpointed[place] then null else input end,
            input_type = case when checkpointed[place] then null else input_type end,
            attempts = '[]', attempted_checkpoint = null, next_attempt_at = null
        where runs.thread_id = of_thread and runs.status = 'running'
        returning runs.* into ended;
        if statuses[place] = 'completed' then
            update adjourn.reviews set status = 'withdrawn', closed_at = now()
            where reviews.thread_id = of_thread and reviews.status = 'pending';
        end if;
        return next;
    end loop;
end $$;

-- Record that a run pauses, and give its lease back, unless an answer came meanwhile that its drive was not given (`ends` is false
-- then, nothing changes and the drive goes on); no row when the lease was lost. With the lease locked, the third statement sees
-- every answer whose sender found it taken: whoever wants it from then on waits. A run that was cancelled meanwhile stays so.
create function adjourn.pause_run(thread text, lease bigint, checkpointed boolean, fed text[])
returns table (run adjourn.runs, ends boolean) language plpgsql as $$
begin
    perform from adjourn.runs where thread_id = thread for no key update;
    perform from adjourn.leases where thread_id = thread and token = lease for update;
    if not found then
        return;
    end if;
    ends := not exists (
        select from adjourn.decisions
        where thread_id = thread and final and consumed_at is null and review_id <> all (fed));
    if ends then
        update adjourn.runs
        set status = 'paused',
            error = null,
            updated_at = now(),
            ended_at = null,
            input = case when checkpointed then null else input end,
            input_type = case when checkpointed then null else input_type end,
            attempts = '[]', attempted_checkpoint = null, next_attempt_at = null
        where thread_id = thread and status = 'running'
        returning runs.* into run;
        update adjourn.leases set expires_at = '-infinity' where thread_id = thread and token = lease;
    end if;
    return next;
end $$;

-- Number and store events, and tell listeners. Two who write of one thread take turns, so nothing becomes visible behind a
-- reader. Whoever follows a run with its child runs hears of a new one when its first events are stored.
create or replace function adjourn.add_events(given jsonb, channel text)
returns table (of_thread text, last_seq bigint) language plpgsql as $$
declare
    this   record;
    parent text;
begin
    for this in
        select thread, events, jsonb_array_length(events) as count
        from jsonb_to_recordset(given) as each (thread text, events jsonb) order by thread
    loop
        select parent_id into parent from adjourn.runs
        where thread_id = this.thread and (erased_at is null or ended_at is null or ended_at > erased_at)
        for key share;
        if not found then
            continue;
        end if;
        perform pg_advisory_xact_lock(hashtextextended('adjourn.events ' || this.thread, 0));
        of_thread := this.thread;
        select coalesce(max(batch.last_seq), 0) + this.count into last_seq
        from adjourn.event_batches batch where batch.thread_id = this.thread;
        insert into adjourn.event_batches values (this.thread, last_seq, clock_timestamp(), this.events);
        perform pg_notify(channel, json_build_array(this.thread, last_seq)::text);
        if parent is not null and last_seq = this.count then
            perform pg_notify(channel, json_build_array(parent, 0)::text);
        end if;
        return next;
    end loop;
end $$;
drop trigger tell_parent on adjourn.event_batches;
drop function adjourn.tell_parent;
