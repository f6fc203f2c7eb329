-- Lock a run that is to be deleted and everything below it, which is cancelled with it: by thread id, as whoever cancels a family
-- does, and again until no new one has come. The run itself is locked at once as its deletion locks it, since of two that
-- hold a weaker lock neither could take the stronger one.
create function adjourn.lock_to_delete(thread text, of_tenant text) returns void language plpgsql as $$
declare
    tree   text[];
    locked text[];
    each   text;
begin
    if not exists (select from adjourn.runs where thread_id = thread and tenant = of_tenant) then
        return;
    end if;
    loop
        tree := adjourn.tree_of(thread);
        exit when tree = locked;
        foreach each in array tree loop
            if each = thread then
                perform from adjourn.runs where thread_id = each for update;
            else
                perform from adjourn.runs where thread_id = each for no key update;
            end if;
        end loop;
        locked := tree;
    end loop;
end $$;

-- Whoever follows a run with its child runs hears of a new one when its first events are stored.
create function adjourn.tell_parent() returns trigger language plpgsql as $$
begin
    perform pg_notify('adjourn_events', json_build_array(parent_id, 0)::text)
    from adjourn.runs where thread_id = new.thread_id and parent_id is not null;
    return null;
end $$;
create trigger tell_parent after insert on adjourn.event_batches
    for each row when (new.last_seq = jsonb_array_length(new.events)) execute function adjourn.tell_parent();
