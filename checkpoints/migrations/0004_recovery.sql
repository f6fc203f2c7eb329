-- What recovery remembers of a run whose driver died: how often it was tried since the last progress, what happened, and
-- when to try next.
alter table adjourn.runs
    add column attempts jsonb not null default '[]',
    add column attempted_checkpoint text,
    add column next_attempt_at timestamptz;

-- runs that may be stalled: recovery joins these with the leases that ran out
create index runs_running on adjourn.runs (thread_id) where status = 'running';
