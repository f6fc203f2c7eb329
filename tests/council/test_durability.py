"""kill -9 in every phase of a council: no answer that was finished is asked for again, and none is lost."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from adjourn import AsyncEngine
from adjourn.settings import Settings
from support.council_crashing import PHASES, crashing_council, waiting_council
from support.crashing import Moments, ledger
from support.eventually import eventually
from support.processes import child

QUICK = Settings(lease_seconds=0.3)

DRIVER = """
    import asyncio
    import adjourn.engine.recovery
    from adjourn import AsyncEngine
    from adjourn.settings import Settings
    from support.council_crashing import OPTIONS, crashing_council, remember_what_is_recorded
    from support.crashing import Moments

    adjourn.engine.recovery._FIRST_PAUSE = 0.0

    async def main(database, moment, verb):
        remember_what_is_recorded()
        workflows = {"council": crashing_council(Moments(moment, reach))}
        async with AsyncEngine.open(database, workflows=workflows, settings=Settings(lease_seconds=0.3)) as engine:
            if verb == "start":
                await engine.start("council", {"main_task": "When?", "options": OPTIONS}, thread_id="t")
            while True:
                await engine.recover()
                await asyncio.sleep(0.05)

    asyncio.run(main(*sys.argv[1:]))
"""

WAITING_DRIVER = """
    import asyncio
    import adjourn.engine.recovery
    from adjourn import AsyncEngine
    from adjourn.settings import Settings
    from support.council_crashing import waiting_council
    from support.crashing import Moments

    adjourn.engine.recovery._FIRST_PAUSE = 0.0

    async def main(database, moment, verb, *answered):
        workflows = waiting_council(Moments(moment, reach))
        async with AsyncEngine.open(database, workflows=workflows, settings=Settings(lease_seconds=0.3)) as engine:
            if verb == "start":
                await engine.start("council", {"main_task": "When?"}, thread_id="w")
            for child in answered:
                await engine.resume(child, "It is lawful.", by="dana")
            while True:
                await engine.recover()
                await asyncio.sleep(0.05)

    asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize(
    "phases", [["work", "vote 1", "vote 2"], pytest.param(PHASES, marks=pytest.mark.soak)], ids=["three", "all"]
)
async def test_a_council_that_is_killed_in_each_phase_asks_nobody_twice_who_had_answered(
    database: str, ledger_file: Path, monkeypatch: pytest.MonkeyPatch, phases: list[str]
) -> None:
    monkeypatch.setattr("adjourn.engine.recovery._FIRST_PAUSE", 0.0)

    def killed(phase: str) -> None:
        with child(DRIVER, database, phase, "start" if phase == phases[0] else "recover") as process:
            process.wait_for(phase)
            process.kill()

    for phase in phases:
        await asyncio.to_thread(killed, phase)
    workflows = {"council": crashing_council(Moments("never", None))}
    async with AsyncEngine.open(database, workflows=workflows, settings=QUICK) as engine:

        async def over() -> bool:
            await engine.recover()
            return (await engine.get("t")).status == "completed"

        await eventually(over, timeout=20)
        run = await engine.get("t")

    asked = Counter(line for line in ledger(ledger_file) if not line.startswith("recorded"))
    # the one in whose answer the process died is asked again; everybody else was asked once
    expected = Counter({"plan: planner": 1, "synthesis: writer": 1})
    expected.update({f"{phase}: {name}": 1 + (phase == "argue") for phase in PHASES[1:-1] for name in "abc"})
    last = {"plan": "planner", "synthesis": "writer"}
    expected.update({f"{phase}: {last.get(phase, 'c')}": 1 + (phase == "argue") for phase in phases})
    assert asked == expected
    assert [[vote["decision"] for vote in each["votes"]] for each in run.state["rounds"]] == [
        ["yes", "no", "later"],
        ["yes", "yes", "yes"],
    ]
    assert run.state["final_result"]["decision"] == "yes"
    assert run.state["costs"]["build_consensus"]["agent_calls"] == 9


async def test_a_council_that_is_killed_while_an_agent_waits_starts_its_run_once_and_asks_nobody_twice(
    database: str, ledger_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adjourn.engine.recovery._FIRST_PAUSE", 0.0)

    def killed(moment: str, *verb: str) -> None:
        with child(WAITING_DRIVER, database, moment, *verb) as process:
            process.wait_for(moment)
            process.kill()

    await asyncio.to_thread(killed, "early", "start")
    await asyncio.to_thread(killed, "late", "recover")
    async with AsyncEngine.open(database, workflows=waiting_council(Moments("never", None)), settings=QUICK) as engine:

        async def stands(status: str) -> bool:
            await engine.recover()
            return (await engine.get("w")).status == status

        await eventually(lambda: stands("paused"), timeout=20)
        run = await engine.get("w")
        (waiting,) = run.children
        assert run.state["subtasks"]["late"]["status"] == "completed"  # before the person has answered
        assert (run.state["subtasks"]["law"]["status"], waiting.questions) == ("waiting", 1)
        await asyncio.to_thread(killed, "end", "answer", waiting.thread_id)
        await eventually(lambda: stands("completed"), timeout=20)
        run = await engine.get("w")
        (same,) = run.children

    assert same.thread_id == waiting.thread_id
    asked = Counter(line for line in ledger(ledger_file) if not line.startswith("asking"))
    # the one in whose answer the process died is asked again
    assert asked == {"prepare: law": 1, "work: early": 2, "work: late": 2, "work: end": 2}
    assert run.state["execution_results"]["law"]["output"] == "It is lawful."
