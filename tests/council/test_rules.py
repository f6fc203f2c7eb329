"""Planning and agents without a model: what they do follows from the text."""

import threading
from pathlib import Path
from typing import Any

import pytest

from adjourn import AsyncEngine, InvalidInput, Principal
from adjourn.graphs.council import build
from adjourn.nodes.analysts import lexicon
from adjourn.nodes.council import member, rule_agent
from adjourn.nodes.council.rule_planner import rule_planner
from support.councils import Voter

INCIDENT = (Path(__file__).parents[2] / "examples" / "incident.md").read_text()


def planned(task: str, *capabilities: str) -> Any:
    return rule_planner(task, capabilities=capabilities)[0]


def test_each_sentence_is_a_subtask_for_the_capability_that_it_names_first() -> None:
    law, sums = planned(
        "Find the legal risks of the contract. Add up the costs, with the risks.", "legal", "cost", "risk"
    )
    assert (law.id, law.capabilities) == ("find legal risks contract", ("legal",))
    assert sums.capabilities == ("cost",)


def test_a_list_is_split_by_its_items_and_words_of_order_and_urgency_count() -> None:
    first, second, third = planned(
        "1. Read the log.\n2. Then count the errors until all are counted.\n3. Urgently warn the users.", "log"
    )
    assert (first.dependencies, second.dependencies, third.dependencies) == ((), (first.id,), ())
    assert second.success_criteria == ("until all are counted",)
    assert (first.priority, third.priority) == (0, 1)


def test_one_sentence_without_a_capability_is_looked_at_once_for_each() -> None:
    assert [each.capabilities for each in planned("Why did it fail?", "facts", "risk")] == [("facts",), ("risk",)]
    assert [each.id for each in planned("Why did it fail?")] == ["whole task"]
    assert len(planned("Look here. " * 50, "facts")) == 20


def request(kind: str, **more: Any) -> Any:
    return {"kind": kind, "agent": "a", "role": "", "task": "?", "material": INCIDENT, "notes": [], **more}


@pytest.mark.parametrize("lens", ["facts", "risk", "tone"])
def test_a_rule_agent_quotes_the_material_and_votes_by_it(lens: str) -> None:
    act = rule_agent(lens)
    subtask = {"description": "What happened to the replica?"}
    worked = act(request("work", subtask=subtask))
    flat = " ".join(INCIDENT.split())
    assert worked["claims"]
    assert all(claim in flat and "replica" in claim.lower() for claim in worked["claims"])
    vote = act(request("vote", options=["a full disk", "an earthquake"]))
    assert vote["decision"] == "a full disk"
    assert vote["reason"].partition("for it: ")[2] in flat
    assert act(request("vote", options=["an earthquake", "a flood"]))["decision"] is None


def test_who_is_in_doubt_follows_the_others_and_who_is_sure_does_not() -> None:
    act = rule_agent()
    others = [{"by": name, "decision": "b: the disk"} for name in "xyz"]
    text = "The network failed. The disk failed. The disk is old."
    close = request("vote", options=["a: the network", "b: the disk"], material="The network failed. The disk failed.")
    assert act(close)["decision"] is None
    assert act({**close, "others": others})["decision"] == "b: the disk"
    sure = request("vote", options=["the network", "b: the disk"], material="Network. Network. Network down. " + text)
    assert act({**sure, "others": others})["decision"] == "the network"


def test_a_rule_agent_gives_in_where_the_material_says_more_for_the_other() -> None:
    conflict = {"at": "cause", "own": "earthquake", "other": "disk", "other_agent": "b"}
    assert rule_agent()(request("argue", conflict=conflict))["keeps"] is False
    assert rule_agent()(request("argue", conflict={**conflict, "own": "disk", "other": "earthquake"}))["keeps"] is True
    with pytest.raises(InvalidInput, match="known: facts, risk, tone"):
        rule_agent("colour")


def test_stems_are_right_when_many_threads_ask_for_them() -> None:
    words = [
        f"{word}{ending}"
        for word in ("connect", "replicat", "deploy", "warehous")
        for ending in ("ed", "ing", "ion", "s")
    ]
    alone = {word: lexicon.stem(word) for word in words}
    wrong: list[str] = []

    def check() -> None:
        for _ in range(60):
            lexicon.stem.cache_clear()
            try:
                wrong.extend(word for word in words if lexicon.stem(word) != alone[word])
            except IndexError as error:  # a shared stemmer looks beyond the end of another thread's word
                wrong.append(str(error))

    threads = [threading.Thread(target=check) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []


async def test_a_roster_file_seats_the_council_and_its_mistakes_name_line_and_key(
    council_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roster = tmp_path / "roster.yaml"
    monkeypatch.setenv("ADJOURN_COUNCIL_ROSTER", str(roster))
    given = {"main_task": "Was the disk full?", "material": "The disk was full."}
    roster.write_text("agents:\n  - name: ada\n    capabilities: [risk]\n  - name: bo\n    capabilitys: [facts]\n")
    async with AsyncEngine.open(council_database) as engine:
        run = await engine.start("council", given)
        assert (run.status, run.error and run.error["type"]) == ("failed", "InvalidRoster")
        assert "line 5, `agents[1].capabilitys`: there is no such key; did you mean `capabilities`?" in str(run.error)
        roster.write_text("agents:\n  - name: ada\n    capabilities: [risk]\n  - name: bo\n    capabilities: [facts]\n")
        run = await engine.retry(run.thread_id)
    assert (run.status, sorted(run.state["subtasks"])) == ("completed", ["facts", "risk"])


async def test_a_plan_that_cannot_be_carried_out_is_not_remembered(council_database: str) -> None:
    plans = [[{"id": "a", "dependencies": ["b"]}], [{"id": "a"}]]

    def planner(task: str, **_: Any) -> Any:
        return plans.pop(0), "as told"

    workflow = build([member("ada", Voter(work="Done."))], planner=planner)
    who = Principal("kim")
    async with AsyncEngine.open(council_database, workflows={"council": workflow}, principal=who) as engine:
        run = await engine.start("council", {"main_task": "?"})
        assert (run.status, run.error and run.error["type"]) == ("failed", "InvalidPlan")
        assert (await engine.retry(run.thread_id)).status == "completed"


async def test_an_agent_that_has_left_while_it_had_work_is_named(council_database: str) -> None:
    seats = [member("ada", Voter(work="Done.")), member("bo", Voter(work="Done."))]
    workflow = build(lambda: seats)

    who = Principal("kim")
    async with AsyncEngine.open(council_database, workflows={"council": workflow}, principal=who) as engine:
        assign = workflow.nodes["assign"].runnable.afunc  # type: ignore[union-attr]

        async def assign_and_leave(state: Any) -> Any:
            update = await assign(state)  # type: ignore[misc]
            del seats[0]
            return update

        workflow.nodes["assign"].runnable.afunc = assign_and_leave  # type: ignore[union-attr]
        run = await engine.start("council", {"main_task": "?", "subtasks": [{"id": "x"}]})
    assert run.error is not None
    assert "The agent 'ada' has work in this run and is not in the council any more; it has bo." in run.error["message"]
