-- name: entries
-- The chain of a thread, and behind it what waits for its place.
select seq, entry, hash, 0 as number from adjourn.audit where thread_id = %(thread_id)s
union all
select null, entry, null, number from adjourn.audit_waiting where thread_id = %(thread_id)s
order by seq nulls last, number;

-- name: refused
-- Record what was refused: who wanted it, why not, and the digest of what it was.
select adjourn.audit_refused(%(thread_id)s, %(who)s, %(why)s, %(digest)s);

-- name: seal_all
-- Give everything that waits its place, except where somebody is at work on the run at this moment.
select count(*) filter (where adjourn.audit_seal(thread_id)) as sealed
from (select distinct thread_id from adjourn.audit_waiting order by thread_id) waiting;

-- name: moment
-- The time of the database, and how many entries wait.
select clock_timestamp() as at, (select count(*) from adjourn.audit_waiting) as waiting;

-- name: heads
-- The head of each chain, in the order of the thread ids' bytes; of a deleted run, that of its last entry.
select thread_id collate "C" as thread_id, audit_count as count, audit_hash as hash
from adjourn.runs where audit_count > 0
union all
(select distinct on (thread_id) thread_id, seq, hash
 from adjourn.audit
 where not exists (select from adjourn.runs where runs.thread_id = audit.thread_id)
 order by thread_id, seq desc)
order by thread_id;

-- name: chains
-- Every entry with the head of its run, chain by chain in the same order; a run without entries has one row.
select thread_id, head.count, head.hash as head_hash, audit.seq, audit.entry, audit.hash
from (
    select thread_id collate "C" as thread_id, audit_count as count, audit_hash as hash
    from adjourn.runs where audit_count > 0 and (%(thread_id)s::text is null or thread_id = %(thread_id)s)
) head
full join (
    select * from adjourn.audit where %(thread_id)s::text is null or thread_id = %(thread_id)s
) audit using (thread_id)
order by thread_id, audit.seq;
