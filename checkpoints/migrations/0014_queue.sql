-- Runs that workers are to drive. Such a run has the status `queued`, and a job of Procrastinate that holds its thread id and
-- nothing else; the statement that makes it so and the job are one transaction.

-- The queue of a workflow has its name, so that a worker takes what it has the code for. Procrastinate makes the name of a
-- channel of it, which may have 63 bytes.
create function adjourn.queue_of(workflow text) returns text language sql immutable parallel safe as $$
    select case when octet_length(workflow) <= 40 then workflow
        else '#' || left(encode(sha256(convert_to(workflow, 'UTF8')), 'hex'), 39) end
$$;

-- Enqueue runs, in the order in which they are given. A run may have several jobs: whichever comes first drives it, and the
-- others end at once.
create function adjourn.enqueue(thread_ids text[], priority integer default 0, due timestamptz default null)
returns void language sql as $$
    select adjourn.procrastinate_defer_jobs_v1(array_agg(
        row(
            adjourn.queue_of(runs.workflow), 'adjourn:drive', priority, null, null,
            jsonb_build_object('thread_id', thread_id), due
        )::adjourn.procrastinate_job_to_defer_v1
        order by place))
    from unnest(thread_ids) with ordinality as given (thread_id, place) join adjourn.runs using (thread_id)
$$;
