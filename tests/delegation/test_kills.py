"""kill -9 while a plan is carried out, and while it is undone: no finished subtask is done again, no undoing twice."""

import json
import os
import random
from pathlib import Path
from typing import Any

import psycopg
import pytest

from adjourn import AsyncEngine, Run, approve, respond
from adjourn.nodes.delegation.network import reversed_dependencies
from adjourn.settings import Settings
from support.crashing import LEDGER, ledger
from support.delegating import delegating, rows_of, some_nested_plan, some_plan
from support.eventually import eventually
from support.processes import child
from support.recovering import leases_run_out

TESTS = Path(__file__).parents[1]
QUICK = Settings(lease_seconds=0.8)

DRIVER = """
    import asyncio, json
    from adjourn import AsyncEngine
    from adjourn.settings import Settings
    from support.delegating import delegating

    async def main(database, plan):
        workflows = {"delegation": delegating(0.02)}
        async with AsyncEngine.open(database, workflows=workflows, settings=Settings(lease_seconds=0.8)) as engine:
            if plan:
                await engine.start("delegation", {"plan": json.loads(plan)}, thread_id="t")
            else:
                while (await engine.get("t")).status in ("running", "stalled"):
                    await engine.recover()
                    await asyncio.sleep(0.05)

    asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "ledger"
    monkeypatch.setenv(LEDGER, str(path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(TESTS), str(TESTS.parent)]))  # benchmarks, for the plans
    return path


def recorded(database: str, name: str) -> set[str]:
    """The subtasks with a finished attempt under a name, as they are stored."""
    with psycopg.connect(database) as connection:
        rows = connection.execute("select key from adjourn.effects where name = %s and status = 'done'", [name])
        return {row[0].rpartition("#")[0] for row in rows}


async def killed_again_and_again(database: str, lines: Path, plan: str, word: str, kills: int, seed: int) -> list[Any]:
    """Kill the driving process so often, each time after one to four more lines that begin with a word.

    Returns:
        What was recorded at each kill, and how many lines there were.
    """
    chance, found = random.Random(seed), []
    for _ in range(kills):
        wanted = len(of(lines, word)) + chance.randint(1, 4)
        with child(DRIVER, database, plan) as process:

            async def far_enough(wanted: int = wanted) -> bool:
                return len(of(lines, word)) >= wanted or await over(database)

            try:
                await eventually(far_enough, timeout=60)
            except AssertionError:
                raise AssertionError(f"the driver came no further:\n{process.output}") from None
            process.kill()
        leases_run_out(database)
        name = {"end": "subtask", "undo": "compensate"}[word]
        found.append((recorded(database, name), len(ledger(lines))))
        plan = ""
    return found


async def over(database: str) -> bool:
    with psycopg.connect(database) as connection:
        row = connection.execute("select status from adjourn.runs where thread_id = 't'").fetchone()
        return row is not None and row[0] not in ("running", "queued")


def of(lines: Path, word: str) -> list[str]:
    return [line.partition(" ")[2] for line in ledger(lines) if line.startswith(word + " ")]


async def brought_to_its_end(database: str, lines: Path) -> Run:
    """Recover until the run is over; people say of an undoing that it happened when it did."""
    async with AsyncEngine.open(database, workflows={"delegation": delegating(0)}, settings=QUICK) as engine:
        while True:

            async def settled() -> bool:
                await engine.recover()
                return (await engine.get("t")).status not in ("running", "stalled")

            await eventually(settled, timeout=60)
            run = await engine.get("t")
            if run.status != "paused":
                return run
            undone = of(lines, "undo")
            for each in await engine.reviews():  # those of the runs that undo nested plans as well
                happened = each.context["task_id"] in undone
                await engine.resume(
                    each.thread_id, respond("it happened") if happened else approve(), review_id=each.id
                )


async def no_finished_subtask_is_repeated(
    database: str, lines: Path, *, count: int, kills: int, seed: int, nested: bool = False
) -> None:
    plan = (some_nested_plan if nested else some_plan)(seed, count, fails=False)
    found = await killed_again_and_again(database, lines, json.dumps(plan), "end", kills, seed)
    run = await brought_to_its_end(database, lines)
    assert run.status == "completed"
    assert {each["status"] for each in run.state["subtasks"].values()} == {"completed"}
    everything = ledger(lines)
    for finished, since in found:
        again = finished & {line.partition(" ")[2] for line in everything[since:] if line.startswith("begin ")}
        assert not again, f"done again after it was finished: {again}"
    assert any(finished for finished, _ in found), "no kill came while something was finished: the test shows nothing"


async def no_undoing_happens_twice(
    database: str, lines: Path, *, count: int, kills: int, seed: int, nested: bool = False
) -> None:
    plan = (some_nested_plan if nested else some_plan)(seed, count, fails=True)
    await killed_again_and_again(database, lines, json.dumps(plan), "undo", kills, seed)
    run = await brought_to_its_end(database, lines)
    assert run.status == "failed"
    undone = of(lines, "undo")
    rows = rows_of(plan)
    ids = [name_of(each) for each, row in rows.items() if not row.nested and each != "last"]
    assert sorted(undone) == sorted(ids), "each once"
    place = {each: number for number, each in enumerate(undone)}
    dependants = reversed_dependencies({each: row.dependencies for each, row in rows.items()})
    for each, row in rows.items():
        if row.nested or each == "last":
            continue
        todo = list(dependants[each])
        for after in todo:  # across the borders of nested plans
            if rows[after].nested:
                todo += dependants[after]
            elif after != "last":
                assert place[name_of(after)] < place[name_of(each)], "in reverse order"


def name_of(row_id: str) -> str:
    return row_id.rpartition("/")[2]


async def test_kills_while_a_plan_is_carried_out_repeat_no_finished_subtask(database: str, lines: Path) -> None:
    await no_finished_subtask_is_repeated(database, lines, count=30, kills=2, seed=5)


async def test_kills_while_a_plan_is_undone_undo_nothing_twice(database: str, lines: Path) -> None:
    await no_undoing_happens_twice(database, lines, count=12, kills=2, seed=5)


async def test_kills_while_nested_plans_are_carried_out_repeat_no_finished_subtask(database: str, lines: Path) -> None:
    await no_finished_subtask_is_repeated(database, lines, count=8, kills=2, seed=7, nested=True)


async def test_kills_while_nested_plans_are_undone_undo_nothing_twice(database: str, lines: Path) -> None:
    await no_undoing_happens_twice(database, lines, count=6, kills=2, seed=7, nested=True)


# More kills within one node than recovery allows without progress: each finished subtask is progress.
@pytest.mark.soak
@pytest.mark.parametrize("seed", range(8))
async def test_many_kills_repeat_nothing(database: str, lines: Path, seed: int) -> None:
    await no_finished_subtask_is_repeated(database, lines, count=120, kills=12, seed=100 + seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(8))
async def test_many_kills_undo_nothing_twice(database: str, lines: Path, seed: int) -> None:
    await no_undoing_happens_twice(database, lines, count=40, kills=10, seed=200 + seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(8))
async def test_many_kills_with_nested_plans_repeat_nothing(database: str, lines: Path, seed: int) -> None:
    await no_finished_subtask_is_repeated(database, lines, count=12, kills=12, seed=300 + seed, nested=True)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(8))
async def test_many_kills_undo_nested_plans_once(database: str, lines: Path, seed: int) -> None:
    await no_undoing_happens_twice(database, lines, count=10, kills=8, seed=400 + seed, nested=True)
