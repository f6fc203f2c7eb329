-- Limits hold for whatever a worker drives, so whoever goes on with a paused run asks for a place first.

-- Whether a paused run may go on: its children have ended, or an answer came that no drive was given.
create function adjourn.has_news(thread text) returns boolean language sql stable as $$
    select adjourn.may_go_on(thread) or exists (
        select from adjourn.decisions where thread_id = thread and final and consumed_at is null)
$$;
