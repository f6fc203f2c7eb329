-- name: has_leases
-- A row if adjourn's tables exist beside LangGraph's.
select 1 where to_regclass('adjourn.leases') is not null;

-- name: fence_off
-- Before a thread is deleted: take it from whoever drives it (this waits for a commit under way), and note how far it
-- is deleted, for runs that hold no lease. A thread that stores nothing and was never leased leaves no trace.
insert into adjourn.leases (thread_id, owner, expires_at, deleted_until, deleted_at)
select given.thread_id, 'deleted', '-infinity', newest.checkpoint_id, now()
from unnest(%(thread_ids)s::text[]) as given (thread_id)
cross join lateral (
    select max(checkpoint_id collate "C") as checkpoint_id from checkpoints where thread_id = given.thread_id
) as newest
where newest.checkpoint_id is not null
    or exists (select from adjourn.leases where leases.thread_id = given.thread_id)
order by given.thread_id
on conflict (thread_id) do update set
    token = nextval('adjourn.lease_tokens'),
    owner = excluded.owner,
    expires_at = excluded.expires_at,
    deleted_until = greatest(leases.deleted_until, excluded.deleted_until),
    deleted_at = excluded.deleted_at;

-- name: delete_threads
-- Everything that LangGraph stores for some threads.
with heads as (delete from checkpoints where thread_id = any (%(thread_ids)s)),
    blobs as (delete from checkpoint_blobs where thread_id = any (%(thread_ids)s))
delete from checkpoint_writes where thread_id = any (%(thread_ids)s);

-- name: copy_thread
-- Everything that LangGraph stores for a thread, under another thread id; one statement, so one moment of the thread.
with heads as (
    insert into checkpoints
        (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
    select %(target)s, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata
    from checkpoints where thread_id = %(source)s
    on conflict do nothing
),
blobs as (
    insert into checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    select %(target)s, checkpoint_ns, channel, version, type, blob
    from checkpoint_blobs where thread_id = %(source)s
    on conflict do nothing
)
insert into checkpoint_writes
    (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
select %(target)s, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob
from checkpoint_writes where thread_id = %(source)s
on conflict do nothing;

-- name: delete_for_runs
-- The checkpoints that some runs made, their writes, and the values that no other checkpoint refers to. Reads the whole
-- table: LangGraph keeps the run's id in the metadata, and an index on it would slow every commit.
with gone as (
    delete from checkpoints where metadata ->> 'run_id' = any (%(run_ids)s)
    returning thread_id, checkpoint_ns, checkpoint_id, checkpoint -> 'channel_versions' as versions
),
writes as (
    delete from checkpoint_writes using gone
    where checkpoint_writes.thread_id = gone.thread_id
        and checkpoint_writes.checkpoint_ns = gone.checkpoint_ns
        and checkpoint_writes.checkpoint_id = gone.checkpoint_id
),
freed as (
    select distinct gone.thread_id, gone.checkpoint_ns, version.key as channel, version.value as version
    from gone cross join lateral jsonb_each_text(gone.versions) as version
),
orphans as (
    update checkpoints set parent_checkpoint_id = null
    from gone
    where checkpoints.thread_id = gone.thread_id
        and checkpoints.checkpoint_ns = gone.checkpoint_ns
        and checkpoints.parent_checkpoint_id = gone.checkpoint_id
        and not coalesce(checkpoints.metadata ->> 'run_id' = any (%(run_ids)s), false)
)
delete from checkpoint_blobs using freed
where checkpoint_blobs.thread_id = freed.thread_id
    and checkpoint_blobs.checkpoint_ns = freed.checkpoint_ns
    and checkpoint_blobs.channel = freed.channel
    and checkpoint_blobs.version = freed.version
    and not exists (
        select from checkpoints as kept
        where kept.thread_id = freed.thread_id
            and kept.checkpoint_ns = freed.checkpoint_ns
            and kept.checkpoint -> 'channel_versions' ->> freed.channel = freed.version
            and not coalesce(kept.metadata ->> 'run_id' = any (%(run_ids)s), false)
    );
