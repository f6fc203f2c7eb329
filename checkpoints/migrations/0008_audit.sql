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

-- What waits: entries that are whole but for their place, "n":0.
create table adjourn.audit_waiting (
    number    bigint not null primary key generated always as identity,
    thread_id text   collate "C" not null,
    entry     text   not null
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

-- A time as entries say it. (Stable, as to_char is, so that the call costs nothing.)
create function adjourn.audit_time(at timestamptz) returns text language sql stable as $$
    select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- Put an entry in canonical form together from its parts, each `"key":value,` and in the order of the keys; null parts are
-- left out. (Putting texts together takes a twentieth of the time that jsonb takes.)
create function adjourn.audit_text(variadic parts text[]) returns text language sql stable as $$
    select '{' || rtrim(array_to_string(parts, ''), ',') || '}'
$$;

-- Give what waits its place in a chain; returns the new head. Only under the lock of the run's row.
create function adjourn.audit_take(thread text, inout count bigint, inout hash text)
language plpgsql as $$
declare
    waiting record;
begin
    for waiting in
        with taken as (delete from adjourn.audit_waiting w where w.thread_id = thread returning w.number, w.entry)
        select replace(entry, '"n":0,', '"n":' || count + row_number() over (order by number) || ',') as entry
        from taken order by number
    loop
        count := count + 1;
        hash := encode(sha256(convert_to(hash || waiting.entry, 'UTF8')), 'hex');
        insert into adjourn.audit (thread_id, seq, entry, hash) values (thread, count, waiting.entry, hash);
    end loop;
end $$;

-- Record something about a run without its lock: it waits for its place. Nothing is recorded of what is no run.
create function adjourn.audit_note(thread text, written text) returns void language plpgsql as $$
begin
    insert into adjourn.audit_waiting (thread_id, entry)
    select thread, written where exists (select from adjourn.runs where thread_id = thread);
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

-- Record something about a run: in its place, or waiting for it where somebody else has the run's row. Never waits for a
-- lock either.
create function adjourn.audit_put(thread text, written text) returns void language plpgsql as $$
declare
    count bigint;
    hash  text;
begin
    select audit_count, audit_hash into count, hash
    from adjourn.runs where thread_id = thread for no key update skip locked;
    if not found then
        perform adjourn.audit_note(thread, written);
        return;
    end if;
    if exists (select from adjourn.audit_waiting w where w.thread_id = thread) then
        select * into count, hash from adjourn.audit_take(thread, count, hash);
    end if;
    count := count + 1;
    written := replace(written, '"n":0,', '"n":' || count || ',');
    hash := encode(sha256(convert_to(hash || written, 'UTF8')), 'hex');
    insert into adjourn.audit (thread_id, seq, entry, hash) values (thread, count, written, hash);
    update adjourn.runs set audit_count = count, audit_hash = hash where thread_id = thread;
end $$;

-- A run is accepted. The head is set before the row is written, and the entry after it, since an insert that gives way to a
-- run of the same id comes to the first part as well. The chain of a thread that was deleted goes on.
create function adjourn.audit_run_started() returns trigger language plpgsql as $$
declare
    last    record;
    written text;
begin
    if tg_when = 'BEFORE' then
        select seq, hash into last from adjourn.audit where thread_id = new.thread_id order by seq desc limit 1;
        new.audit_count := coalesce(last.seq, 0) + 1;
    end if;
    written := adjourn.audit_text(
        '"at":"' || adjourn.audit_time(new.created_at) || '",',
        '"by":' || to_json(new.requested_by) || ',',
        '"channel":' || to_json(new.actor ->> 'channel') || ',',
        '"digest":' || to_json(nullif(new.input_digest, '')) || ',',
        '"forked_from":' || to_json(new.forked_from) || ',',
        '"kind":"started",',
        '"n":' || new.audit_count || ',',
        '"source":' || to_json(new.actor ->> 'source') || ',',
        '"thread":' || to_json(new.thread_id) || ',',
        '"version":' || to_json(new.version) || ',',
        '"workflow":' || to_json(new.workflow) || ',');
    if tg_when = 'BEFORE' then
        new.audit_hash := encode(sha256(convert_to(coalesce(last.hash, repeat('0', 64)) || written, 'UTF8')), 'hex');
        return new;
    end if;
    insert into adjourn.audit (thread_id, seq, entry, hash)
    values (new.thread_id, new.audit_count, written, new.audit_hash);
    return null;
end $$;
create trigger audit_started_head before insert on adjourn.runs
    for each row execute function adjourn.audit_run_started();
create trigger audit_started after insert on adjourn.runs
    for each row execute function adjourn.audit_run_started();

-- The status of a run is set (to the same as before, too, when a run that was stalled is taken up again), or its past or
-- its content is dropped.
create function adjourn.audit_run_changed() returns trigger language plpgsql as $$
declare
    kind    text;
    failure jsonb;
    written text;
begin
    if new.erased_at is distinct from old.erased_at then
        kind := 'erased';
    elsif new.pruned_at is distinct from old.pruned_at then
        kind := 'pruned';
    elsif new.status = 'running' then
        kind := 'resumed';
    else
        kind := new.status;
        failure := new.error;
    end if;
    if exists (select from adjourn.audit_waiting w where w.thread_id = new.thread_id) then
        select * into new.audit_count, new.audit_hash
        from adjourn.audit_take(new.thread_id, new.audit_count, new.audit_hash);
    end if;
    new.audit_count := new.audit_count + 1;
    written := adjourn.audit_text(
        '"at":"' || adjourn.audit_time(clock_timestamp()) || '",',
        '"by":' || to_json(new.actor ->> 'by') || ',',
        '"channel":' || to_json(new.actor ->> 'channel') || ',',
        -- of an error that is encrypted, the digest is that of its ciphertext
        '"digest":"' || encode(sha256(convert_to(coalesce(failure ->> 'message', failure::text), 'UTF8')), 'hex') || '",',
        '"error":' || to_json(failure ->> 'type') || ',',
        '"kind":' || to_json(kind) || ',',
        '"n":' || new.audit_count || ',',
        '"node":' || to_json(failure ->> 'node') || ',',
        '"source":' || to_json(new.actor ->> 'source') || ',',
        '"thread":' || to_json(new.thread_id) || ',',
        case kind when 'resumed' then '"was":' || to_json(old.status) || ',' end);
    new.audit_hash := encode(sha256(convert_to(new.audit_hash || written, 'UTF8')), 'hex');
    insert into adjourn.audit (thread_id, seq, entry, hash)
    values (new.thread_id, new.audit_count, written, new.audit_hash);
    return new;
end $$;
create trigger audit_changed before update of status, pruned_at, erased_at on adjourn.runs
    for each row execute function adjourn.audit_run_changed();

-- A run is deleted with its thread. Its chain stays, and says so.
create function adjourn.audit_run_deleted() returns trigger language plpgsql as $$
begin
    insert into adjourn.audit_waiting (thread_id, entry) values (old.thread_id, adjourn.audit_text(
        '"at":"' || adjourn.audit_time(clock_timestamp()) || '",', '"deleted":true,', '"kind":"erased",', '"n":0,',
        '"thread":' || to_json(old.thread_id) || ','));
    perform adjourn.audit_take(old.thread_id, old.audit_count, old.audit_hash);
    return old;
end $$;
create trigger audit_deleted before delete on adjourn.runs
    for each row execute function adjourn.audit_run_deleted();

-- People are asked. The commit that stores a pause holds leases, so this waits for its place.
create function adjourn.audit_review_asked() returns trigger language plpgsql as $$
begin
    perform adjourn.audit_note(new.thread_id, adjourn.audit_text(
        '"at":"' || adjourn.audit_time(clock_timestamp()) || '",',
        '"digest":' || to_json(new.digest) || ',',
        '"kind":"asked",', '"n":0,',
        '"review":' || to_json(new.review_id) || ',',
        '"thread":' || to_json(new.thread_id) || ','));
    return null;
end $$;
create trigger audit_asked after insert on adjourn.reviews
    for each row execute function adjourn.audit_review_asked();

-- Somebody decides, or time acts on a review: that is noted among its decisions, too.
create function adjourn.audit_decided() returns trigger language plpgsql as $$
declare
    kind text := case new.kind
        when 'remind' then 'reminded' when 'escalate' then 'escalated' when 'ask' then 'asked' else 'decided' end;
begin
    perform adjourn.audit_put(new.thread_id, adjourn.audit_text(
        '"answer":' || to_json(nullif(new.answer_digest, '')) || ',',
        '"at":"' || adjourn.audit_time(clock_timestamp()) || '",',
        '"by":' || to_json(new.decided_by) || ',',
        '"channel":' || to_json(new.channel) || ',',
        case kind when 'decided' then '"decision":' || to_json(new.kind) || ',' end,
        '"kind":' || to_json(kind) || ',', '"n":0,',
        case when new.proposal <> new.shown then '"proposal":' || to_json(new.proposal) || ',' end,
        '"review":' || to_json(new.review_id) || ',',
        '"shown":' || to_json(new.shown) || ',',
        '"source":' || to_json(new.source) || ',',
        '"thread":' || to_json(new.thread_id) || ','));
    return null;
end $$;
create trigger audit_decided after insert on adjourn.decisions
    for each row execute function adjourn.audit_decided();

-- Something was done to the world outside, or failed.
create function adjourn.audit_effect_ended() returns trigger language plpgsql as $$
begin
    perform adjourn.audit_note(new.scope, adjourn.audit_text(
        '"at":"' || adjourn.audit_time(clock_timestamp()) || '",',
        '"attempts":' || new.attempts || ',',
        '"digest":' || to_json(new.arguments) || ',',
        '"effect":' || to_json(new.name) || ',',
        '"kind":"effect",', '"n":0,',
        '"outcome":' || to_json(new.status) || ',',
        '"place":' || to_json(new.checkpoint_ns) || ',',
        '"thread":' || to_json(new.scope) || ','));
    return null;
end $$;
create trigger audit_effect after update of status on adjourn.effects
    for each row when (new.status in ('done', 'failed')) execute function adjourn.audit_effect_ended();

-- Somebody is refused what they want. Nothing changes in the run, so nobody's transaction holds this.
create function adjourn.audit_refused(thread text, who jsonb, why text, digest text) returns void language plpgsql as $$
begin
    perform adjourn.audit_put(thread, adjourn.audit_text(
        '"as":' || to_json(who ->> 'as') || ',',
        '"at":"' || adjourn.audit_time(clock_timestamp()) || '",',
        '"by":' || to_json(who ->> 'by') || ',',
        '"channel":' || to_json(who ->> 'channel') || ',',
        '"digest":' || to_json(digest) || ',',
        '"kind":"refused",', '"n":0,',
        '"source":' || to_json(who ->> 'source') || ',',
        '"thread":' || to_json(thread) || ',',
        '"why":' || to_json(why) || ','));
end $$;
