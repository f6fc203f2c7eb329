-- name: fenced
-- First half of a commit: which calls may store their rows. Each names its thread, its lease token (or none) and the
-- checkpoint that it builds on. Locking the leases makes this a fence: the newest version of each row is read, and
-- nobody takes a thread over before this commit has ended. They are looked up one by one, in their index: for `= any`
-- PostgreSQL would read the whole table while it is small, and go on so when it has grown. The condition that is always true
-- lets it expect few of them, or it would plan each commit anew.
with call as (
    select n - 1 as n, thread_id, token, base
    from unnest(%b::text[], %b::bigint[], %b::text[]) with ordinality as c (thread_id, token, base, n)
),
lease as materialized (
    select held.*
    from unnest(%b::text[]) as wanted (thread_id)
    cross join lateral (
        select thread_id, token, expires_at, deleted_until
        from adjourn.leases
        where leases.thread_id = wanted.thread_id
        for key share
    ) as held
    where wanted.thread_id >= ''
),
judged as materialized (
    select call.n, call.thread_id,
        case
            when call.token is not null and lease.token is distinct from call.token then 'lost'
            when call.token is null and lease.expires_at > clock_timestamp() then 'busy'
            when call.token is null and call.base <= lease.deleted_until then 'deleted'
        end as refused
    from call left join lease using (thread_id)
)

-- name: unfenced
-- The same where adjourn's tables do not exist: LangGraph's tables alone know no leases.
with judged as materialized (
    select n - 1 as n, thread_id, null::text as refused
    from unnest(%b::text[], %b::bigint[], %b::text[]) with ordinality as c (thread_id, token, base, n)
    where %b::text[] is not null
)

-- name: store
-- Second half of a commit: the rows of the calls that may. A write that overwrites and one that gives way are told apart; no
-- key comes twice.
, blobs as (
    insert into checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    select judged.thread_id, row.checkpoint_ns, row.channel, row.version, row.type, row.blob
    from (select
        unnest(%b::bigint[]) as n, unnest(%b::text[]) as checkpoint_ns, unnest(%b::text[]) as channel,
        unnest(%b::text[]) as version, unnest(%b::text[]) as type, unnest(%b::bytea[]) as blob
    ) as row
    join judged using (n)
    where judged.refused is null
    on conflict do nothing
),
kept as (
    insert into checkpoint_writes
        (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
    select judged.thread_id, row.checkpoint_ns, row.checkpoint_id, row.task_id, row.task_path, row.idx, row.channel,
        row.type, row.blob
    from (select
        unnest(%b::bigint[]) as n, unnest(%b::text[]) as checkpoint_ns, unnest(%b::text[]) as checkpoint_id,
        unnest(%b::text[]) as task_id, unnest(%b::text[]) as task_path, unnest(%b::bigint[]) as idx,
        unnest(%b::text[]) as channel, unnest(%b::text[]) as type, unnest(%b::bytea[]) as blob
    ) as row
    join judged using (n)
    where judged.refused is null
    on conflict do nothing
),
heads as (
    insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
    select judged.thread_id, row.checkpoint_ns, row.checkpoint_id, row.parent_checkpoint_id,
        row.checkpoint::jsonb, row.metadata::jsonb
    from (select
        unnest(%b::bigint[]) as n, unnest(%b::text[]) as checkpoint_ns, unnest(%b::text[]) as checkpoint_id,
        unnest(%b::text[]) as parent_checkpoint_id, unnest(%b::text[]) as checkpoint,
        unnest(%b::text[]) as metadata
    ) as row
    join judged using (n)
    where judged.refused is null
    on conflict (thread_id, checkpoint_ns, checkpoint_id)
        do update set checkpoint = excluded.checkpoint, metadata = excluded.metadata
)

-- name: replaced
-- Writes that overwrite, in commits that have any.
, replaced as (
    insert into checkpoint_writes
        (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
    select judged.thread_id, row.checkpoint_ns, row.checkpoint_id, row.task_id, row.task_path, row.idx, row.channel,
        row.type, row.blob
    from (select
        unnest(%b::bigint[]) as n, unnest(%b::text[]) as checkpoint_ns, unnest(%b::text[]) as checkpoint_id,
        unnest(%b::text[]) as task_id, unnest(%b::text[]) as task_path, unnest(%b::bigint[]) as idx,
        unnest(%b::text[]) as channel, unnest(%b::text[]) as type, unnest(%b::bytea[]) as blob
    ) as row
    join judged using (n)
    where judged.refused is null
    on conflict (thread_id, checkpoint_ns, checkpoint_id, task_id, idx)
        do update set channel = excluded.channel, type = excluded.type, blob = excluded.blob
)

-- name: refused
-- End of a commit: the calls that were refused.
select n, refused from judged where refused is not null;

-- name: admitted
-- In front of what hooks add, which is stored for all calls or for none: if any call is refused, this raises, and says which.
-- Whoever reads it comes after that.
, refusal as materialized (
    select adjourn.refuse(json_object_agg(n, refused)) from judged where refused is not null having count(*) > 0
),
admitted as materialized (
    select count(*) as n from refusal
)

-- name: all_admitted
-- The same where there are no leases.
, admitted as materialized (
    select count(*) as n from judged where refused is not null
)
