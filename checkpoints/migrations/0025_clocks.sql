-- An answer may be judged by what a process read of the question some time ago. The time of the answer is the database's then,
-- carried on by that process's clock: one that has come to differ, in either direction, does not count.
create or replace function adjourn.still_answerable(thread text, seen text, at timestamptz) returns void language plpgsql as $$
begin
    perform from adjourn.runs where thread_id = thread for no key update;
    if adjourn.answerable(thread) is distinct from seen
        or clock_timestamp() - at not between interval '-0.1 seconds' and interval '1 second' then
        raise exception 'what was read has changed' using errcode = 'AJ002';
    end if;
end $$;
