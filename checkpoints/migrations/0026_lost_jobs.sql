-- Queued runs whose job is gone are found by walking through those that have waited for a while, some at a time: this index
-- says which come next, and the other whether a run has a job.
create index runs_in_queue on adjourn.runs ((coalesce(queued_at, created_at)), thread_id)
    where status = 'queued' and coalesce(admission, 'admitted') = 'admitted';

create index jobs_by_thread on adjourn.procrastinate_jobs ((args ->> 'thread_id')) where status in ('todo', 'doing');
