-- name: spent
-- What a run has spent; no row before its first answer.
select calls, input_tokens + output_tokens as tokens, cost from adjourn.spending where thread_id = %(thread_id)s;

-- name: granted
-- The questions for more of a run that are closed, with their answers; those that were withdrawn have none.
select coalesce(outcome_type, answer_type) as kind, coalesce(outcome, answer) as data
from adjourn.reviews
left join adjourn.decisions
    on decisions.thread_id = reviews.thread_id and decisions.review_id = reviews.review_id and decisions.final
where reviews.thread_id = %(thread_id)s and reviews.review_id like %(pattern)s and reviews.status <> 'pending'
order by reviews.created_at;

-- name: count_answer
-- Count an answer, and return what the run has spent now. Of a run that was deleted meanwhile nothing is counted.
insert into adjourn.spending as known (thread_id, calls, input_tokens, output_tokens, cost)
select thread_id, 1, %(input)s, %(output)s, %(cost)s from adjourn.runs where thread_id = %(thread_id)s
on conflict (thread_id) do update
set calls = known.calls + 1,
    input_tokens = known.input_tokens + excluded.input_tokens,
    output_tokens = known.output_tokens + excluded.output_tokens,
    cost = known.cost + excluded.cost,
    updated_at = clock_timestamp()
returning calls, input_tokens + output_tokens as tokens, cost;

-- name: cached
-- What is kept for some questions, unless its time is over.
select key, kind, data from adjourn.cached
where tenant = %(tenant)s and key = any (%(keys)s) and expires_at > clock_timestamp();

-- name: keep
-- Keep an answer, and drop a few whose time is over, so that the table does not grow for ever.
with gone as (
    delete from adjourn.cached where (tenant, key) in (
        select tenant, key from adjourn.cached
        where expires_at <= clock_timestamp() and (tenant, key) <> (%(tenant)s, %(key)s)
        order by expires_at limit 20 for update skip locked
    )
)
insert into adjourn.cached (tenant, key, kind, data, expires_at)
values (%(tenant)s, %(key)s, %(kind)s, %(data)s, clock_timestamp() + make_interval(secs => %(seconds)s::float8))
on conflict (tenant, key) do update
set kind = excluded.kind, data = excluded.data, expires_at = excluded.expires_at;

-- name: take_turn
-- Take the next turn of a name, and return the seconds until it comes (GCRA: `next_at` is its theoretical arrival time).
insert into adjourn.call_turns as known (name, next_at)
values (%(name)s, clock_timestamp() + make_interval(secs => %(apart)s::float8))
on conflict (name) do update
set next_at = greatest(known.next_at, clock_timestamp()) + make_interval(secs => %(apart)s::float8)
returning extract(
    epoch from next_at - make_interval(secs => (%(apart)s * %(burst)s)::float8) - clock_timestamp()
)::float8 as wait;

-- name: delay_turns
-- Let nobody begin for a while: what a server asked for with Retry-After. A burst is no reason to come sooner.
update adjourn.call_turns
set next_at = greatest(
    next_at, clock_timestamp() + make_interval(secs => (%(seconds)s + %(apart)s * (%(burst)s - 1))::float8)
)
where name = %(name)s;
