-- name: copy_checkpoints
-- Every checkpoint of a thread up to one of its root checkpoints (ids grow with time), under another thread id.
insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
select %(target)s, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata
from checkpoints
where thread_id = %(source)s and checkpoint_id <= %(until)s;

-- name: copy_blobs
-- The channel values of that thread; those of later checkpoints are not referred to and do no harm.
insert into checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
select %(target)s, checkpoint_ns, channel, version, type, blob
from checkpoint_blobs
where thread_id = %(source)s;

-- name: copy_writes
-- What tasks wrote before that checkpoint; what was written upon it is left out, so that its tasks run again.
insert into checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
select %(target)s, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob
from checkpoint_writes
where thread_id = %(source)s and checkpoint_id < %(until)s;
