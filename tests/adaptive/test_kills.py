"""kill -9 in and after attempts: no attempt that has ended is made again, and what is remembered counts once."""

from pathlib import Path

import psycopg
import pytest

from adjourn import AsyncEngine
from support.adapting import MEMORY, MOMENTS, adapting_workflow
from support.crashing import LEDGER, Moments, ledger
from support.killing import QUICK, kill_at_each, recovered

TESTS = Path(__file__).parents[1]

DRIVER = """
    from support.adapting import adapting_workflow
    from support.killing import drive_until_killed

    drive_until_killed(reach, lambda at: {"a": adapting_workflow(at)}, "a", {"main_task": "x"}, "t")
"""


@pytest.mark.parametrize("moments", [MOMENTS[2:], pytest.param(MOMENTS, marks=pytest.mark.soak)], ids=["three", "all"])
async def test_kills_repeat_no_attempt_that_has_ended_and_its_record_counts_once(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moments: tuple[str, ...]
) -> None:
    lines = tmp_path / "ledger"
    monkeypatch.setenv(LEDGER, str(lines))
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.setattr("adjourn.engine.recovery._FIRST_PAUSE", 0.0)

    await kill_at_each(DRIVER, database, moments)
    workflows = {"a": adapting_workflow(Moments("never", None))}
    async with AsyncEngine.open(database, workflows=workflows, settings=QUICK) as engine:
        run = await recovered(engine, "t")
    told = [line.split() for line in ledger(lines)]
    for number in ("1", "2"):
        ended = [line for line in told if line[:2] == ["end", number]]
        assert len(ended) == 1, f"attempt {number} was made again after it had ended"
        begun = [line for line in told if line[:2] == ["begin", number]]
        assert len(begun) == 1 + (f"in attempt {number}" in moments), "one that a process died in is made again"
        assert len({line[3] for line in begun}) == 1, "with the same key"
    assert [each["strategy"] for each in run.state["attempts"]] == ["slow", "quick"]
    assert run.state["final_result"]["strategy"] == "quick"
    with psycopg.connect(database) as connection:
        query = f"select value from store where prefix like '%adaptive.{MEMORY}.records.%'"
        ((value,),) = connection.execute(query).fetchall()
    assert [each["strategy"] for each in value["attempts"]] == ["slow", "quick"]
