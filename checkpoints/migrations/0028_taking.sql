-- A worker's next job and its run, taken with one statement.

-- The most urgent job of some queues that nobody else is taking at this moment, locked. One look into an index for each queue;
-- only where others take all that was looked at is looked at more.
create function adjourn.lock_job(queues text[]) returns adjourn.procrastinate_jobs
language plpgsql as $$
declare
    most bigint := 8;
    seen bigint;
    head record;
    job  adjourn.procrastinate_jobs;
begin
    loop
        seen := 0;
        for head in
            select ready.id
            from unnest(queues) as wanted (queue)
            cross join lateral (
                select id, priority from adjourn.procrastinate_jobs
                where status = 'todo' and queue_name = wanted.queue and (scheduled_at is null or scheduled_at <= now())
                order by priority desc, id
                limit most
            ) as ready
            order by ready.priority desc, ready.id
        loop
            seen := seen + 1;
            select * into job from adjourn.procrastinate_jobs
            where id = head.id and status = 'todo'
            for update skip locked;
            if job.id is not null then
                return job;
            end if;
        end loop;
        exit when seen < most;
        most := most * 8;
    end loop;
    return null;
end $$;

-- What Procrastinate's function does, for jobs that carry no lock.
create or replace function adjourn.fetch_job(queues text[], worker bigint) returns adjourn.procrastinate_jobs
language plpgsql as $$
declare
    job adjourn.procrastinate_jobs := adjourn.lock_job(queues);
begin
    update adjourn.procrastinate_jobs set status = 'doing', worker_id = worker
    where id = job.id
    returning * into job;
    return job;
end $$;

-- Take the lease of a queued run that nothing holds back. It never waits for a run that somebody else has locked: who is
-- taking a job holds locks that whoever waits for the run could want. Returns nothing where there is more to it; then the
-- statement `claim_queued` takes the run, or does not.
create function adjourn.take_run(thread text, new_owner text, seconds double precision, who jsonb)
returns table (run adjourn.runs, token bigint, was text) language plpgsql as $$
declare
    is_first boolean;
begin
    perform from adjourn.runs
    where runs.thread_id = thread and runs.status = 'queued'
      and (runs.admission = 'admitted' or runs.admission is null and not adjourn.is_limited(runs.workflow, runs.tenant))
    for no key update skip locked;
    if not found then
        return;
    end if;
    insert into adjourn.leases (thread_id, owner, expires_at)
    values (thread, new_owner, clock_timestamp() + make_interval(secs => seconds))
    on conflict (thread_id) do update
        set token = nextval('adjourn.lease_tokens'), owner = excluded.owner, expires_at = excluded.expires_at
        where leases.expires_at <= clock_timestamp()
    returning leases.token, leases.xmax = 0 into token, is_first;
    if not found then
        return;
    end if;
    -- if this is an attempt of recovery's, it is ours
    update adjourn.runs
    set status = 'running', error = null, ended_at = null, updated_at = now(), actor = who,
        attempts = case when attempts = '[]' then attempts else jsonb_set(attempts, '{-1}', to_jsonb(new_owner)) end
    where runs.thread_id = thread
    returning runs.* into run;
    was := case when is_first then 'new' else 'queued' end;
    return next;
end $$;

-- The next job of some queues; and of the queues at hand the job's run with it, its lease, where its thread stands, and a row
-- for each answer that it is to be given. A job whose run is taken has done all that it is for, and is deleted: if the worker
-- dies, the lease runs out, and recovery finds the run. `more` says whether there is another job. Always returns a row.
create function adjourn.take_job(
    queues text[], at_hand text[], worker bigint, new_owner text, seconds double precision, who jsonb
) returns table (
    job adjourn.procrastinate_jobs, more boolean, run adjourn.runs, token bigint, was text, "position" text,
    review_id text, decided_by text, decided_at timestamptz, question_type text, question bytea, answer_type text,
    answer bytea, approved_by text[]
) language plpgsql as $$
declare
    thread  text;
    claimed record;
begin
    job := adjourn.lock_job(queues);
    thread := case when job.queue_name = any(at_hand) then job.args ->> 'thread_id' end;
    select * into claimed from adjourn.take_run(thread, new_owner, seconds, who);
    if found then
        delete from adjourn.procrastinate_jobs where id = job.id;
        job.status := 'doing';
    else
        update adjourn.procrastinate_jobs set status = 'doing', worker_id = worker where id = job.id returning * into job;
    end if;
    -- whoever has got no run asks again in any case
    more := claimed.token is null or exists (
        select from unnest(queues) as wanted (queue)
        cross join lateral (
            select from adjourn.procrastinate_jobs
            where status = 'todo' and queue_name = wanted.queue and (scheduled_at is null or scheduled_at <= now())
            limit 1
        ) as waiting
    );
    if claimed.token is null then
        return next;
        return;
    end if;
    return query
        select job, more, claimed.run, claimed.token, claimed.was,
            case when claimed.was <> 'new' then adjourn.position(thread) end, given.*
        from (values (1)) as one left join adjourn.unconsumed(thread) as given on claimed.was <> 'new';
end $$;

-- Let a worker go on with a run that nobody drives, in a transaction that has locked it; returns the run if it was queued by
-- this. Its lease gets a new token, so that a driver that was given up for dead can store nothing more, nor keep its lease
-- alive.
create function adjourn.queue_run(thread text, who jsonb) returns setof adjourn.runs language plpgsql as $$
declare
    queued adjourn.runs;
begin
    perform from adjourn.runs where thread_id = thread and status in ('paused', 'running');
    if not found then
        return;
    end if;
    update adjourn.leases set token = nextval('adjourn.lease_tokens'), expires_at = '-infinity'
    where thread_id = thread and expires_at <= clock_timestamp();
    if not found then
        return;
    end if;
    update adjourn.runs
    set status = 'queued', error = null, ended_at = null, updated_at = now(), actor = who
    where thread_id = thread
    returning * into queued;
    perform adjourn.enqueue(array[thread]);
    return next queued;
end $$;
