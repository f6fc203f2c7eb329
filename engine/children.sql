-- name: find_child
-- The child that a task of a parent has under an id, and how it stands. Its parent does not wait for it any more: it looks.
-- Only the holder of the parent's lease may.
with lease as (
    select from adjourn.leases where thread_id = %(parent_id)s and token = %(token)s for key share
)
update adjourn.children
set waited = null, on_failure = %(on_failure)s
from adjourn.children as found
    left join adjourn.runs on runs.thread_id = found.thread_id
    left join adjourn.leases on leases.thread_id = found.thread_id
where exists (select from lease)
  and found.parent_id = %(parent_id)s
  and found.checkpoint_ns = %(checkpoint_ns)s
  and found.child_id = %(child_id)s
  and children.thread_id = found.thread_id
returning runs.*, children.thread_id as child, children.again,
    coalesce(leases.expires_at <= clock_timestamp(), true) as expired;

-- name: lock_parent
-- The parent, while its drive starts a child: whoever cancels it waits, or has done so. Says how deep it stands itself, and
-- whether the child comes under a limit that is to hold it back.
select coalesce(children.depth, 0) as depth, coalesce(children.root_id, runs.thread_id) as root_id,
    %(held)s and adjourn.is_limited(%(workflow)s, tenant) as limited
from adjourn.runs left join adjourn.children using (thread_id)
where runs.thread_id = %(parent_id)s and runs.status = 'running'
for no key update of runs;

-- name: lock_parents_lease
-- Only the holder of the parent's lease starts children of it.
select 1 as held from adjourn.leases where thread_id = %(parent_id)s and token = %(token)s for key share;

-- name: link_child
-- Tie a run that was accepted in this transaction to its parent: it is as urgent, and where it waits for a place, it waits
-- since the first of its family does, so that what has begun comes to its end before more begins.
with child as (
    update adjourn.runs
    set parent_id = above.thread_id, priority = above.priority,
        queued_at = case when runs.queued_at is not null then (
            select least(first.created_at, runs.queued_at) from adjourn.runs first where first.thread_id = %(root_id)s) end
    from adjourn.runs above
    where runs.thread_id = %(thread_id)s and above.thread_id = %(parent_id)s
),
parent as (
    update adjourn.runs set has_children = true where thread_id = %(parent_id)s and not has_children
)
insert into adjourn.children (thread_id, parent_id, checkpoint_ns, child_id, root_id, depth, on_failure)
values (
    %(thread_id)s, %(parent_id)s, %(checkpoint_ns)s, %(child_id)s, %(root_id)s, %(depth)s, %(on_failure)s
);

-- name: wait_for_children
-- In the transaction that records a pause; see the function, in a migration.
select adjourn.wait_for_children(%(parent_id)s, %(thread_ids)s::text[], %(untils)s::text[]) as goes_on;

-- name: may_go_on
-- Whether a run is paused and what it waits for has ended.
select adjourn.may_go_on(thread_id) as goes_on from adjourn.runs where thread_id = %(parent_id)s and status = 'paused';

-- name: wait_no_more
-- A run that waited is driven again.
update adjourn.children set waited = null where parent_id = %(parent_id)s and waited is not null;

-- name: list_woken
-- Paused runs that may go on because what they waited for has ended, and that nobody has driven on: the process that ended
-- the child died, or lacks the parent's workflow.
select runs.thread_id
from (
    select distinct parent_id from adjourn.children where waited is not null and ended_as is not null
) as candidates
join adjourn.runs on runs.thread_id = candidates.parent_id
where runs.status = 'paused' and runs.tenant = %(tenant)s and adjourn.may_go_on(runs.thread_id)
order by runs.updated_at
limit %(limit)s;

-- name: waited_for
-- What a paused run waits for and has not ended.
select children.thread_id from adjourn.children join adjourn.runs on runs.thread_id = children.parent_id
where children.parent_id = %(parent_id)s and runs.status = 'paused' and waited is not null and ended_as is null
order by number;

-- name: go_on_again
-- A parent that failed with a child is tried again: so is the child, when the node comes to it.
update adjourn.children set again = true where parent_id = %(parent_id)s and thread_id = %(thread_id)s;

-- name: children_at
-- The children that a run of a tenant has at a place, and how they have ended.
select children.child_id, children.thread_id, children.ended_as
from adjourn.children join adjourn.runs on runs.thread_id = children.parent_id
where children.parent_id = %(parent_id)s and children.checkpoint_ns = %(checkpoint_ns)s and runs.tenant = %(tenant)s
order by children.number;

-- name: holds_lease
-- Whether a drive still has the lease of its run.
select 1 as held from adjourn.leases where thread_id = %(parent_id)s and token = %(token)s;

-- name: taken_up
-- A child that had failed goes on.
update adjourn.children set again = false where thread_id = %(thread_id)s and again;

-- name: tree
-- Everything below a run, each behind its parent, in the order in which they were started.
with recursive tree as (
    select children.*, array[number] as place from adjourn.children where parent_id = %(thread_id)s
    union all
    select children.*, tree.place || children.number
    from tree join adjourn.children on children.parent_id = tree.thread_id
)
select tree.thread_id, tree.parent_id, tree.child_id, tree.depth, tree.waited is not null as waited_for, runs.workflow,
    case when runs.status = 'running' and leases.expires_at <= clock_timestamp() then 'stalled' else runs.status end
        as status,
    runs.error,
    (select count(*) from adjourn.reviews where reviews.thread_id = tree.thread_id and reviews.status = 'pending')
        as questions
from tree
join adjourn.runs on runs.thread_id = tree.thread_id
left join adjourn.leases on leases.thread_id = tree.thread_id
order by tree.place
limit %(limit)s;
