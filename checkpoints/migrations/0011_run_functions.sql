-- What every run needs, as functions: the plans of their statements are made once for each connection. As one statement over
-- arrays, the end of a run took more time to plan than to do. They go by thread id, like everything that locks several runs
-- or leases, so that nobody waits in a circle.

-- Record drives that are over, and give their leases back. No answer can be missed here: nobody goes on with one after the
-- end of a run, or after its failure. Each run is locked before its lease; one that was cancelled meanwhile stays so. Returns
-- the threads whose lease was held, with the run's row if it was ended.
create function adjourn.end_runs(
    thread_ids text[], tokens bigint[], statuses text[], errors text[], checkpointed boolean[]
) returns table (of_thread text, ended adjourn.runs) language plpgsql as $$
declare
    this record;
begin
    for this in
        select * from unnest(thread_ids, tokens, statuses, errors, checkpointed)
            as given (thread, token, status, error, checkpointed)
        order by thread
    loop
        perform from adjourn.runs where thread_id = this.thread for no key update;
        update adjourn.leases set expires_at = '-infinity'
        where leases.thread_id = this.thread and leases.token = this.token;
        if not found then
            continue;
        end if;
        of_thread := this.thread;
        ended := null;
        update adjourn.runs
        set status = this.status,
            error = this.error::jsonb,
            updated_at = now(),
            ended_at = now(),
            input = case when this.checkpointed then null else input end,
            input_type = case when this.checkpointed then null else input_type end,
            attempts = '[]', attempted_checkpoint = null, next_attempt_at = null
        where runs.thread_id = this.thread and runs.status = 'running'
        returning runs.* into ended;
        if this.status = 'completed' then
            update adjourn.reviews set status = 'withdrawn', closed_at = now()
            where reviews.thread_id = this.thread and reviews.status = 'pending';
        end if;
        return next;
    end loop;
end $$;

-- Number and store events of any threads, and tell listeners the last number of each thread. Events of threads that are
-- gone are left out, and of runs whose content was erased; erasing waits for those that are on their way.
--   given: [{"thread": …, "events": [{"kind": …, "payload": …}, …]}, …]
create function adjourn.add_events(given jsonb, channel text)
returns table (of_thread text, last_seq bigint) language plpgsql as $$
declare
    this  record;
    first bigint;
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
        select coalesce(max(seq), 0) into first from adjourn.events where thread_id = this.thread;
        insert into adjourn.events (thread_id, seq, at, kind, payload)
        select this.thread, first + place, clock_timestamp(), event ->> 'kind', event -> 'payload'
        from jsonb_array_elements(this.events) with ordinality as each (event, place);
        of_thread := this.thread;
        last_seq := first + jsonb_array_length(this.events);
        perform pg_notify(channel, json_build_array(this.thread, last_seq)::text);
        return next;
    end loop;
end $$;
