-- name: take_job
-- The next job of a worker, with its run, the answers for it, and its latest checkpoint, where the run could be taken at once;
-- see the function, in a migration. The checkpoint was seen a moment before the lease was taken: it counts if it still holds.
select (taken.job).id, (taken.job).status::text as status, (taken.job).task_name, (taken.job).priority, (taken.job).lock,
    (taken.job).queueing_lock, (taken.job).args, (taken.job).scheduled_at, (taken.job).queue_name, (taken.job).attempts,
    (taken.job).worker_id,
    null as "|", (taken.run).*, taken.token, taken.was, false as expired,
    null as "|", taken.review_id, taken.decided_by, taken.decided_at, taken.question_type, taken.question,
    taken.answer_type, taken.answer, taken.approved_by,
    null as "|", saved.*,
    null as "|", taken.more, taken.was = 'new' and taken.position is null as blank,
    taken.was <> 'new' and adjourn.position((taken.run).thread_id) is not distinct from taken.position as holds
from adjourn.take_job(
    %(queues)s::text[], %(at_hand)s::text[], %(worker)s::bigint, %(owner)s, %(seconds)s, %(actor)s) as taken
left join lateral ({latest}) as saved on taken.was <> 'new';
