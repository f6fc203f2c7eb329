-- The right of one process to drive a thread for a while, and what fences off the one that had it before.
create sequence adjourn.lease_tokens;

create table adjourn.leases (
    thread_id     text        not null primary key,
    -- grows with every lease; a commit that carries an older one is refused
    token         bigint      not null default nextval('adjourn.lease_tokens'),
    owner         text        not null,
    -- '-infinity' when it was given back
    expires_at    timestamptz not null,
    -- everything up to this checkpoint was deleted; what a run begun before that still sends is refused
    deleted_until text collate "C",
    deleted_at    timestamptz
);

-- A commit locks its row FOR KEY SHARE. Because the token is part of a unique index, taking a lease over waits for
-- such a lock, and a heartbeat, which changes expires_at alone, does not.
create unique index leases_fence on adjourn.leases (thread_id, token);

-- recovery looks for leases that ran out, a heartbeat for those of its process
create index leases_by_expiry on adjourn.leases (expires_at) where expires_at > '-infinity';
create index leases_by_owner on adjourn.leases (owner) where expires_at > '-infinity';
-- retention forgets the traces of deleted threads
create index leases_deleted on adjourn.leases (deleted_at) where deleted_at is not null;

-- Retention: when the past of an ended run was dropped, and when its content was. A run that was retried and ended
-- again is due again.
alter table adjourn.runs
    add column pruned_at timestamptz,
    add column erased_at timestamptz;
create index runs_to_prune on adjourn.runs (ended_at)
    where ended_at is not null and (pruned_at is null or pruned_at < ended_at);
create index runs_to_erase on adjourn.runs (ended_at)
    where ended_at is not null and (erased_at is null or erased_at < ended_at);
