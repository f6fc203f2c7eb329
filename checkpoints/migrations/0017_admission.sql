-- Limits: how many runs may be under way at once and how many may begin in a minute, of a workflow, of a tenant, of both or of
-- all. Runs that they hold back stay here; only those that are admitted get a job (engine/admission.py).
create table adjourn.limits (
    -- a name; * for each by itself; null for all of them together
    workflow   text,
    tenant     text,
    at_once    integer     check (at_once >= 0),
    per_minute integer     check (per_minute >= 0),
    changed_by text        not null,
    changed_at timestamptz not null default clock_timestamp(),
    check (at_once is not null or per_minute is not null)
);
create unique index limits_of on adjourn.limits ((coalesce(workflow, '')), (coalesce(tenant, '')));

-- When runs that come under limits began: those of the last minute; and when each workflow and tenant had its last turn.
create table adjourn.starts (
    workflow   text        not null,
    tenant     text        not null,
    started_at timestamptz not null default clock_timestamp()
);
create index starts_by_age on adjourn.starts (started_at);

create table adjourn.turns (
    workflow text        not null,
    tenant   text        not null,
    last_at  timestamptz not null,
    primary key (workflow, tenant)
);

alter table adjourn.runs
    -- of the runs of a tenant larger comes first
    add column priority  integer     not null default 0,
    -- not before this time
    add column start_at  timestamptz,
    -- of a queued run: later (its time has not come), waiting (for a place), admitted; null: no limit had a say in it
    add column admission text        check (admission in ('later', 'waiting', 'admitted')),
    -- since when it is queued, and whether it had been driven before
    add column queued_at timestamptz,
    add column begun     boolean     not null default false;

create index runs_later on adjourn.runs (start_at) where status = 'queued' and admission = 'later';
create index runs_waiting on adjourn.runs (workflow, tenant, begun, (-priority), queued_at, thread_id)
    where status = 'queued' and admission = 'waiting';
create index runs_admitted on adjourn.runs (workflow, tenant) where status = 'queued' and admission = 'admitted';

create function adjourn.is_limited(of_workflow text, of_tenant text) returns boolean language sql stable as $$
    select exists (
        select from adjourn.limits
        where (workflow is null or workflow in ('*', of_workflow)) and (tenant is null or tenant in ('*', of_tenant)))
$$;

-- Whoever makes a run queued, it is decided here whether it has to wait. Those who admit runs are told when one waits, and
-- when one has given up its place; without limits nobody is told anything.
create function adjourn.hold_back() returns trigger language plpgsql as $$
begin
    if new.status = 'queued' then
        new.queued_at := clock_timestamp();
        new.begun := tg_op = 'UPDATE';
        if new.start_at > clock_timestamp() then
            new.admission := 'later';
        elsif adjourn.is_limited(new.workflow, new.tenant) then
            new.admission := 'waiting';
        else
            new.admission := null;
        end if;
        if new.admission is not null then
            perform pg_notify('adjourn_admission', '');
        end if;
    elsif adjourn.is_limited(new.workflow, new.tenant) then
        new.admission := 'admitted';  -- it is driven by whoever started it, and counts
    end if;
    return new;
end $$;
create trigger hold_back_new before insert on adjourn.runs
    for each row when (new.status in ('queued', 'running')) execute function adjourn.hold_back();
create trigger hold_back before update of status on adjourn.runs
    for each row when (new.status = 'queued' and old.status <> 'queued') execute function adjourn.hold_back();

create function adjourn.note_start() returns trigger language plpgsql as $$
begin
    if exists (select from adjourn.limits where per_minute is not null) then
        insert into adjourn.starts (workflow, tenant) values (new.workflow, new.tenant);
    end if;
    return null;
end $$;
create trigger note_start_new after insert on adjourn.runs
    for each row when (new.status = 'running' and new.admission = 'admitted') execute function adjourn.note_start();
create trigger note_start after update of status on adjourn.runs
    for each row when (old.status = 'queued' and new.status = 'running' and new.admission = 'admitted' and not new.begun)
    execute function adjourn.note_start();

create function adjourn.tell_of_place() returns trigger language plpgsql as $$
begin
    perform pg_notify('adjourn_admission', '');
    return null;
end $$;
create trigger tell_of_place after update of status on adjourn.runs
    for each row when (
        new.admission = 'admitted' and old.status in ('queued', 'running') and new.status not in ('queued', 'running'))
    execute function adjourn.tell_of_place();

-- Enqueue runs, in the order in which they are given; but not those that have to wait: they get their job when they are
-- admitted. A run may have several jobs: whichever comes first drives it, and the others end at once.
create or replace function adjourn.enqueue(thread_ids text[], priority integer default null, due timestamptz default null)
returns void language sql as $$
    select adjourn.procrastinate_defer_jobs_v1(array_agg(
        row(
            adjourn.queue_of(runs.workflow), 'adjourn:drive', coalesce(enqueue.priority, runs.priority), null, null,
            jsonb_build_object('thread_id', thread_id), due
        )::adjourn.procrastinate_job_to_defer_v1
        order by place))
    from unnest(thread_ids) with ordinality as given (thread_id, place) join adjourn.runs using (thread_id)
    where coalesce(runs.admission, 'admitted') = 'admitted'
    having count(*) > 0
$$;
