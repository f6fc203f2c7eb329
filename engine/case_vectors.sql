-- name: is_there
-- Whether the table of vectors has been made. (to_regclass would look into a cache, which knows nothing of what another
-- process has made while we waited for the lock.)
select exists (select from pg_tables where schemaname = 'adjourn' and tablename = 'case_vectors') as made;

-- name: one_at_a_time
-- Of several processes that make it at once the others wait; the lock ends with the transaction.
select pg_advisory_xact_lock(%(key)s);

-- name: schema_of_pgvector
-- Where the extension lives in this database; no row where it is not installed.
select nspname as schema from pg_extension join pg_namespace on pg_namespace.oid = extnamespace where extname = 'vector';

-- name: install_pgvector
-- Only a superuser may, or whom the provider of the database allows it.
create extension vector;

-- name: look_there
-- Find the extension's type and operators, for the rest of the transaction and in the function that is made in it. What
-- others may have made in that schema under the names of PostgreSQL's own must not come first.
select set_config('search_path', 'pg_catalog, ' || quote_ident(%(schema)s) || ', pg_temp', true);

-- name: make_table
-- One vector for each case, of the model that was set when it was remembered; models may differ in length.
create table adjourn.case_vectors (
    tenant    text   not null,
    id        text   not null,
    model     text   not null,
    embedding vector not null,
    primary key (tenant, id),
    foreign key (tenant, id) references adjourn.cases on delete cascade
);

-- name: make_function
-- The nearest cases by the angle between vectors, all of them compared: those of one model only.
create function adjourn.nearest_cases(
    of_tenant text, of_kind text, of_model text, wanted real[], not_of text, since timestamptz, most integer)
returns table (id text, score float8) language sql stable set search_path from current as $$
    select near.id, near.score
    from (
        select case_vectors.id, 1 - (embedding <=> wanted::vector) as score
        from adjourn.case_vectors join adjourn.cases using (tenant, id)
        where tenant = of_tenant and model = of_model
            and (of_kind is null or kind = of_kind)
            and thread_id is distinct from not_of
            and (since is null or remembered_at >= since)
    ) as near
    where near.score > 0 and near.score <> 'NaN'
    order by near.score desc, near.id
    limit most
$$;

-- name: add_vector
-- The vector of a case that was remembered in the same transaction.
insert into adjourn.case_vectors (tenant, id, model, embedding)
values (%(tenant)s, %(id)s, %(model)s, %(vector)s::real[])
on conflict do nothing;

-- name: find_by_meaning
-- The cases nearest to a vector.
select id, score from adjourn.nearest_cases(
    %(tenant)s, %(kind)s, %(model)s, %(vector)s::real[], %(except)s, %(since)s, %(limit)s);
