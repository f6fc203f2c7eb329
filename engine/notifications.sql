-- name: post_asked
-- People are asked: one event for each open question of a thread that has none yet.
insert into adjourn.notices (thread_id, review_id, kind)
select thread_id, review_id, 'asked' from adjourn.reviews
where thread_id = %(thread_id)s and status = 'pending'
on conflict do nothing;

-- name: post
-- Events of reviews, in the transaction that makes them. The same event twice is one.
insert into adjourn.notices (thread_id, review_id, kind, number)
select thread_id, review_id, event.kind, event.number
from unnest(%(thread_ids)s::text[], %(review_ids)s::text[], %(kinds)s::text[], %(numbers)s::int[])
    as event (thread_id, review_id, kind, number)
join adjourn.reviews using (thread_id, review_id)
on conflict do nothing;

-- name: claim
-- Take events that are due, for a while: nobody else takes them until then, and if this process dies somebody does.
with due as (
    select thread_id, review_id, kind, number from adjourn.notices
    where next_at <= now()
    order by next_at
    limit %(limit)s
    for update skip locked
),
claimed as (
    update adjourn.notices
    set next_at = now() + make_interval(secs => %(seconds)s), attempts = attempts + 1
    from due
    where (notices.thread_id, notices.review_id, notices.kind, notices.number)
        = (due.thread_id, due.review_id, due.kind, due.number)
    returning notices.*
)
select * from claimed;

-- name: leave
-- Put an event off, or (with no time) for good, unless somebody else has taken it meanwhile.
update adjourn.notices
set next_at = now() + make_interval(secs => %(seconds)s), refused = %(refused)s
where thread_id = %(thread_id)s and review_id = %(review_id)s and kind = %(kind)s and number = %(number)s
  and attempts = %(attempts)s;
