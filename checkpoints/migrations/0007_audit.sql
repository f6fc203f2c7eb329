-- The audit: what happened to each run and who did it, as one chain of hashes for each thread. Entries hold ids and
-- digests, never content, so that content can be erased and the chain still holds.
--
-- The database writes the entries itself, in triggers on the tables that hold the facts: an entry and its fact are one
-- transaction, whichever statement and whichever door wrote the fact, and there is no round trip for them.
--
--   entry = canonical JSON: sorted keys, no blanks, UTF-8; with "n" (1, 2, 3, … in its thread) and "thread" in it
--   hash  = sha256(hash of the entry before || entry), both as UTF-8 text; before the first entry stand 64 zeros
--
-- Whoever holds the lock of the run's row may add to its chain. Commits of the saver hold leases and must not wait for
-- that lock (runs are locked before leases), and the end of an effect should not; what they record waits in
-- audit_waiting, in order, and takes its place in the chain with the next change of the run.
create table adjourn.audit (
    -- not a reference: the chain outlives a run that is deleted
    thread_id text   collate "C" not null,
    seq       bigint not null check (seq > 0),
    entry     text   not null,
    hash      text   not null,
    primary key (thread_id, seq)
);

create table adjourn.audit_waiting (
    number    bigint not null primary key generated always as identity,
    thread_id text   collate "C" not null,
    fields    jsonb  not null
);
create index audit_waiting_by_thread on adjourn.audit_waiting (thread_id, number);

-- The head of each chain, and who acted last: {"by": …, "source": …, "channel": …}.
alter table adjourn.runs
    add column audit_count bigint not null default 0,
    add column audit_hash  text   not null default repeat('0', 64),
    add column actor       jsonb;

create function adjourn.audit_is_append_only() returns trigger language plpgsql as $$
begin
    raise exception 'adjourn.audit takes new entries only; % is refused', lower(tg_op) using errcode = 'restrict_violation';
end $$;
create trigger append_only before update or delete or truncate on adjourn.audit
    for each statement execute function adjourn.audit_is_append_only();
alter table adjourn.audit enable always trigger append_only;

-- What every entry says beside its place: what happened, when, and the rest as given. Nulls are left out.
create function adjourn.audit_fields(kind text, more jsonb) returns jsonb language plpgsql as $$
begin
    return jsonb_strip_nulls(more) || jsonb_build_object(
        'kind', kind, 'at', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'));
end $$;

-- Add an entry to a chain whose head is given; returns the new head. Only under the lock of the run's row.
create function adjourn.audit_add(thread text, inout count bigint, inout hash text, fields jsonb)
language plpgsql as $$
declare
    written text;
begin
    count := count + 1;
    select '{' || string_agg(to_json(key)::text || ':' || value::text, ',' order by key collate "C") || '}'
    into written
    from jsonb_each(fields || jsonb_build_object('n', count, 'thread', thread));
    hash := encode(sha256(convert_to(hash || written, 'UTF8')), 'hex');
    insert into adjourn.audit (thread_id, seq, entry, hash) values (thread, count, written, hash);
end $$;

-- Give what waits its place in the chain; returns the new head. Only under the lock of the run's row.
create function adjourn.audit_take(thread text, inout count bigint, inout hash text)
language plpgsql as $$
declare
    waiting record;
begin
    for waiting in
        with taken as (delete from adjourn.audit_waiting w where w.thread_id = thread returning w.number, w.fields)
        select * from taken order by number
    loop
        select * into count, hash from adjourn.audit_add(thread, count, hash, waiting.fields);
    end loop;
end $$;

-- Record something about a run without its lock: it waits for its place. Nothing is recorded of what is no run.
create function adjourn.audit_note(thread text, fields jsonb) returns void language plpgsql as $$
begin
    insert into adjourn.audit_waiting (thread_id, fields)
    select thread, fields where exists (select from adjourn.runs where thread_id = thread);
end $$;

-- Give what waits its place now, unless somebody else has the run's row: that one's change will. Never waits for a lock,
-- so it may be called while others are held. Says whether it could.
create function adjourn.audit_seal(thread text) returns boolean language plpgsql as $$
declare
    count bigint;
    hash  text;
begin
    select audit_count, audit_hash into count, hash
    from adjourn.runs where thread_id = thread for no key update skip locked;
    if not found then
        return false;
    end if;
    select * into count, hash from adjourn.audit_take(thread, count, hash);
    update adjourn.runs set audit_count = count, audit_hash = hash
    where thread_id = thread and audit_count <> count;
    return true;
end $$;

-- A run was accepted. Not `before insert`: that runs for an insert too that gives way to a run of the same id. The chain
-- of a thread that was deleted goes on.
create function adjourn.audit_run_started() returns trigger language plpgsql as $$
declare
    count bigint;
    hash  text;
begin
    select seq, audit.hash into count, hash
    from adjourn.audit where thread_id = new.thread_id order by seq desc limit 1;
    select * into count, hash from adjourn.audit_add(
        new.thread_id, coalesce(count, new.audit_count), coalesce(hash, new.audit_hash),
        adjourn.audit_fields('started', jsonb_build_object(
            'by', new.requested_by, 'workflow', new.workflow, 'version', new.version,
            'digest', nullif(new.input_digest, ''), 'forked_from', new.forked_from) || coalesce(new.actor, '{}')));
    update adjourn.runs set audit_count = count, audit_hash = hash where thread_id = new.thread_id;
    return null;
end $$;
create trigger audit_started after insert on adjourn.runs
    for each row execute function adjourn.audit_run_started();

-- The status of a run was set (to the same as before, too, when a run that was stalled is taken up again), or its past or
-- its content was dropped.
create function adjourn.audit_run_changed() returns trigger language plpgsql as $$
declare
    kind text;
    more jsonb := '{}';
begin
    if new.erased_at is distinct from old.erased_at then
        kind := 'erased';
    elsif new.pruned_at is distinct from old.pruned_at then
        kind := 'pruned';
    elsif new.status = 'running' then
        kind := 'resumed';
        more := jsonb_build_object('was', old.status);
    else
        kind := new.status;
        if new.error is not null then
            -- of an error that is encrypted, the digest is that of its ciphertext
            more := jsonb_build_object(
                'error', new.error ->> 'type', 'node', new.error ->> 'node',
                'digest', encode(sha256(convert_to(coalesce(new.error ->> 'message', new.error::text), 'UTF8')), 'hex'));
        end if;
    end if;
    select * into new.audit_count, new.audit_hash
    from adjourn.audit_take(new.thread_id, new.audit_count, new.audit_hash);
    select * into new.audit_count, new.audit_hash
    from adjourn.audit_add(new.thread_id, new.audit_count, new.audit_hash,
        adjourn.audit_fields(kind, coalesce(new.actor, '{}') || more));
    return new;
end $$;
create trigger audit_changed before update of status, pruned_at, erased_at on adjourn.runs
    for each row execute function adjourn.audit_run_changed();

-- A run was deleted with its thread. Its chain stays, and says so.
create function adjourn.audit_run_deleted() returns trigger language plpgsql as $$
declare
    count bigint;
    hash  text;
begin
    select * into count, hash from adjourn.audit_take(old.thread_id, old.audit_count, old.audit_hash);
    perform adjourn.audit_add(old.thread_id, count, hash, adjourn.audit_fields('erased', '{"deleted": true}'));
    return old;
end $$;
create trigger audit_deleted before delete on adjourn.runs
    for each row execute function adjourn.audit_run_deleted();

-- People are asked. The commit that stores a pause holds leases, so this waits for its place.
create function adjourn.audit_review_asked() returns trigger language plpgsql as $$
begin
    perform adjourn.audit_note(new.thread_id, adjourn.audit_fields('asked', jsonb_build_object('review', new.review_id)));
    return null;
end $$;
create trigger audit_asked after insert on adjourn.reviews
    for each row execute function adjourn.audit_review_asked();

-- Somebody answered.
create function adjourn.audit_decided() returns trigger language plpgsql as $$
begin
    perform adjourn.audit_note(new.thread_id, adjourn.audit_fields('decided', jsonb_build_object(
        'review', new.review_id, 'by', new.decided_by, 'source', new.source, 'channel', new.channel,
        'answer', new.answer_digest)));
    perform adjourn.audit_seal(new.thread_id);
    return null;
end $$;
create trigger audit_decided after insert on adjourn.decisions
    for each row execute function adjourn.audit_decided();

-- Something was done to the world outside, or failed.
create function adjourn.audit_effect_ended() returns trigger language plpgsql as $$
begin
    perform adjourn.audit_note(new.scope, adjourn.audit_fields('effect', jsonb_build_object(
        'effect', new.name, 'place', new.checkpoint_ns, 'outcome', new.status, 'attempts', new.attempts,
        'digest', new.arguments)));
    return null;
end $$;
create trigger audit_effect after update of status on adjourn.effects
    for each row when (new.status in ('done', 'failed')) execute function adjourn.audit_effect_ended();
