-- name: inbox
-- A page of open questions: the most urgent first, then those that wait longest; `after` ended the page before.
with page as (
    select thread_id, review_id
    from adjourn.reviews
    where reviews.tenant = %(tenant)s and reviews.status = 'pending'
      and (%(workflow)s::text is null or reviews.workflow = %(workflow)s)
      and (%(role)s::text is null or reviews.roles @> array[%(role)s::text])
      and (%(held)s::text[] is null or reviews.roles = '{}' or reviews.roles && %(held)s::text[])
      and (%(thread_id)s::text is null or reviews.thread_id = %(thread_id)s)
      and (%(asked_before)s::timestamptz is null or reviews.created_at < %(asked_before)s)
      and (%(due_before)s::timestamptz is null or reviews.due_at < %(due_before)s)
      and (%(after_thread)s::text is null
           or (-reviews.priority, reviews.created_at, reviews.thread_id, reviews.review_id)
              > (-%(after_priority)s::integer, %(after_time)s::timestamptz, %(after_thread)s, %(after_review)s))
    order by -reviews.priority, reviews.created_at, reviews.thread_id, reviews.review_id
    limit %(limit)s
)
select reviews.*, runs.requested_by, coalesce(reviews.due_at <= clock_timestamp(), false) as overdue
from page join adjourn.reviews using (thread_id, review_id) join adjourn.runs using (thread_id)
order by -reviews.priority, reviews.created_at, reviews.thread_id, reviews.review_id;

-- name: closed_reviews
-- A page of reviews that are decided, expired or withdrawn, newest first; `after` ended the page before.
with page as (
    select thread_id, review_id
    from adjourn.reviews
    where reviews.tenant = %(tenant)s and reviews.status = %(status)s and reviews.status <> 'pending'
      and (%(workflow)s::text is null or reviews.workflow = %(workflow)s)
      and (%(role)s::text is null or reviews.roles @> array[%(role)s::text])
      and (%(thread_id)s::text is null or reviews.thread_id = %(thread_id)s)
      and (%(asked_before)s::timestamptz is null or reviews.created_at < %(asked_before)s)
      and (%(due_before)s::timestamptz is null or reviews.due_at < %(due_before)s)
      and (%(after_thread)s::text is null
           or (reviews.created_at, reviews.thread_id, reviews.review_id)
              < (%(after_time)s::timestamptz, %(after_thread)s, %(after_review)s))
    order by reviews.created_at desc, reviews.thread_id desc, reviews.review_id desc
    limit %(limit)s
)
select reviews.*, runs.requested_by, false as overdue
from page join adjourn.reviews using (thread_id, review_id) join adjourn.runs using (thread_id)
order by reviews.created_at desc, reviews.thread_id desc, reviews.review_id desc;

-- name: reviews_of_thread
-- The reviews of a run: open ones in the order in which they were asked, then closed ones, newest first.
select reviews.*, runs.requested_by, coalesce(reviews.due_at <= clock_timestamp(), false) as overdue
from adjourn.reviews join adjourn.runs using (thread_id)
where reviews.tenant = %(tenant)s and thread_id = %(thread_id)s
order by reviews.status <> 'pending', case when reviews.status = 'pending' then reviews.created_at end,
    reviews.created_at desc, review_id
limit %(limit)s;

-- name: reviews_beginning_with
-- The reviews whose id begins so: what people type of an id.
select reviews.*, runs.requested_by, coalesce(reviews.due_at <= clock_timestamp(), false) as overdue
from adjourn.reviews join adjourn.runs using (thread_id)
where reviews.tenant = %(tenant)s and review_id like %(pattern)s
order by review_id
limit %(limit)s;
