"""Who does the subtasks: functions, chat models, LangChain agents, graphs; and planners. No database."""

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.tools import tool
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from adjourn import ConfigurationError, InvalidPlan, InvalidRoster, RunFailed
from adjourn.graphs.delegation import build
from adjourn.nodes.delegation.agents import Team, is_permanent
from adjourn.nodes.delegation.planners import model_planner, rule_planner
from adjourn.nodes.delegation.plans import planned, read_plan
from adjourn.nodes.delegation.recovery import Move, next_move
from adjourn.nodes.delegation.room import Room
from adjourn.nodes.delegation.separate import filled
from adjourn.state.roster import Agent, Roster
from adjourn.testing import ScriptedChatModel, replies

PROPOSED = {"id": "a", "description": "Do it.", "capabilities": ["worker"], "dependencies": [], "expected_seconds": 1}


async def carried_out(agent: Any, **subtask: Any) -> dict[str, Any]:
    graph = build(agents={"worker": agent}, backoff_seconds=0).compile()
    given = {"subtasks": [{"id": "a", "error_recovery_strategy": "skip", **subtask}]}
    state = await graph.ainvoke({"plan": given, "main_task": "all of it"})
    return dict(state["subtasks"]["a"])


def subtask(**more: Any) -> Any:
    return {**planned(read_plan({"subtasks": [{"id": "a"}]}))[0]["a"], **more}


async def test_a_chat_model_answers_in_text_and_is_told_everything_as_data() -> None:
    model = ScriptedChatModel(["Forty-two."])
    done = await carried_out(model, description="Count.", input_data={"of": "sheep"})
    assert done["output_data"] == "Forty-two."
    told = model.calls[0].last_text
    assert '"subtask":"Count."' in told
    assert '"input":{"of":"sheep"}' in told


async def test_a_langchain_agent_uses_its_tools_and_says_the_result_last() -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    model = ScriptedChatModel([replies.tool_calls(replies.tool_call("add", {"a": 2, "b": 3})), "It is 5."])
    assert (await carried_out(create_agent(model, [add])))["output_data"] == "It is 5."


async def test_a_compiled_graph_gets_the_input_and_its_state_is_the_result() -> None:
    class Number(TypedDict):
        n: int

    graph = StateGraph(Number).add_node("twice", lambda state: {"n": 2 * state["n"]}).add_edge(START, "twice").compile()
    assert (await carried_out(graph, input_data={"n": 21}))["output_data"] == {"n": 42}


async def test_what_is_no_agent_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least one agent"):
        Team({})
    with pytest.raises(ConfigurationError, match="The agent 'x' is a int"):
        Team({"x": 7})  # type: ignore[dict-item]
    with pytest.raises(InvalidRoster, match="The roster has bo"):
        Team({"ada": lambda brief: None}, Roster(agents=(Agent(name="bo"),)))


def test_the_best_fit_with_room_takes_a_subtask_a_retry_stays_and_a_reassigned_one_moves() -> None:
    roster = Roster(
        agents=(
            Agent(name="all", capabilities=("sql", "ui", "docs")),
            Agent(name="sql", capabilities=("sql",), capacity=1),
        )
    )
    team = Team({"all": lambda brief: None, "sql": lambda brief: None}, roster)
    wanted = subtask(capabilities=["sql"])
    room = Room(team, 9)
    assert [room.take(wanted), room.take(wanted), room.take(wanted)] == ["sql", "all", None]
    room.release("sql")
    assert room.take(wanted) == "sql"
    assert team.choose(subtask(capabilities=["sql"], assigned_agent="all", retry_count=1), {}) == "all"
    moved = subtask(capabilities=["sql"], assigned_agent="sql", retry_count=1, tried_by=["sql"])
    assert team.choose(moved, {}) == "all"
    assert team.others(subtask(capabilities=["sql"], assigned_agent="sql")) == ["all"]


@pytest.mark.parametrize(
    ("strategies", "state", "others", "permanent", "move"),
    [
        (["retry", "ask"], {"max_retries": 2}, [], False, Move("retry", 0.5)),
        (["retry", "ask"], {"max_retries": 2, "retry_count": 1}, [], False, Move("retry", 1.0)),
        (["retry", "ask"], {"max_retries": 2, "retry_count": 2}, [], False, Move("ask")),
        (["retry", "ask"], {"max_retries": 99, "retry_count": 20}, [], False, Move("retry", 60.0)),
        (["retry", "skip"], {"max_retries": 2}, [], True, Move("skip")),
        (["retry", "reassign"], {"max_retries": 0}, ["bo"], False, Move("reassign")),
        (["retry", "reassign"], {"max_retries": 1, "retry_count": 2, "tried_by": ["ada"]}, [], False, Move("fail")),
        (["reassign", "retry"], {"max_retries": 1, "retry_count": 1, "tried_by": ["ada"]}, [], False, Move("retry", 0.5)),
        (["fail", "retry"], {"max_retries": 2}, [], False, Move("fail")),
        ([], {}, ["bo"], False, Move("fail")),
    ],
)  # fmt: skip
def test_strategies_are_used_in_their_order_each_until_it_has_nothing_left(
    strategies: list[str], state: dict[str, Any], others: list[str], permanent: bool, move: Move
) -> None:
    assert next_move(subtask(strategies=strategies, **state), others, permanent=permanent, backoff=0.5) == move


def test_errors_that_come_again_are_told_from_those_that_may_pass() -> None:
    class Status(Exception):
        def __init__(self, status_code: int) -> None:
            self.status_code = status_code

    assert is_permanent(ConfigurationError("no key"))
    assert is_permanent(Status(400))
    assert is_permanent(Status(401))
    assert not is_permanent(Status(429))
    assert not is_permanent(OSError("away"))


def test_the_input_of_a_run_takes_results_where_it_asks_for_them() -> None:
    results = {"draft": {"text": "T", "n": 1}}
    asked = {"a": {"$result": "draft", "key": "text"}, "b": [{"$result": "draft"}], "c": {"$result": 1, "x": 2}}
    assert filled(asked, results) == {"a": "T", "b": [results["draft"]], "c": {"$result": 1, "x": 2}}
    with pytest.raises(KeyError):
        filled({"$result": "nothing"}, results)


# --- planners


async def test_a_model_plans_and_what_cannot_be_carried_out_goes_back_to_it() -> None:
    team = Team({"worker": lambda brief: None})
    circle = {**PROPOSED, "dependencies": ["a"]}
    unable = {**PROPOSED, "capabilities": ["magic"]}
    model = ScriptedChatModel([replies.structured({"subtasks": [each]}) for each in (circle, unable, PROPOSED)])
    plan = await model_planner(model)("Make it so. END TASK", team)
    assert [each.id for each in plan.subtasks] == ["a"]
    assert "a → a" in model.calls[1].last_text
    assert "'a' needs magic" in model.calls[2].last_text
    assert "- worker: worker" in str(model.calls[0].messages[-1].text)


async def test_a_model_that_never_proposes_a_plan_fails_the_run() -> None:
    circle = replies.structured({"subtasks": [{**PROPOSED, "dependencies": ["a"]}]})
    with pytest.raises(RunFailed, match=r"3 times.*a → a"):
        await model_planner(ScriptedChatModel([circle] * 3))("Make it so.", Team({"worker": lambda brief: None}))


def test_a_text_without_headings_is_cut_between_paragraphs_and_equal_headings_get_ids_of_their_own() -> None:
    team = Team({"worker": lambda brief: None})
    paragraph = "word " * 250
    plan = rule_planner("\n\n".join([paragraph] * 4), team)
    assert [each.id for each in plan.subtasks] == ["part-1", "part-2", "report"]
    plan = rule_planner("# Same\n\nOne.\n\n# Same\n\nTwo.\n\n```\n# no heading\n```\n\n# Report\n\nThree.\n", team)
    assert [each.id for each in plan.subtasks] == ["same", "same-2", "report", "report-2"]
    assert plan == rule_planner(
        "# Same\n\nOne.\n\n# Same\n\nTwo.\n\n```\n# no heading\n```\n\n# Report\n\nThree.\n", team
    )
    with pytest.raises(InvalidPlan, match="needs analyse"):
        team.check(planned(plan)[0].values())
