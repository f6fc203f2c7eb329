-- A worker finds the first job of its queues whatever lies in others: one look into this index for each queue. Procrastinate's
-- own function walks over all jobs in the order of their priority, past those of other queues.
create index jobs_by_queue on adjourn.procrastinate_jobs (queue_name, priority desc, id) where status = 'todo';

-- What Procrastinate's function does, for jobs that carry no lock: the job that is taken is locked, and those that others are
-- taking at this moment are skipped. Only where they take all that was looked at is looked at more.
create function adjourn.fetch_job(queues text[], worker bigint) returns adjourn.procrastinate_jobs
language plpgsql as $$
declare
    most  bigint := 8;
    seen  bigint;
    head  record;
    found adjourn.procrastinate_jobs;
begin
    loop
        seen := 0;
        for head in
            select job.id
            from unnest(queues) as wanted (queue)
            cross join lateral (
                select id, priority from adjourn.procrastinate_jobs
                where status = 'todo' and queue_name = wanted.queue and (scheduled_at is null or scheduled_at <= now())
                order by priority desc, id
                limit most
            ) as job
            order by job.priority desc, job.id
        loop
            seen := seen + 1;
            select * into found from adjourn.procrastinate_jobs
            where id = head.id and status = 'todo'
            for update skip locked;
            if found.id is not null then
                update adjourn.procrastinate_jobs set status = 'doing', worker_id = worker
                where id = found.id
                returning * into found;
                return found;
            end if;
        end loop;
        exit when seen < most;
        most := most * 8;
    end loop;
    return null;
end $$;
