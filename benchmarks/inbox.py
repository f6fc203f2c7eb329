"""Measure the inbox: `python -m benchmarks.inbox [--quick] [--url postgresql://…] [--out folder]`.

A million runs, one in ten of them waiting for people, made by SQL as copies of one real pause. Each filter is asked through
the engine, and PostgreSQL is asked which index it used.
"""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from adjourn import AsyncEngine, Settings
from adjourn.checkpoints.queries import load_queries
from benchmarks.engine import TEXT, asking
from benchmarks.machine import describe, new_database, read_options, server

TARGET_MS = 10.0
# half of those that wait ask anybody, the others one of ten common roles; one in a thousand asks a rare one
MANY = """
insert into adjourn.runs (thread_id, tenant, workflow, version, source, status, requested_by, input_digest)
select 'copy-' || n, 'default', 'workflow ' || n %% 7, '1', 'a copy',
    case when n %% 10 = 0 then 'paused' else 'completed' end, 'kim', '' from generate_series(1, %(runs)s::int) n;
insert into adjourn.reviews (
    thread_id, review_id, checkpoint_ns, checkpoint_id, task_id, question_type, question, digest, tenant, workflow, status,
    roles, priority, due_at, created_at)
select 'copy-' || n, review_id, '', '', '', question_type, question, digest, 'default', 'workflow ' || n %% 7,
    case when n %% 10 = 0 then 'pending' else 'decided' end,
    case when n %% 10000 = 0 then array['rare'] when n %% 20 = 0 then array['role ' || n / 20 %% 10] else '{}' end,
    n / 1000 %% 3, case when n %% 50 = 0 then now() + make_interval(secs => n) end, now() - make_interval(secs => n)
from adjourn.reviews, generate_series(1, %(runs)s::int) n where reviews.status = 'pending';
"""


def filters(runs: int) -> dict[str, dict[str, Any]]:
    """What people ask the inbox for."""
    now = datetime.now(UTC)
    return {
        "first page": {},
        "a workflow's": {"workflow": "workflow 3"},
        "a common role's": {"role": "role 4"},
        "a rare role's": {"role": "rare"},
        "those of a thread": {"thread_id": f"copy-{runs // 20 * 10}"},
        "the oldest": {"asked_before": now - timedelta(seconds=runs * 0.9)},
        "due soon": {"due_before": now + timedelta(seconds=500)},
    }


async def measure(url: str, runs: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Fill the tables, then list by each filter; return milliseconds and the indexes that were used."""
    settings = Settings(log_level="error")
    async with AsyncEngine.open(url, workflows={"asking": asking()}, settings=settings) as engine:
        await engine.start("asking", {"log": ["in"], "text": TEXT})
        async with await AsyncConnection.connect(url, autocommit=True, row_factory=dict_row) as connection:
            for table in (b"runs", b"reviews"):  # copies made by SQL are no facts for the audit
                await connection.execute(b"alter table adjourn." + table + b" disable trigger user")
            for statement in MANY.split(";\n")[:2]:
                await connection.execute(statement.encode(), {"runs": runs})
            await connection.execute("vacuum analyze adjourn.runs, adjourn.reviews")
            found = {}
            asked = {**filters(runs), "a page in the middle": {"after": await middle(engine)}}
            for name, given in asked.items():
                taken = []
                for _ in range(rounds):
                    began = time.perf_counter()
                    page = await engine.reviews(**given)
                    taken.append(1000 * (time.perf_counter() - began))
                plan = await indexes(connection, {name: value for name, value in given.items() if name != "after"})
                found[name] = {"ms": taken, "shown": len(page), "indexes": plan}
            return found


async def middle(engine: AsyncEngine) -> str | None:
    """Where the fortieth page of fifty begins."""
    after = None
    for _ in range(2):
        after = (await engine.reviews(limit=1000, after=after)).after or after
    return after


async def indexes(connection: AsyncConnection[dict[str, Any]], given: dict[str, Any]) -> list[str]:
    """Return the indexes, or else the tables, that PostgreSQL reads for a page."""
    names = ("workflow", "role", "held", "thread_id", "asked_before", "due_before")
    names += ("after_priority", "after_time", "after_thread", "after_review")
    values = {**dict.fromkeys(names), "tenant": "default", "limit": 51, **given}
    query = load_queries("adjourn.engine", "review_pages.sql")["inbox"]
    cursor = await connection.execute(b"explain (format json) " + query.encode(), values, prepare=False)
    (row,) = await cursor.fetchall()
    nodes, found = [row["QUERY PLAN"][0]["Plan"]], []
    for node in nodes:
        nodes += node.get("Plans", [])
        if "Scan" in node["Node Type"] and node.get("Relation Name", "reviews") == "reviews":
            found.append(node.get("Index Name") or f"all of {node.get('Relation Name')}" * ("Seq" in node["Node Type"]))
    return sorted({name for name in found if name})


def main() -> None:
    """Print the table, and write it as JSON."""
    options = read_options(__doc__)
    runs, rounds = (20_000, 3) if options.quick else (1_000_000, 30)
    with server(options.url) as base:
        url = new_database(base, "bench_inbox")
        machine = describe(base)
        found = asyncio.run(measure(url, runs, rounds))
    where = f"{machine['processors']} processors, {machine['processor']}; PostgreSQL {machine['postgres']}"
    what = f"{runs // 10:,} pending among {runs:,} runs; pages of 50; target {TARGET_MS:g} ms"
    print(where)
    print(what)
    print(f"{'milliseconds':22} {'median':>7} {'highest':>8} {'shown':>6}  index")
    for name, each in found.items():
        met = "" if median(each["ms"]) <= TARGET_MS else "  (missed)"
        head = f"{name:22} {median(each['ms']):7.2f} {max(each['ms']):8.2f} {each['shown']:6}"
        print(f"{head}  {', '.join(each['indexes'])}{met}")
    options.out.mkdir(parents=True, exist_ok=True)
    written = {"machine": machine, "runs": runs, "target_ms": TARGET_MS, "pages": found}
    (options.out / "inbox.json").write_text(json.dumps(written, indent=1) + "\n")
    (options.out / "inbox.md").write_text(markdown([what + ".", where + "."], found))


def markdown(about: list[str], found: dict[str, dict[str, Any]]) -> str:
    """Return the table as a page."""
    rows = [
        f"| {name} | {median(each['ms']):.2f} | {max(each['ms']):.2f} | {each['shown']} | {', '.join(each['indexes'])} |"
        for name, each in found.items()
    ]
    table = ["| milliseconds | median | highest | shown | index |", "|---|--:|--:|--:|---|", *rows]
    return "\n".join(["# Listing what waits for people", "", *about, "", *table, ""])


if __name__ == "__main__":
    main()
