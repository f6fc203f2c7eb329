-- An answer as one statement: what it depends on is looked at again, the decision is recorded, the lease is taken, and what
-- the run goes on with is returned. As functions, so that each has its plans at hand and one exchange is enough.

-- Where a thread stands: the newest root checkpoint, as it is, and what was written after it. Changes with every commit that
-- a read of the thread would show.
create function adjourn.position(thread text) returns text language sql stable as $$
    select concat_ws(' ', newest.checkpoint_id, newest.xmin, written.rows, written.versions)
    from (
        select thread_id, checkpoint_ns, checkpoint_id, xmin from checkpoints
        where thread_id = thread and checkpoint_ns = ''
        order by checkpoint_id desc
        limit 1
    ) newest,
    lateral (
        select count(*) as rows, sum(w.xmin::text::bigint) as versions from checkpoint_writes w
        where w.thread_id = newest.thread_id and w.checkpoint_ns = newest.checkpoint_ns
          and w.checkpoint_id = newest.checkpoint_id
    ) written
$$;

-- A decision, and its review as a rule left it, in a transaction that holds its lock; decisions that do not stand any more
-- are marked.
create function adjourn.record_decision(given jsonb) returns void language plpgsql as $$
declare
    this record;
begin
    select * into this from jsonb_to_record(given) as this (
        thread_id text, review_id text, decided_by text, source text, held text[], channel text, kind text, answer_type text,
        answer bytea, answer_digest text, shown text, proposal text, decided_version integer, counts boolean,
        final boolean, outcome_type text, outcome bytea, at timestamptz, cleared bigint[], reopened boolean,
        status text, closed_at timestamptz, roles text[], stage integer, due_at timestamptz, remind_at timestamptz,
        fails_closed boolean, version integer, digest text
    );
    insert into adjourn.decisions (
        thread_id, review_id, decided_by, source, roles, channel, kind, answer_type, answer, answer_digest, shown,
        proposal, version, counts, final, outcome_type, outcome, decided_at
    ) values (
        this.thread_id, this.review_id, this.decided_by, this.source, this.held, this.channel, this.kind, this.answer_type,
        this.answer, this.answer_digest, this.shown, this.proposal, this.decided_version, this.counts, this.final,
        this.outcome_type, this.outcome, this.at
    );
    if this.cleared <> '{}' then
        update adjourn.decisions set counts = false, final = final and not this.reopened
        where thread_id = this.thread_id and review_id = this.review_id and number = any(this.cleared);
    end if;
    update adjourn.reviews
    set status = this.status, closed_at = this.closed_at, roles = this.roles, stage = this.stage, due_at = this.due_at,
        remind_at = this.remind_at, fails_closed = this.fails_closed, version = this.version, digest = this.digest
    where thread_id = this.thread_id and review_id = this.review_id;
end $$;

-- Take the lease of a run that stands in one of some statuses, and drive it; of several callers exactly one succeeds. The run
-- is locked first, so that nothing happens to the lease of one that stands elsewhere. No tenant: of any.
create function adjourn.claim_run(
    thread text, of_tenant text, expected text[], new_owner text, seconds double precision, who jsonb
) returns table (run adjourn.runs, token bigint, was text) language plpgsql as $$
begin
    select runs.status into was from adjourn.runs
    where runs.thread_id = thread and (of_tenant is null or runs.tenant = of_tenant) and runs.status = any(expected)
    for no key update;
    if not found then
        return;
    end if;
    insert into adjourn.leases (thread_id, owner, expires_at)
    values (thread, new_owner, clock_timestamp() + make_interval(secs => seconds))
    on conflict (thread_id) do update
        set token = nextval('adjourn.lease_tokens'), owner = excluded.owner, expires_at = excluded.expires_at
        where leases.expires_at <= clock_timestamp()
    returning leases.token into token;
    if not found then
        return;
    end if;
    update adjourn.runs set status = 'running', error = null, ended_at = null, updated_at = now(), actor = who
    where runs.thread_id = thread
    returning runs.* into run;
    return next;
end $$;

-- The answers of a run that LangGraph has not stored yet, with their questions: what a drive is given, after a crash as well.
create function adjourn.unconsumed(thread text) returns table (
    review_id text, decided_by text, decided_at timestamptz, question_type text, question bytea, answer_type text,
    answer bytea, approved_by text[]
) language sql stable as $$
    select decisions.review_id, decisions.decided_by, decisions.decided_at, reviews.question_type, reviews.question,
        coalesce(decisions.outcome_type, decisions.answer_type), coalesce(decisions.outcome, decisions.answer),
        array(
            select votes.decided_by from adjourn.decisions votes
            where votes.thread_id = decisions.thread_id and votes.review_id = decisions.review_id
              and votes.counts and votes.kind in ('approve', 'edit', 'value')
            order by votes.number
        )
    from adjourn.decisions join adjourn.reviews using (thread_id, review_id)
    where decisions.thread_id = thread and decisions.final and decisions.consumed_at is null
$$;

-- Record decisions that were judged by what was read before, or undo it if that has changed meanwhile; then take the lease if
-- the run goes on here. Once it is taken nobody stores anything unseen, so the position of the thread holds. Returns a row for
-- each answer that the run is to be given, if it is the caller's to drive on.
create function adjourn.record_answer(
    thread text, seen text, at timestamptz, decided jsonb, claims boolean, of_tenant text, expected text[],
    new_owner text, seconds double precision, who jsonb
) returns table (
    run adjourn.runs, token bigint, was text, "position" text, review_id text, decided_by text, decided_at timestamptz,
    question_type text, question bytea, answer_type text, answer bytea, approved_by text[]
) language plpgsql as $$
declare
    claimed record;
begin
    perform adjourn.still_answerable(thread, seen, at);
    perform adjourn.record_decision(each) from jsonb_array_elements(decided) as given (each);
    if not claims then
        return;
    end if;
    select * into claimed from adjourn.claim_run(thread, of_tenant, expected, new_owner, seconds, who);
    if not found then
        return;
    end if;
    return query
        select claimed.run, claimed.token, claimed.was, adjourn.position(thread), given.*
        from adjourn.unconsumed(thread) given;
end $$;
