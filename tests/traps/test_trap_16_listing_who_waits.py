"""Trap 16: list the threads that wait for a person: no API, and answered questions stay in the table of writes."""

from typing import Any

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.types import Command
from psycopg.rows import dict_row

from adjourn import AsyncEngine, approve
from adjourn.checkpoints.queries import load_queries
from support.workflows import asking

MANY = """
insert into adjourn.runs (thread_id, tenant, workflow, version, source, status, requested_by, input_digest)
select 'copy-' || n, 'default', 'asking', '1', 'copied', 'paused', 'kim', '' from generate_series(1, 20000) n;
insert into adjourn.reviews (thread_id, review_id, checkpoint_ns, checkpoint_id, task_id, question_type, question,
    tenant, workflow, status, roles, created_at)
select 'copy-' || n, 'r', '', '', '', question_type, question, 'default', 'asking',
    case when n % 10 = 0 then 'pending' else 'decided' end,
    case when n % 1000 = 0 then array['legal'] else '{}' end, now() - make_interval(secs => n)
from adjourn.reviews, generate_series(1, 20000) n;
analyze adjourn.runs; analyze adjourn.reviews;
"""


def config(thread_id: str) -> Any:
    return {"configurable": {"thread_id": thread_id}}


async def test_langgraphs_tables_show_answered_questions_too_and_have_no_index_for_them(
    stock_saver: AsyncPostgresSaver,
) -> None:
    graph = asking.compile(checkpointer=stock_saver)
    for name in ("a", "b", "c"):
        await graph.ainvoke({"name": name}, config(name))
    await graph.ainvoke(Command(resume={"decisions": [{"type": "approve"}]}), config("a"))
    async with stock_saver._cursor() as cursor:
        await cursor.execute("select distinct thread_id from checkpoint_writes where channel = '__interrupt__'")
        assert {row["thread_id"] for row in await cursor.fetchall()} == {"a", "b", "c"}
        await cursor.execute("select indexdef from pg_indexes where tablename = 'checkpoint_writes'")
        assert not any("channel" in row["indexdef"].partition("(")[2] for row in await cursor.fetchall())


async def test_adjourn_lists_those_that_wait_from_an_index(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"asking": asking}) as engine:
        runs = [await engine.start("asking", {"name": name}) for name in ("a", "b", "c")]
        await engine.resume(runs[0].thread_id, approve())
        assert {review.thread_id for review in await engine.reviews()} == {run.thread_id for run in runs[1:]}
        assert [review.thread_id for review in await engine.reviews("decided")] == [runs[0].thread_id]


def plan_of(url: str, **given: Any) -> tuple[str, int]:
    """The indexes and scans of a page of the inbox among 2,000 that are pending, and how many rows it read."""
    names = ("workflow", "role", "held", "thread_id", "asked_before", "due_before")
    names += ("after_priority", "after_time", "after_thread", "after_review")
    values = {**dict.fromkeys(names), "tenant": "default", "limit": 51, **given}
    query = load_queries("adjourn.engine", "review_pages.sql")["inbox"]
    with psycopg.connect(url, row_factory=dict_row) as connection:
        (row,) = connection.execute("explain (analyze, format json) " + query, values, prepare=False).fetchall()
    nodes = [row["QUERY PLAN"][0]["Plan"]]
    read, scans = 0, []
    for node in nodes:
        nodes += node.get("Plans", [])
        if "Scan" in node["Node Type"]:
            scans.append(f"{node['Node Type']} {node.get('Index Name', node.get('Relation Name'))}")
            read += int(node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0))
    return ", ".join(scans), read


async def test_each_page_reads_little_more_than_it_shows(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"asking": asking}) as engine:
        await engine.start("asking", {"name": "x"})
        with psycopg.connect(database, autocommit=True) as connection:
            for statement in MANY.split(";"):
                connection.execute(statement.encode())
        seen: list[str] = []
        page = await engine.reviews(limit=700)
        while True:
            seen += [review.thread_id for review in page]
            if page.after is None:
                break
            page = await engine.reviews(limit=700, after=page.after)
        assert len(seen) == len(set(seen)) == 2001
        assert seen[0] == "copy-20000"  # what waits longest comes first
        assert len(await engine.reviews(role="legal")) == 20
        last = (await engine.reviews(limit=1000)).items[-1]
    middle = {
        "after_priority": 0, "after_time": last.asked_at, "after_thread": last.thread_id, "after_review": last.id,
    }  # fmt: skip
    for given, index in (
        ({}, "reviews_inbox"),
        (middle, "reviews_inbox"),
        ({"workflow": "asking"}, "reviews_inbox"),
        ({"role": "legal"}, "reviews_inbox_of_roles"),
        ({"held": ["legal", "sales"]}, "reviews_inbox"),
        ({"thread_id": "copy-10"}, "reviews_pkey"),
    ):
        scans, read = plan_of(database, **given)
        assert "Seq Scan" not in scans, (given, scans)
        assert read < 350, (given, scans)
        assert index in scans or given.get("thread_id"), (given, scans)
