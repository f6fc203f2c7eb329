"""kill -9 in and after attempts: no attempt that has ended is made again, and what is remembered counts once."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from adjourn import AsyncEngine
from adjourn.settings import Settings
from support.adapting import MEMORY, MOMENTS, adapting_workflow
from support.crashing import LEDGER, Moments, ledger
from support.eventually import eventually
from support.processes import child

TESTS = Path(__file__).parents[1]
QUICK = Settings(lease_seconds=0.3)

DRIVER = """
    import asyncio
    import adjourn.engine.recovery
    from adjourn import AsyncEngine
    from adjourn.settings import Settings
    from support.adapting import adapting_workflow
    from support.crashing import Moments

    adjourn.engine.recovery._FIRST_PAUSE = 0.0

    async def main(database, moment, verb):
        workflows = {"a": adapting_workflow(Moments(moment, reach))}
        async with AsyncEngine.open(database, workflows=workflows, settings=Settings(lease_seconds=0.3)) as engine:
            if verb == "start":
                await engine.start("a", {"main_task": "x"}, thread_id="t")
            while True:
                await engine.recover()
                await asyncio.sleep(0.05)

    asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("moments", [MOMENTS[2:], pytest.param(MOMENTS, marks=pytest.mark.soak)], ids=["three", "all"])
async def test_kills_repeat_no_attempt_that_has_ended_and_its_record_counts_once(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moments: tuple[str, ...]
) -> None:
    lines = tmp_path / "ledger"
    monkeypatch.setenv(LEDGER, str(lines))
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.setattr("adjourn.engine.recovery._FIRST_PAUSE", 0.0)

    def killed(moment: str) -> None:
        with child(DRIVER, database, moment, "start" if moment == moments[0] else "recover") as process:
            process.wait_for(moment)
            process.kill()

    for moment in moments:
        await asyncio.to_thread(killed, moment)
    workflows = {"a": adapting_workflow(Moments("never", None))}
    async with AsyncEngine.open(database, workflows=workflows, settings=QUICK) as engine:

        async def over() -> bool:
            await engine.recover()
            return (await engine.get("t")).status == "completed"

        await eventually(over, timeout=20)
        run = await engine.get("t")
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
