-- name: take
-- The lease of a thread with the next token, if nobody holds it.
insert into adjourn.leases (thread_id, owner, expires_at)
values (%(thread_id)s, %(owner)s, clock_timestamp() + make_interval(secs => %(seconds)s))
on conflict (thread_id) do update set
    token = nextval('adjourn.lease_tokens'),
    owner = excluded.owner,
    expires_at = excluded.expires_at
where leases.expires_at <= clock_timestamp()
returning token;

-- name: check
-- A row if the lease is still held, which it is then until the end of the transaction.
select 1 from adjourn.leases where thread_id = %(thread_id)s and token = %(token)s for key share;

-- name: renew
-- The heartbeat of a process. Touches no column of a unique index, so it waits for no commit.
update adjourn.leases
set expires_at = clock_timestamp() + make_interval(secs => %(seconds)s)
where owner = %(owner)s and expires_at > '-infinity'
returning thread_id;

-- name: release
-- Give a lease back, unless it was taken over.
update adjourn.leases
set expires_at = '-infinity'
where thread_id = %(thread_id)s and token = %(token)s and expires_at > '-infinity';
