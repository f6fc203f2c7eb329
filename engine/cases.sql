-- name: known_case
-- A row if the case is there already.
select 1 from adjourn.cases where tenant = %(tenant)s and id = any (%(ids)s);

-- name: add_case
-- Remember a case, once, under the lease of the drive that does it. Says whether the lease is held, and whether it is new.
with lease as (
    select from adjourn.leases where thread_id = %(thread_id)s and token = %(token)s for key share
),
added as (
    insert into adjourn.cases (tenant, id, kind, thread_id, content, words, length)
    select %(tenant)s, %(id)s, %(kind)s, %(thread_id)s, %(content)s, %(words)s::tsvector, %(length)s
    where exists (select from lease)
        and not exists (select from adjourn.cases where tenant = %(tenant)s and id = any (%(ids)s))
    on conflict do nothing
    returning 1
)
select exists (select from lease) as held, exists (select from added) as fresh;

-- name: find_by_words
-- The cases that share most with a text: Okapi BM25, divided by what the text itself would have, so that it is 1 for a case
-- of the same words. How many cases hold a word is counted up to a thousand. Candidates are those that hold one of the text's
-- rarest known words, as many words as bring a thousand cases.
with size as (
    select count(*)::float8 as cases
    from (
        select from adjourn.cases
        where tenant = %(tenant)s and (%(kind)s::text is null or kind = %(kind)s)
        limit 1000
    ) as counted
),
asked as materialized (
    select word.number, word.spellings, word.query, word.times, (
        select count(*)::float8
        from (
            select from adjourn.cases
            where tenant = %(tenant)s and (%(kind)s::text is null or kind = %(kind)s)
                and words @@ (%(scope)s || ' & (' || word.query || ')')::tsquery
            limit 1000
        ) as counted
    ) as cases
    from jsonb_to_recordset(%(asked)s::jsonb) as word (number integer, spellings text[], query text, times float8)
),
weighed as (
    select asked.*, ln(1 + (greatest(size.cases - asked.cases, 0) + 0.5) / (asked.cases + 0.5)) as weight
    from asked, size
),
rare as (
    select string_agg('(' || query || ')', ' | ') as query
    from (
        select query, sum(cases) over (
            order by cases, number rows between unbounded preceding and 1 preceding
        ) as before
        from weighed
        where cases > 0
    ) as known
    where coalesce(before, 0) < 1000
),
candidates as materialized (
    select id, words, length::float8 / avg(length) over () as long, %(length)s / avg(length) over () as asked_long
    from (
        select id, words, length
        from adjourn.cases, rare
        where tenant = %(tenant)s and (%(kind)s::text is null or kind = %(kind)s)
            and words @@ (%(scope)s || ' & (' || rare.query || ')')::tsquery
            and thread_id is distinct from %(except)s
            and (%(since)s::timestamptz is null or remembered_at >= %(since)s)
        limit 2000
    ) as found
),
spelt as materialized (select number, weight, unnest(spellings) as lexeme from weighed),
hits as (
    select candidates.id, candidates.long, spelt.weight, sum(cardinality(word.positions)) as times
    from candidates
    cross join lateral unnest(candidates.words) as word (lexeme, positions, weights)
    join spelt using (lexeme)
    group by candidates.id, candidates.long, spelt.number, spelt.weight
),
whole as (
    select sum(weight * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * one.asked_long))) as score
    from weighed, (select asked_long from candidates limit 1) as one
)
select hits.id,
    least(1.0, sum(weight * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * long))) / whole.score) as score
from hits, whole
group by hits.id, whole.score
order by score desc, hits.id
limit %(limit)s;

-- name: read_cases
-- Cases by id.
select id, kind, thread_id, content, remembered_at from adjourn.cases
where tenant = %(tenant)s and id = any (%(ids)s);

-- name: newest_cases
-- A page of cases, newest first.
select id, kind, thread_id, content, remembered_at from adjourn.cases
where tenant = %(tenant)s and (%(kind)s::text is null or kind = %(kind)s)
    and (%(since)s::timestamptz is null or remembered_at >= %(since)s)
    and (%(after_id)s::text is null or (remembered_at, id) < (%(after_time)s::timestamptz, %(after_id)s))
order by remembered_at desc, id desc
limit %(limit)s;

-- name: forget_case
-- Remove one case; the audit of the run that left it says so. It never waits for that run.
with gone as (delete from adjourn.cases where tenant = %(tenant)s and id = %(id)s returning id, thread_id)
select adjourn.audit_put(thread_id, adjourn.audit_text(
    '"at":"' || adjourn.audit_time(clock_timestamp()) || '",',
    '"by":' || to_json(%(who)s::jsonb ->> 'by') || ',',
    '"case":' || to_json(id) || ',',
    '"channel":' || to_json(%(who)s::jsonb ->> 'channel') || ',',
    '"kind":"forgotten",', '"n":0,',
    '"source":' || to_json(%(who)s::jsonb ->> 'source') || ',',
    '"thread":' || to_json(thread_id) || ','))
from gone;
