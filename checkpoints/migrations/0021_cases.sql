-- What runs have left to later ones: past cases, found again by their words.
--
-- No foreign key leads to the runs: what writes here holds a lease, and must not wait for a run's row. Erasing a run and
-- deleting it take its cases along.
create table adjourn.cases (
    tenant        text        not null,
    -- a digest of run, node and key, so that a node that runs again leaves its case once
    id            text        not null,
    kind          text        not null,
    thread_id     text        not null,
    -- text and outcome; encrypted where there is a key
    content       jsonb       not null,
    -- stems of the words, or with a key a keyed hash of each, with as many positions as the word comes in the text; beside
    -- them two words that stand for the tenant and for the kind, so that the index looks at no others
    words         tsvector    not null,
    -- how many words the text has
    length        integer     not null,
    remembered_at timestamptz not null default clock_timestamp(),
    primary key (tenant, id)
);
create index cases_by_words on adjourn.cases using gin (words);
create index cases_by_time on adjourn.cases (tenant, remembered_at desc, id desc);
create index cases_by_kind on adjourn.cases (tenant, kind, remembered_at desc, id desc);
create index cases_by_age on adjourn.cases (remembered_at);
create index cases_by_thread on adjourn.cases (thread_id);
