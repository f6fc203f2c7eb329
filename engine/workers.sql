-- name: beat
-- A worker is alive. The row is made by the first beat, and again if somebody has swept it away.
insert into adjourn.workers (owner, host, pid, version, concurrency, workflows, draining)
values (%(owner)s, %(host)s, %(pid)s, %(version)s, %(concurrency)s, %(workflows)s::text[], %(draining)s)
on conflict (owner) do update set seen_at = clock_timestamp(), draining = excluded.draining;

-- name: leave
-- A worker ends.
delete from adjourn.workers where owner = %(owner)s;

-- name: forget
-- Workers that ended without a word, after people had time to see that.
delete from adjourn.workers where seen_at < clock_timestamp() - make_interval(secs => %(seconds)s);

-- name: workers
-- The workers, the oldest first, with the runs whose leases they hold.
select workers.*, extract(epoch from clock_timestamp() - seen_at)::float as silent,
    coalesce(jsonb_agg(jsonb_build_object(
            'thread_id', runs.thread_id, 'workflow', runs.workflow, 'tenant', runs.tenant, 'since', runs.updated_at)
        order by runs.updated_at) filter (where runs.thread_id is not null), '[]') as busy
from adjourn.workers
left join adjourn.leases on leases.owner = workers.owner and leases.expires_at > clock_timestamp()
left join adjourn.runs on runs.thread_id = leases.thread_id and runs.status = 'running'
group by workers.owner
order by workers.started_at;

-- name: queues
-- The queued runs of a tenant (null: of all) by workflow, with how long the first of them waits, and how many workers take them.
select workflow, count(*) as waiting, extract(epoch from clock_timestamp() - min(updated_at))::float as lag,
    (select count(*) from adjourn.workers
     where runs.workflow = any(workers.workflows) and not draining
       and seen_at > clock_timestamp() - make_interval(secs => %(silence)s)) as workers
from adjourn.runs
where status = 'queued' and (%(tenant)s::text is null or tenant = %(tenant)s)
group by workflow
order by workflow;

-- name: totals
-- Runs that are driven, and those whose driver is gone, and open reviews whose deadline has passed, of a tenant (null: of all).
select
    count(*) filter (where leases.expires_at > clock_timestamp()) as leases,
    count(*) filter (where leases.expires_at <= clock_timestamp()) as stalled,
    (select count(*) from adjourn.reviews
     where status = 'pending' and due_at <= clock_timestamp()
       and (%(tenant)s::text is null or tenant = %(tenant)s)) as overdue,
    clock_timestamp() as at
from adjourn.runs left join adjourn.leases using (thread_id)
where runs.status = 'running' and (%(tenant)s::text is null or runs.tenant = %(tenant)s);
