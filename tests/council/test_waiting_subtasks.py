"""A subtask whose agent waits for a person holds up those that depend on it, and no others."""

from collections import Counter
from typing import Any

import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

from adjourn import AsyncEngine, Principal, Run, reject
from adjourn.cli.council_view import council_line
from adjourn.engine.events import Custom
from adjourn.graphs.council import after_assignment, after_work, build
from adjourn.nodes.council import assignment, member
from adjourn.state.minutes import minutes
from support.councils import Voter


class Errand(TypedDict, total=False):
    request: dict[str, Any]
    answer: Any


def asking(name: str, calls: list[str]) -> Any:
    """A workflow that asks a person for its answer."""

    def prepare(state: Errand) -> Errand:
        calls.append(f"{state['request']['agent']} {state['request']['subtask']['id']}")
        return {}

    def ask(state: Errand) -> Errand:
        return {"answer": interrupt(f"What about {state['request']['subtask']['id']}?")}

    return (
        StateGraph(Errand)
        .add_sequence([("prepare", prepare), ("ask", ask)])
        .add_edge(START, "prepare")
        .compile(name=name)
    )


def opened(database: str, members: Any, *graphs: Any, **options: Any) -> Any:
    workflows = {"council": build(members, **options), **{graph.name: graph for graph in graphs}}
    return AsyncEngine.open(database, workflows=workflows, principal=Principal("kim"))


def statuses(run: Run) -> dict[str, str]:
    return {name: each["status"] for name, each in run.state["subtasks"].items()}


async def started(engine: AsyncEngine, plan: Any) -> Run:
    return await engine.start("council", {"main_task": "Sign?", "subtasks": plan})


async def waiting_for(engine: AsyncEngine, run: Run) -> dict[str, str]:
    """The children that a run waits for: the subtask's id → its thread."""
    children = (await engine.get(run.thread_id)).children
    return {each.id.split()[2]: each.thread_id for each in children if each.waited_for}


PLAN = [
    {"id": "facts", "capabilities": ["reading"]},
    {"id": "summary", "capabilities": ["reading"], "dependencies": ["facts"]},
    {"id": "law", "capabilities": ["law"]},
    {"id": "risk", "capabilities": ["reading"], "dependencies": ["law"]},
    {"id": "price", "capabilities": ["price"]},
    {"id": "verdict", "capabilities": ["reading"], "dependencies": ["price", "summary"]},
]


@pytest.mark.parametrize("declared", [True, False])
async def test_later_subtasks_that_do_not_depend_on_the_waiting_one_are_done_meanwhile(
    council_database: str, declared: bool
) -> None:
    calls: list[str] = []
    lawyer, buyer = asking("lawyer", calls), asking("buyer", calls)
    reader = Voter(work=lambda request: f"About {request['subtask']['id']}.")
    members = [
        member("dee", lawyer, may_pause=declared, capabilities=["law"]),
        member("eve", buyer, may_pause=declared, capabilities=["price"]),
        member("bo", reader, capabilities=["reading"]),
    ]

    def done() -> list[str]:
        return [request["subtask"]["id"] for request in reader.asked]

    async with opened(council_database, members, lawyer, buyer) as engine:
        run = await started(engine, PLAN)
        assert (run.status, run.reviews) == ("paused", ())
        assert done() == ["facts", "summary"]
        assert statuses(run) == {
            "facts": "completed", "summary": "completed", "law": "waiting", "price": "waiting",
            "risk": "pending", "verdict": "pending",
        }  # fmt: skip
        assert "| law | dee | waiting | - |" in minutes(run.state)
        assert "- dee is at work on law in a run of its own, which has not ended" in minutes(run.state)

        threads = await waiting_for(engine, run)
        await engine.resume(threads["price"], "7 euros", by="dana")
        run = await engine.get(run.thread_id)
        assert done() == ["facts", "summary", "verdict"]  # its dependants go on; the other one still waits
        assert (run.status, statuses(run)["law"], statuses(run)["price"]) == ("paused", "waiting", "completed")
        assert await waiting_for(engine, run) == {"law": threads["law"]}

        await engine.resume(threads["law"], "It is lawful.", by="dana")
        run = await engine.get(run.thread_id)
        children = run.children
    assert (run.status, set(statuses(run).values())) == ("completed", {"completed"})
    assert done() == ["facts", "summary", "verdict", "risk"]
    assert run.state["waiting"] == {}
    assert {name: each["output"] for name, each in run.state["execution_results"].items()} == {
        **{name: f"About {name}." for name in ("facts", "summary", "risk", "verdict")},
        "law": "It is lawful.",
        "price": "7 euros",
    }
    assert run.state["costs"]["work"]["agent_calls"] == 6
    # one that nobody had announced did its first step in vain, once
    assert Counter(calls) == Counter({"dee law": 1 + (not declared), "eve price": 1 + (not declared)})
    assert sorted(each.thread_id for each in children) == sorted(threads.values())


async def test_a_helper_that_waits_holds_up_whom_it_helps_and_nobody_else(council_database: str) -> None:
    calls: list[str] = []
    lawyer = asking("lawyer", calls)
    leader, reader = Voter(work="Together.", help="The sums."), Voter(work="Read.", help="The text.")
    members = [
        member("ann", leader, capabilities=["maths", "sums"], capacity=5),
        member("bo", reader, capabilities=["reading"], capacity=5),
        member("dee", lawyer, may_pause=True, capabilities=["law"]),
    ]
    plan = [
        {"id": "both", "capabilities": ["maths", "sums", "law", "reading"]},
        {"id": "one", "capabilities": ["reading"]},
        {"id": "two", "capabilities": ["reading"], "dependencies": ["one"]},
    ]
    async with opened(council_database, members, lawyer, strategy="peer") as engine:
        run = await started(engine, plan)
        assert statuses(run) == {"both": "waiting", "one": "completed", "two": "completed"}
        assert reader.kinds() == ["help", "work", "work"]
        assert leader.kinds() == []
        assert "- dee is at work on both in a run of its own" in minutes(run.state)
        ((_, thread),) = (await waiting_for(engine, run)).items()
        await engine.resume(thread, "The law.", by="dana")
        run = await engine.get(run.thread_id)
    assert run.status == "completed"
    assert (calls, leader.kinds(), reader.kinds()) == (["dee both"], ["work"], ["help", "work", "work"])
    assert leader.asked[0]["help"] == {"bo": {"output": "The text."}, "dee": {"output": "The law."}}
    assert run.state["costs"]["work"]["agent_calls"] == 5


async def test_a_subtask_that_is_assigned_anew_is_done_by_a_run_of_its_own_again(council_database: str) -> None:
    tries: list[int] = []

    def broken_once(state: Errand) -> Errand:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("gone")
        return {"answer": "Lawful."}

    graph = StateGraph(Errand).add_node("n", broken_once).add_edge(START, "n").compile(name="lawyer")
    members = [member("dee", graph, may_pause=True, capabilities=["law"])]
    async with opened(council_database, members, graph, max_reassignments=0) as engine:
        run = await started(engine, [{"id": "law", "capabilities": ["law"]}])
        assert run.reviews[0].action == "council_subtask"
        run = await engine.resume(run.thread_id, reject("It is back."), by="dana")
    assert (run.status, run.state["execution_results"]["law"]["output"]) == ("completed", "Lawful.")
    assert run.state["execution_results"]["law"]["failures"][0]["agent"] == "dee"
    assert len(tries) == 2


async def test_what_an_agent_waits_for_is_in_its_hand() -> None:
    assign = assignment(
        [member("dee", print, capabilities=["law"]), member("eve", print, capabilities=["law", "price"])]
    )
    state: Any = {
        "subtasks": {
            name: {"id": name, "capabilities": ["law"], "dependencies": [], "status": status}
            for name, status in (("first", "waiting"), ("second", "pending"))
        },
        "agent_assignments": {"first": {"agent": "dee"}},
        "waiting": {"first": {"scope": "s", "requests": {"dee": {}}, "helped": []}},
    }
    assert (await assign(state))["agent_assignments"]["second"]["agent"] == "eve"  # dee is the better fit, and busy
    del state["waiting"]
    assert (await assign(state))["agent_assignments"]["second"]["agent"] == "dee"


@pytest.mark.parametrize("first", ["the agent's question", "the council's"])
async def test_a_question_of_the_council_itself_does_not_wait_for_an_agent_that_waits(
    council_database: str, first: str
) -> None:
    calls: list[str] = []
    lawyer = asking("lawyer", calls)
    failing = Voter(work=[OSError("gone"), "Read."])
    members = [
        member("dee", lawyer, may_pause=True, capabilities=["law"]),
        member("bo", failing, capabilities=["reading"]),
    ]
    plan = [{"id": "facts", "capabilities": ["reading"]}, {"id": "law", "capabilities": ["law"]}]
    async with opened(council_database, members, lawyer, max_reassignments=0) as engine:
        run = await started(engine, plan)
        assert [review.args for review in run.reviews] == [{"subtask": "facts"}]
        (child,) = run.children
        assert (child.status, statuses(run)["law"]) == ("paused", "waiting")
        if first == "the council's":
            await engine.resume(run.thread_id, reject("It is back."), by="dana")
            await engine.resume(child.thread_id, "Lawful.", by="dana")
        else:
            await engine.resume(child.thread_id, "Lawful.", by="dana")
            await engine.resume(run.thread_id, reject("It is back."), by="dana")
        run = await engine.get(run.thread_id)
    assert (run.status, statuses(run)) == ("completed", {"facts": "completed", "law": "completed"})
    assert (calls, failing.kinds()) == (["dee law"], ["work", "work"])


@pytest.mark.parametrize(("after", "way"), [("person", "human_review"), ("queue", "work")])
def test_a_person_is_asked_at_once_and_what_is_queued_comes_behind_what_waits(after: Any, way: str) -> None:
    left: Any = {"subtask": "tax", "cause": "no_capability", "missing": ["tax"], "next": after, "reason": "nobody"}
    state: Any = {"subtasks": {"law": {"status": "waiting"}, "tax": {"status": "pending"}}, "unassigned": [left]}
    assert after_assignment(state) == way
    assert after_work(state) == ("human_review" if after == "person" else "assign")


async def test_who_waits_is_told_once(council_database: str) -> None:
    lawyer = asking("lawyer", [])
    members = [
        member("dee", lawyer, may_pause=True, capabilities=["law"]),
        member("bo", Voter(work="Read."), capabilities=["reading"]),
    ]
    async with opened(council_database, members, lawyer) as engine:
        told = [
            event.data
            async for event in engine.stream("council", {"main_task": "Sign?", "subtasks": PLAN[:3]})
            if isinstance(event, Custom)
        ]
    waits = [data for data in told if data["event"] == "waiting"]
    assert waits == [{"type": "council", "event": "waiting", "agent": "dee", "subtask": "law"}]
    assert told.index(waits[0]) < told.index(next(data for data in told if data.get("subtask") == "summary"))
    line = council_line(waits[0])
    assert line is not None
    assert " ".join(line.plain.split()).startswith("dee has not done law yet")
