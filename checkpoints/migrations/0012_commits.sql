-- Functions for the commits of the saver, and for what rides on them.

-- Undo a commit of which calls are refused: {position of the call: why}.
create function adjourn.refuse(calls json) returns void language plpgsql as $$
begin
    raise exception 'calls are refused' using errcode = 'AJ001', detail = calls::text;
end $$;

-- Record drives that are over, and give their leases back. Whoever holds leases must not wait for a run (runs are locked
-- before leases): in a commit of the saver, one that somebody else has locked is left, and its drive asks again.
drop function adjourn.end_runs;
create function adjourn.end_runs(
    thread_ids text[], tokens bigint[], statuses text[], errors text[], checkpointed boolean[], waits boolean
) returns table (of_thread text, ended adjourn.runs) language plpgsql as $$
declare
    this record;
begin
    for this in
        select * from unnest(thread_ids, tokens, statuses, errors, checkpointed)
            as given (thread, token, status, error, checkpointed)
        order by thread
    loop
        if waits then
            perform from adjourn.runs where thread_id = this.thread for no key update;
        else
            perform from adjourn.runs where thread_id = this.thread for no key update skip locked;
            if not found then
                continue;
            end if;
        end if;
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

-- What an answer to a run depends on, as one text that changes with it: the run, its lease and whether somebody holds it,
-- its open questions and the decisions on it.
create function adjourn.answerable(thread text) returns text language sql stable as $$
    select concat_ws(' ',
        (select xmin from adjourn.runs where thread_id = thread),
        (select concat_ws(' ', xmin, expires_at > clock_timestamp()) from adjourn.leases where thread_id = thread),
        (select string_agg(concat(review_id, xmin), ' ' order by review_id)
         from adjourn.reviews where thread_id = thread and status = 'pending'),
        (select max(number) from adjourn.decisions where thread_id = thread))
$$;

-- Lock a run for an answer that was judged by what was read before, or undo it if that has changed meanwhile, or if it
-- took longer than a second to get here.
create function adjourn.still_answerable(thread text, seen text, at timestamptz) returns void language plpgsql as $$
begin
    perform from adjourn.runs where thread_id = thread for no key update;
    if adjourn.answerable(thread) is distinct from seen or clock_timestamp() - at > interval '1 second' then
        raise exception 'what was read has changed' using errcode = 'AJ002';
    end if;
end $$;
