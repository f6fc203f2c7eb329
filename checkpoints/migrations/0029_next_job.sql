-- A worker takes its next job for less: nothing of it is planned again each time, and whether there is another is known from
-- finding this one. A run that is taken for the first time says whether its thread holds anything.

-- The most urgent job of some queues that nobody else is taking at this moment, locked, or nothing; and whether there is
-- another, which may be what others are taking. One look into an index for each queue; only where others take all that was
-- looked at is looked at more. How many queues there are says little about how to look: PostgreSQL would plan anew for it.
create function adjourn.next_job(queues text[], out job adjourn.procrastinate_jobs, out more boolean)
language plpgsql set plan_cache_mode = force_generic_plan as $$
declare
    most  bigint := 8;
    heads bigint[];
begin
    more := false;
    loop
        heads := array(
            select ready.id
            from unnest(queues) as wanted (queue)
            cross join lateral (
                select id, priority from adjourn.procrastinate_jobs
                where status = 'todo' and queue_name = wanted.queue and (scheduled_at is null or scheduled_at <= now())
                order by priority desc, id
                limit most
            ) as ready
            order by ready.priority desc, ready.id
        );
        for n in 1 .. cardinality(heads) loop
            select * into job from adjourn.procrastinate_jobs
            where id = heads[n] and status = 'todo'
            for update skip locked;
            if job.id is not null then
                more := cardinality(heads) > 1;
                return;
            end if;
        end loop;
        exit when cardinality(heads) < most;
        most := most * 8;
    end loop;
end $$;

-- What Procrastinate's function does, for jobs that carry no lock.
create or replace function adjourn.fetch_job(queues text[], worker bigint) returns adjourn.procrastinate_jobs
language plpgsql as $$
declare
    next  record;
    taken adjourn.procrastinate_jobs;
begin
    select * into next from adjourn.next_job(queues);
    update adjourn.procrastinate_jobs set status = 'doing', worker_id = worker
    where id = (next.job).id
    returning * into taken;
    return taken;
end $$;

-- As before. A run that is taken for the first time has a position, too, if anything is stored for its thread: it is looked at
-- under the lease.
create or replace function adjourn.take_job(
    queues text[], at_hand text[], worker bigint, new_owner text, seconds double precision, who jsonb
) returns table (
    job adjourn.procrastinate_jobs, more boolean, run adjourn.runs, token bigint, was text, "position" text,
    review_id text, decided_by text, decided_at timestamptz, question_type text, question bytea, answer_type text,
    answer bytea, approved_by text[]
) language plpgsql as $$
declare
    next    record;
    thread  text;
    claimed record;
begin
    select * into next from adjourn.next_job(queues);
    job := next.job;
    thread := case when job.queue_name = any(at_hand) then job.args ->> 'thread_id' end;
    select * into claimed from adjourn.take_run(thread, new_owner, seconds, who);
    if claimed.token is null then
        update adjourn.procrastinate_jobs set status = 'doing', worker_id = worker where id = job.id returning * into job;
        more := true;  -- whoever has got no run asks again in any case
        return next;
        return;
    end if;
    delete from adjourn.procrastinate_jobs where id = job.id;
    job.status := 'doing';
    more := next.more;
    run := claimed.run;
    token := claimed.token;
    was := claimed.was;
    "position" := adjourn.position(thread);
    if was = 'new' then
        return next;
        return;
    end if;
    return query
        select job, more, run, token, was, "position", given.*
        from (values (1)) as one left join adjourn.unconsumed(thread) as given on true;
end $$;

drop function adjourn.lock_job;
