-- Recording an answer is what somebody waits for, so it is one function without calls of others: each call takes as long as a
-- look at an index, and the run's row, which is locked at the beginning, need not be looked for again to take its lease.

create or replace function adjourn.record_answer(
    thread text, seen text, at timestamptz, decided jsonb, claims boolean, of_tenant text, expected text[],
    new_owner text, seconds double precision, who jsonb
) returns table (
    run adjourn.runs, token bigint, was text, "position" text, review_id text, decided_by text, decided_at timestamptz,
    question_type text, question bytea, answer_type text, answer bytea, approved_by text[]
) language plpgsql as $$
declare
    tenant_of text;
begin
    select runs.status, runs.tenant into was, tenant_of
    from adjourn.runs where runs.thread_id = thread for no key update;
    -- a new statement: it sees what was committed while the lock was waited for
    if adjourn.answerable(thread) is distinct from seen
        or clock_timestamp() - at not between interval '-0.1 seconds' and interval '1 second' then
        raise exception 'what was read has changed' using errcode = 'AJ002';
    end if;
    for i in 0 .. jsonb_array_length(decided) - 1 loop
        perform adjourn.record_decision(decided -> i);
    end loop;
    if not claims or was <> all (expected) or tenant_of <> of_tenant then
        return;
    end if;
    insert into adjourn.leases (thread_id, owner, expires_at)
    values (thread, new_owner, clock_timestamp() + make_interval(secs => seconds))
    on conflict (thread_id) do update
        set token = nextval('adjourn.lease_tokens'), owner = excluded.owner, expires_at = excluded.expires_at
        where leases.expires_at <= clock_timestamp()
    returning leases.token into token;
    if not found then
        return;
    end if;
    update adjourn.runs set status = 'running', error = null, ended_at = null, updated_at = now(), actor = who
    where runs.thread_id = thread
    returning runs.* into run;
    return query
        select run, token, was, adjourn.position(thread), given.* from adjourn.unconsumed(thread) given;
end $$;
drop function adjourn.still_answerable(text, text, timestamptz);

-- The leases of one process are few among those that are held, which have an index of their own.
drop index adjourn.leases_by_owner;
