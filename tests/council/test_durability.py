"""kill -9 in every phase of a council: no answer that was finished is asked for again, and none is lost."""

from collections import Counter
from pathlib import Path

import pytest

from adjourn import AsyncEngine
from support.council_crashing import PHASES, crashing_council, waiting_council
from support.crashing import Moments, ledger
from support.killing import QUICK, kill_at, kill_at_each, recovered

DRIVER = """
    from support.council_crashing import OPTIONS, crashing_council, remember_what_is_recorded
    from support.killing import drive_until_killed

    remember_what_is_recorded()
    given = {"main_task": "When?", "options": OPTIONS}
    drive_until_killed(reach, lambda at: {"council": crashing_council(at)}, "council", given, "t")
"""

WAITING_DRIVER = """
    from support.council_crashing import waiting_council
    from support.killing import drive_until_killed

    drive_until_killed(reach, waiting_council, "council", {"main_task": "When?"}, "w")
"""


@pytest.mark.parametrize(
    "phases", [["work", "vote 1", "vote 2"], pytest.param(PHASES, marks=pytest.mark.soak)], ids=["three", "all"]
)
async def test_a_council_that_is_killed_in_each_phase_asks_nobody_twice_who_had_answered(
    database: str, ledger_file: Path, monkeypatch: pytest.MonkeyPatch, phases: list[str]
) -> None:
    monkeypatch.setattr("adjourn.engine.recovery._FIRST_PAUSE", 0.0)

    await kill_at_each(DRIVER, database, phases)
    workflows = {"council": crashing_council(Moments("never", None))}
    async with AsyncEngine.open(database, workflows=workflows, settings=QUICK) as engine:
        run = await recovered(engine, "t")

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

    await kill_at(WAITING_DRIVER, database, "early", "start")
    await kill_at(WAITING_DRIVER, database, "late", "recover")
    async with AsyncEngine.open(database, workflows=waiting_council(Moments("never", None)), settings=QUICK) as engine:
        run = await recovered(engine, "w", "paused")
        (waiting,) = run.children
        assert run.state["subtasks"]["late"]["status"] == "completed"  # before the person has answered
        assert (run.state["subtasks"]["law"]["status"], waiting.questions) == ("waiting", 1)
        await kill_at(WAITING_DRIVER, database, "end", "answer", waiting.thread_id)
        run = await recovered(engine, "w")
        (same,) = run.children

    assert same.thread_id == waiting.thread_id
    asked = Counter(line for line in ledger(ledger_file) if not line.startswith("asking"))
    # the one in whose answer the process died is asked again
    assert asked == {"prepare: law": 1, "work: early": 2, "work: late": 2, "work: end": 2}
    assert run.state["execution_results"]["law"]["output"] == "It is lawful."
