"""An agent that may pause for a person is a child run; it does not hold up the others, and nobody is asked twice."""

from typing import Any

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

from adjourn import AsyncEngine, Principal
from adjourn.errors import ConfigurationError
from adjourn.nodes.council import Procedure, consensus, member
from adjourn.state.council import ConsensusState
from support.councils import Voter


class Ballot(TypedDict, total=False):
    request: dict[str, Any]
    answer: Any


def asking(calls: list[str], name: str | None = "careful") -> Any:
    def prepare(state: Ballot) -> Ballot:
        calls.append(state["request"]["kind"])
        return {}

    def ask(state: Ballot) -> Ballot:
        return {"answer": {"decision": interrupt(f"How does {state['request']['agent']} vote?"), "reason": "told"}}

    graph = StateGraph(Ballot).add_sequence([("prepare", prepare), ("ask", ask)]).add_edge(START, "prepare")
    return graph.compile(name=name)


def council(*members: Any) -> Any:
    node = consensus(members, options=["yes", "no"], procedure=Procedure(drafts=False))
    return StateGraph(ConsensusState).add_node("agree", node).add_edge(START, "agree")


@pytest.mark.parametrize("declared", [True, False])
async def test_one_that_waits_for_a_person_does_not_hold_up_the_others(council_database: str, declared: bool) -> None:
    calls: list[str] = []
    graph, others = asking(calls), [Voter(vote="yes") for _ in range(3)]
    careful = member("careful", graph, may_pause=True) if declared else member("careful", graph)
    built = council(careful, *(member(f"a{n}", other) for n, other in enumerate(others)))
    workflows = {"council": built, "careful": graph}
    async with AsyncEngine.open(council_database, workflows=workflows, principal=Principal("kim")) as engine:
        run = await engine.start("council", {"main_task": "Ship?"})
        assert run.status == "paused"
        assert [other.kinds() for other in others] == [["vote"]] * 3
        (waiting,) = (await engine.get(run.thread_id)).children
        assert waiting.status == "paused"
        run = await engine.resume(waiting.thread_id, "no", by="dana")
        run = await engine.get((await engine.runs(workflow="council")).items[0].thread_id)
    assert run.status == "completed"
    votes = {vote["agent"]: vote["decision"] for vote in run.state["votes"]}
    assert votes == {"a0": "yes", "a1": "yes", "a2": "yes", "careful": "no"}
    assert [other.kinds() for other in others] == [["vote"]] * 3
    # one that nobody had announced did its first step in vain
    assert calls == ["vote"] * (1 if declared else 2)


async def test_a_child_that_fails_or_answers_what_cannot_be_kept_abstains(council_database: str) -> None:
    def broken(state: Ballot) -> Ballot:
        raise OSError("gone")

    graph = StateGraph(Ballot).add_node("n", broken).add_edge(START, "n").compile(name="broken")

    def talks(state: Ballot) -> Ballot:
        return {"answer": "x" * 1_000_001}

    long = StateGraph(Ballot).add_node("n", talks).add_edge(START, "n").compile(name="long")
    members = [member("broken", graph, may_pause=True), member("long", long, may_pause=True)]
    built = council(*members, member("a", Voter(vote="yes")))
    workflows = {"failing": built, "broken": graph, "long": long}
    async with AsyncEngine.open(council_database, workflows=workflows) as engine:
        run = await engine.start("failing", {"main_task": "Ship?"})
    broke, talked = run.state["consensus_results"]["abstained"]
    assert (run.status, broke["agent"], talked["agent"]) == ("completed", "broken", "long")
    assert "gone" in broke["cause"]
    assert talked["cause"] == "its answer has 1,000,001 characters; at most 1,000,000 are kept"


def test_what_may_pause_needs_a_name_to_be_found_again() -> None:
    with pytest.raises(ConfigurationError, match=r"compile\(name="):
        member("a", asking([], name=None), may_pause=True)
    with pytest.raises(ConfigurationError, match="child run"):
        member("a", print, may_pause=True)
