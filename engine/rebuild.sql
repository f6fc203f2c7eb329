-- name: known_reviews
-- What the table says of a thread: when each question was asked, and when those that were withdrawn were.
select review_id, created_at, status, closed_at from adjourn.reviews where thread_id = %(thread_id)s;

-- name: all_votes
-- Everything that was decided on a thread.
select * from adjourn.decisions where thread_id = %(thread_id)s order by number;

-- name: put_review
-- A review as the checkpoints and the decisions tell it; only the time at which it was asked is taken from the table.
insert into adjourn.reviews (
    thread_id, review_id, checkpoint_ns, checkpoint_id, task_id, question_type, question, digest, roles, priority, due_at,
    remind_at, fails_closed, tenant, workflow, created_at, status, closed_at, stage, version
) values (
    %(thread_id)s, %(review_id)s, %(checkpoint_ns)s, %(checkpoint_id)s, %(task_id)s, %(question_type)s, %(question)s,
    %(digest)s, %(roles)s::text[], %(priority)s, %(due_at)s, %(remind_at)s, %(fails_closed)s, %(tenant)s, %(workflow)s,
    %(asked_at)s, %(status)s, %(closed_at)s, %(stage)s, %(version)s
)
on conflict (thread_id, review_id) do update set
    checkpoint_ns = excluded.checkpoint_ns, checkpoint_id = excluded.checkpoint_id, task_id = excluded.task_id,
    question_type = excluded.question_type, question = excluded.question, digest = excluded.digest,
    roles = excluded.roles, priority = excluded.priority, due_at = excluded.due_at, remind_at = excluded.remind_at,
    fails_closed = excluded.fails_closed, tenant = excluded.tenant, workflow = excluded.workflow,
    status = excluded.status, closed_at = excluded.closed_at, stage = excluded.stage, version = excluded.version;

-- name: withdraw_unasked
-- Questions that the table calls open and the thread does not ask.
update adjourn.reviews set status = 'withdrawn', closed_at = now()
where thread_id = %(thread_id)s and status = 'pending' and review_id <> all (%(asked)s::text[]);
