"""Single nodes of the council, called with a state: no engine, no database."""

import threading
from typing import Any

import pytest

from adjourn.nodes.council import comparison, member, work
from adjourn.nodes.council.synthesis import aggregated
from support.councils import Together, Voter


def assigned(*agents: str) -> Any:
    """A state in which each agent has been given a subtask of its own name."""
    return {
        "main_task": "?",
        "subtasks": {
            name: {"id": name, "description": "", "capabilities": [], "status": "assigned", "failed_by": []}
            for name in agents
        },
        "agent_assignments": {
            name: {"subtask": name, "agent": name, "helpers": [], "attempt": 1} for name in agents
        },
    }  # fmt: skip


async def test_all_work_at_the_same_time() -> None:
    together = Together(5, lambda request: f"{request['agent']} is done")
    found = await work([member(name, together) for name in "abcde"], timeout=20)(assigned(*"abcde"))
    assert {name: each["output"] for name, each in found["execution_results"].items()} == {
        name: f"{name} is done" for name in "abcde"
    }
    cost = found["costs"]["work"]
    assert (cost["agent_calls"], cost["seconds"] < cost["agent_seconds"]) == (5, True)


# what an agent does with its subtask → the cause with which that has failed
FAILURES: dict[str, Any] = {
    "OSError: gone": OSError("gone"),
    "SystemExit: 3": SystemExit(3),
    "it returned something that is not JSON-safe: its answer.when is a set": {"when": {1}},
    "its answer has 10,000,000 characters; at most 1,000,000 are kept": "x" * 10_000_000,
}


@pytest.mark.parametrize("cause", FAILURES)
async def test_an_agent_that_fails_at_work_fails_its_own_subtask_and_nothing_else(cause: str) -> None:
    members = [member("a", Voter(work="Read.")), member("broken", Voter(work=FAILURES[cause]))]
    found = await work(members)(assigned("a", "broken"))
    statuses = {name: (each["status"], each["failed_by"]) for name, each in found["subtasks"].items()}
    assert statuses == {"a": ("completed", []), "broken": ("failed", ["broken"])}
    assert found["execution_results"]["broken"]["failures"] == [{"agent": "broken", "cause": cause}]
    assert found["execution_results"]["a"]["output"] == "Read."


async def test_an_agent_that_never_finishes_its_work_fails_its_own_subtask_and_nothing_else() -> None:
    asked_no_more = threading.Event()
    hanging = member("hanging", Voter(work=lambda _: asked_no_more.wait(60)), timeout=0.05)
    try:
        found = await work([member("a", Voter(work="Read.")), hanging])(assigned("a", "hanging"))
    finally:
        asked_no_more.set()
    assert found["execution_results"]["hanging"]["error"] == "no answer within 0.05 s"
    assert found["execution_results"]["a"]["output"] == "Read."


def results(**outputs: Any) -> Any:
    """A state in which subtasks have these results: `ada_1` is one of the agent ada."""
    return {
        "main_task": "?",
        "execution_results": {
            name: {"agent": name.partition("_")[0], "status": "completed", "output": output, "error": None}
            for name, output in outputs.items()
        },
    }


def test_who_states_one_decision_here_and_another_there_has_to_be_asked() -> None:
    members = [member(name, print) for name in ("ada", "bo")]

    def compared(second: str) -> Any:
        found = results(ada_1={"decision": "sign"}, ada_2={"decision": second}, bo_1={"decision": "sign"})
        return comparison(members)({**found, "options": ["sign", "wait"]})

    assert compared("sign")["consensus_results"]["decided_by"] == "agreement"
    assert "consensus_results" not in compared("wait")


def test_a_value_is_attributed_only_to_those_who_said_it() -> None:
    found = results(
        ada={"fee": 7, "decision": "sign", "confidence": 0.9, "term": {"years": 2}},
        bo={"fee": 7, "decision": "wait", "confidence": 0.2, "term": "two years"},
    )
    conflicts: Any = comparison([])({**found, "options": []})["conflicts"]
    assert [each["path"] for each in conflicts] == [["term"]]
    together = aggregated({**found, "conflicts": conflicts})
    assert together["values"] == {"fee": {"value": 7, "by": ["ada", "bo"]}}
    assert together["unsettled"] == ["term"]


SETTLED = {"cause": {"value": "disk", "by": ["ada", "cy"]}}


@pytest.mark.parametrize(
    ("gives_in", "values", "unsettled"),
    [(("bo", "bo"), SETTLED, []), (("bo", None), {}, ["cause"]), (("bo", "cy"), {}, ["cause"])],
)
def test_a_key_is_settled_when_all_who_contradict_each_other_there_came_to_the_same(
    gives_in: Any, values: Any, unsettled: list[str]
) -> None:
    found = results(ada={"cause": "disk"}, bo={"cause": "net"}, cy={"cause": "disk"})
    conflicts: Any = comparison([])(found)["conflicts"]
    assert [each["between"] for each in conflicts] == [["ada", "bo"], ["bo", "cy"]]
    disputes = []
    for conflict, loser in zip(conflicts, gives_in, strict=True):
        arguments = [{"agent": name, "keeps": name != loser} for name in conflict["between"]]
        left = [value for value, each in zip(conflict["values"], arguments, strict=True) if each["keeps"]]
        settled = len(left) == 1
        value = left[0] if settled else None
        disputes.append({"conflict": conflict, "arguments": arguments, "settled": settled, "value": value})
    together = aggregated({**found, "conflicts": conflicts, "disputes": disputes})
    assert (together["values"], together["unsettled"]) == (values, unsettled)
