-- Child runs: which run a node of which run started, and which of them a paused run waits for.
--
-- Whoever ends a run writes that down in its own row here and never touches the parent; whoever pauses a run that waits for
-- others locks their rows here. So of a pause and the end of a child one comes first and the other sees it, and nobody who
-- holds a child waits for its parent: locks go from the top down, runs before leases before the rows of this table.
alter table adjourn.runs
    add column parent_id text,
    add column has_children boolean not null default false;
create index runs_by_parent on adjourn.runs (parent_id, created_at desc, thread_id desc) where parent_id is not null;

create table adjourn.children (
    -- the child; its row stays when it is deleted, so that its parent learns of that
    thread_id     text        not null primary key,
    parent_id     text        not null references adjourn.runs on delete cascade,
    -- the task of the parent that started it, with the tasks above it, and the child's own id there
    checkpoint_ns text        not null,
    child_id      text        not null,
    -- the run at the top, and how many are between: 1 for a child of that
    root_id       text        not null,
    depth         integer     not null,
    -- what its failure means to the parent
    on_failure    text        not null check (on_failure in ('raise', 'return', 'wait')),
    -- how it has ended; null while it goes on
    ended_as      text        check (ended_as in ('completed', 'failed', 'cancelled')),
    -- whether the paused parent waits for it: until all of them have ended, or one has
    waited        text        check (waited in ('all', 'one')),
    -- it failed, its parent failed with it and is tried again: it is to go on, too
    again         boolean     not null default false,
    number        bigint      not null generated always as identity,
    unique (parent_id, checkpoint_ns, child_id)
);
-- the parents that recovery looks at: some of what they wait for has ended
create index children_come_back on adjourn.children (parent_id) where waited is not null and ended_as is not null;

-- Whatever ends a run, or goes on with one that had ended, writes it down here, in its own transaction and at its end: what a
-- group of ends locks here it locks after all of its runs and leases.
-- Where workers drive the family, the parent that waits for it gets a job; whoever else ends a child goes on with the parent
-- by itself.
create function adjourn.child_changed() returns trigger language plpgsql as $$
declare
    awaited boolean;
begin
    update adjourn.children
    set ended_as = case when new.status in ('completed', 'failed', 'cancelled') then new.status end
    where thread_id = new.thread_id
    returning waited is not null into awaited;
    if awaited and new.status in ('completed', 'failed', 'cancelled') then
        perform adjourn.enqueue(array[parent.thread_id]) from adjourn.runs parent
        where parent.thread_id = new.parent_id and parent.status = 'paused'
          and 'worker' in (parent.actor ->> 'channel', new.actor ->> 'channel');
    end if;
    return null;
end $$;
create constraint trigger child_changed after update of status on adjourn.runs
    deferrable initially deferred
    for each row when (
        new.parent_id is not null and new.status is distinct from old.status
        and (old.status in ('completed', 'failed', 'cancelled') or new.status in ('completed', 'failed', 'cancelled')))
    execute function adjourn.child_changed();

-- A child that is deleted counts as cancelled. Of a parent that is deleted the children that go on are cancelled.
create function adjourn.family_deleted() returns trigger language plpgsql as $$
begin
    if old.parent_id is not null then
        update adjourn.children set ended_as = 'cancelled' where thread_id = old.thread_id;
    end if;
    if old.has_children then
        perform adjourn.cancel_runs(
            thread_id, old.tenant,
            jsonb_build_object('type', 'Cancelled', 'message', 'its parent run was deleted', 'by', 'system:deletion'),
            jsonb_build_object('by', 'system:deletion', 'source', 'authenticated', 'channel', 'retention'))
        from adjourn.children where parent_id = old.thread_id;
    end if;
    return old;
end $$;
create trigger family_deleted before delete on adjourn.runs
    for each row when (old.parent_id is not null or old.has_children) execute function adjourn.family_deleted();

-- Whether a paused run may go on: everything that it waits for has ended, or something of which one was enough. A failure that
-- the parent leaves to others is no end.
create function adjourn.may_go_on(parent text) returns boolean language sql stable as $$
    select coalesce(bool_and(ended) or bool_or(ended and waited = 'one'), false)
    from (
        select waited, ended_as is not null and not (ended_as = 'failed' and on_failure = 'wait') as ended
        from adjourn.children where parent_id = parent and waited is not null
    ) as awaited
$$;

-- Write down what a run waits for that is about to pause, and say whether it may go on at once: a child ended meanwhile, or
-- was deleted.
create function adjourn.wait_for_children(parent text, threads text[], untils text[])
returns boolean language plpgsql as $$
declare
    known bigint;
begin
    perform from adjourn.children where parent_id = parent order by thread_id for no key update;
    update adjourn.children set waited = null
    where parent_id = parent and waited is not null and thread_id <> all (threads);
    update adjourn.children set waited = given.until
    from unnest(threads, untils) as given (thread_id, until)
    where children.thread_id = given.thread_id and children.parent_id = parent;
    get diagnostics known = row_count;
    return known < cardinality(threads) or adjourn.may_go_on(parent);
end $$;

-- A run and everything below it, by thread id.
create function adjourn.tree_of(thread text) returns text[] language sql stable as $$
    with recursive tree as (
        select thread as id
        union
        select children.thread_id from tree join adjourn.children on children.parent_id = tree.id
    )
    select array_agg(id order by id) from tree
$$;

-- End a run for good with everything below it, and withdraw their open questions. Returns those that had not ended; no row
-- when the run itself had. They are locked by thread id, and again until no new one has come: a run that is locked here gets
-- no further child.
create function adjourn.cancel_runs(thread text, of_tenant text, why jsonb, who jsonb)
returns setof text language plpgsql as $$
declare
    tree   text[];
    locked text[];
begin
    loop
        tree := adjourn.tree_of(thread);
        exit when tree = locked;
        perform from adjourn.runs where thread_id = any (tree) order by thread_id for no key update;
        locked := tree;
    end loop;
    if not exists (
        select from adjourn.runs where thread_id = thread and tenant = of_tenant
            and status in ('queued', 'running', 'paused', 'failed')
    ) then
        return;
    end if;
    update adjourn.reviews set status = 'withdrawn', closed_at = now()
    where thread_id = any (tree) and status = 'pending';
    update adjourn.children set waited = null where parent_id = any (tree) and waited is not null;
    return query
        update adjourn.runs
        set status = 'cancelled', error = why, updated_at = now(), ended_at = now(), actor = who
        where thread_id = any (tree) and status in ('queued', 'running', 'paused', 'failed')
        returning thread_id;
end $$;

-- A child is started: its parent's audit says which, and its own by whom.
create function adjourn.audit_child_started() returns trigger language plpgsql as $$
begin
    perform adjourn.audit_note(new.parent_id, adjourn.audit_text(
        '"at":"' || adjourn.audit_time(clock_timestamp()) || '",',
        '"child":' || to_json(new.child_id) || ',',
        '"kind":"child",', '"n":0,',
        '"place":' || to_json(new.checkpoint_ns) || ',',
        '"run":' || to_json(new.thread_id) || ',',
        '"thread":' || to_json(new.parent_id) || ','));
    perform adjourn.audit_note(new.thread_id, adjourn.audit_text(
        '"at":"' || adjourn.audit_time(clock_timestamp()) || '",',
        '"kind":"child",', '"n":0,',
        '"parent":' || to_json(new.parent_id) || ',',
        '"thread":' || to_json(new.thread_id) || ','));
    return null;
end $$;
create trigger audit_child after insert on adjourn.children
    for each row execute function adjourn.audit_child_started();
