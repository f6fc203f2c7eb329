"""Named queries in `.sql` files."""

import pytest

from adjourn.checkpoints import load_queries
from adjourn.checkpoints.queries import parse_queries
from adjourn.errors import ConfigurationError

GOOD = """\
-- This file is about runs.

-- name: get_run
-- One run by its thread id.
select * from adjourn.runs
 where thread_id = %(thread_id)s;

-- name: count_runs
-- How many there are.
select count(*) from adjourn.runs;
"""


def test_each_query_is_found_by_its_name() -> None:
    queries = parse_queries(GOOD, "runs.sql")
    assert list(queries) == ["get_run", "count_runs"]
    assert queries["count_runs"] == "select count(*) from adjourn.runs;"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (GOOD + GOOD, r"runs.sql, line 13: a second query is called get_run"),
        ("select 1;\n" + GOOD, r"runs.sql, line 1: this query has no name"),
        ("-- name: bare\nselect 1;", r"the query bare needs a comment line"),
        ("-- name: bare", r"the query bare needs a comment line"),
        ("-- name: empty\n-- It does nothing.\n", r"the query empty holds no statement"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_with_the_place(text: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        parse_queries(text, "runs.sql")


def test_queries_are_read_from_a_package() -> None:
    assert "pg_try_advisory_lock" in load_queries("adjourn.checkpoints", "migrations.sql")["try_lock"]


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"nosuch.sql is missing from the package adjourn.checkpoints"):
        load_queries("adjourn.checkpoints", "nosuch.sql")
