"""The workflow `council` through an engine on a real database: every branch of it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from adjourn import AsyncEngine, Principal, Run, approve, edit, reject, respond
from adjourn.errors import InvalidDecision, InvalidInput
from adjourn.graphs.council import build
from adjourn.nodes.council import Procedure, member
from support.councils import Voter

Open = Callable[..., AbstractAsyncContextManager[AsyncEngine]]
PLAN = [{"id": "facts", "capabilities": ["reading"]}, {"id": "law", "capabilities": ["law"], "dependencies": ["facts"]}]


@pytest.fixture
def opened(council_database: str) -> Open:
    def open_with(members: Any, **options: Any) -> AbstractAsyncContextManager[AsyncEngine]:
        workflows = {"council": build(members, **options)}
        return AsyncEngine.open(council_database, workflows=workflows, principal=Principal("kim"))

    return open_with


async def started(engine: AsyncEngine, **more: Any) -> Run:
    return await engine.start("council", {"main_task": "What now?", "subtasks": PLAN, **more})


def reader(**answers: Any) -> Any:
    return member("reader", Voter(**answers), capabilities=["reading"])


def lawyer(**answers: Any) -> Any:
    return member("lawyer", Voter(**answers), capabilities=["law"])


async def test_subtasks_are_done_in_order_and_without_contradictions_nobody_votes(opened: Open) -> None:
    members = [reader(work="The fee is 7 euros."), lawyer(work={"claims": ["It may rise."], "risk": "high"})]
    async with opened(members) as engine:
        run = await started(engine)
    final = run.state["final_result"]
    assert (run.status, final["decided_by"], final["confidence"]) == ("completed", "agreement", 1.0)
    assert final["claims"] == [
        {"text": "The fee is 7 euros.", "by": ["reader"], "subtasks": ["facts"]},
        {"text": "It may rise.", "by": ["lawyer"], "subtasks": ["law"]},
    ]
    assert run.state["aggregated_results"]["values"] == {"risk": {"value": "high", "by": ["lawyer"]}}
    assert members[1].act.asked[0]["results"] == {"facts": {"agent": "reader", "output": "The fee is 7 euros."}}
    assert [each.act.kinds() for each in members] == [["work"], ["work"]]
    assert run.state["costs"]["work"]["agent_calls"] == 2


async def test_contradicting_results_are_argued_once_and_a_side_that_gives_in_settles_it(opened: Open) -> None:
    members = [
        reader(work={"cause": "disk"}, argue={"keeps": True, "reason": "The log says so."}),
        lawyer(work={"cause": "network"}, argue={"keeps": False, "reason": "I overlooked the log."}),
    ]
    async with opened(members) as engine:
        run = await started(engine)
    (dispute,) = run.state["disputes"]
    assert (dispute["settled"], dispute["value"]) == (True, "disk")
    assert run.state["aggregated_results"]["values"]["cause"] == {"value": "disk", "by": ["reader"]}
    assert "rounds" not in run.state
    assert members[1].act.asked[-1]["conflict"] == {
        "at": "cause", "own": "network", "other": "disk", "other_agent": "reader",
    }  # fmt: skip


async def test_contradictions_that_stay_open_are_voted_on(opened: Open) -> None:
    members = [
        reader(work={"cause": "disk"}, argue={"keeps": True}, draft="It was the disk.", vote="draft 1"),
        lawyer(work={"cause": "network"}, argue="no", draft="It was the network.", vote={"decision": "draft 1"}),
    ]
    async with opened(members) as engine:
        run = await started(engine)
    final = run.state["final_result"]
    assert run.state["disputes"][0]["arguments"][1]["error"] is not None
    assert (run.state["consensus_results"]["answer"], final["decided_by"]) == ("It was the disk.", "vote")
    assert run.state["aggregated_results"]["unsettled"] == ["cause"]
    assert final["answer"].startswith("Decision: It was the disk.")


async def test_results_that_state_the_same_decision_need_no_vote(opened: Open) -> None:
    members = [reader(work={"decision": "sign"}), lawyer(work={"decision": "sign", "reason": "It is lawful."})]
    async with opened(members) as engine:
        run = await started(engine, options=["sign", "wait"])
    results = run.state["consensus_results"]
    assert (results["decision"], results["decided_by"], results["rounds"]) == ("sign", "agreement", 0)
    assert run.state["final_result"]["decision"] == "sign"


async def test_a_failed_subtask_goes_to_another_agent(opened: Open) -> None:
    members = [
        member("first", Voter(work=OSError("no access")), capabilities=["reading", "law"]),
        member("second", Voter(work="Read."), capabilities=["reading", "law", "maths"]),
    ]
    async with opened(members) as engine:
        run = await started(engine, subtasks=[{"id": "facts", "capabilities": ["reading"]}])
    result = run.state["execution_results"]["facts"]
    assert (result["agent"], result["status"], result["attempt"]) == ("second", "completed", 2)
    assert result["failures"] == [{"agent": "first", "cause": "OSError: no access"}]


@pytest.mark.parametrize(
    ("answer", "status", "output"),
    [(respond("It is 7 euros."), "completed", "It is 7 euros."), (approve(), "skipped", None)],
)
async def test_after_two_reassignments_a_person_is_asked(opened: Open, answer: Any, status: str, output: Any) -> None:
    failing, other = reader(work=OSError("gone")), lawyer(work="Lawful.")
    async with opened([failing, other]) as engine:
        run = await started(engine)
        (review,) = run.reviews
        assert (review.action, review.args) == ("council_subtask", {"subtask": "facts"})
        assert "'facts' failed with reader, reader, reader" in review.description
        assert failing.act.kinds() == ["work"] * 3
        assert other.act.kinds() == []  # it waits for the facts
        with pytest.raises(InvalidDecision, match="approve, reject"):
            await engine.resume(run.thread_id, edit({"subtask": "law"}), by="dana")
        run = await engine.resume(run.thread_id, answer, by="dana")
    result = run.state["execution_results"]["facts"]
    assert (run.status, result["agent"], result["status"], result["output"]) == ("completed", "dana", status, output)
    assert run.state["human_interactions"][0]["about"] == "the subtask facts"
    assert [each["subtask"] for each in run.state["final_result"]["missing"]] == (["facts"] if output is None else [])


async def test_a_rejection_has_the_subtask_assigned_again(opened: Open) -> None:
    mended = reader(work=[OSError("gone"), OSError("gone"), OSError("gone"), "Read."])
    async with opened([mended, lawyer(work="Lawful.")]) as engine:
        run = await engine.resume((await started(engine)).thread_id, reject("The network is back."), by="dana")
    assert (run.status, run.state["execution_results"]["facts"]["output"]) == ("completed", "Read.")


async def test_what_no_agent_can_do_fails_the_run_and_is_named(opened: Open) -> None:
    async with opened([reader(work="Read.")]) as engine:
        run = await started(engine, subtasks=[{"id": "law", "capabilities": ["law"]}])
    assert (run.status, run.error and run.error["type"]) == ("failed", "InvalidPlan")
    assert run.error is not None
    assert "no agent has law, which 'law' requires" in run.error["message"]


@pytest.mark.parametrize(("policy", "done_before"), [("person", 1), ("queue", 2)])
async def test_or_a_person_is_asked_at_once_or_when_all_else_is_done(
    opened: Open, policy: Any, done_before: int
) -> None:
    plan = [{"id": "law", "capabilities": ["law"]}, {"id": "one"}, {"id": "two", "dependencies": ["one"]}]
    able = reader(work="Read.")
    async with opened([able], on_missing=policy) as engine:
        run = await started(engine, subtasks=plan)
        assert run.reviews[0].context["missing"] == ["law"]
        assert len(able.act.asked) == done_before
        run = await engine.resume(run.thread_id, approve(), by="dana")
    assert run.status == "completed"
    assert [each["subtask"] for each in run.state["final_result"]["missing"]] == ["law"]


def split() -> list[Any]:
    return [
        member("a", Voter(vote=["yes", "yes", "yes"]), capabilities=["reading", "law"]),
        member("b", Voter(vote=["no", "no", "yes"]), capabilities=["reading", "law"]),
    ]


@pytest.mark.parametrize(
    ("answer", "decision", "by"),
    [
        (edit({"decision": "no"}), "no", "dana"),
        (reject("Not today."), None, "dana"),
        (respond("The budget is there."), "yes", "vote"),
    ],
)
async def test_without_consensus_a_person_decides(opened: Open, answer: Any, decision: Any, by: str) -> None:
    async with opened(split(), procedure=Procedure(rule="unanimous")) as engine:
        run = await started(engine, options=["yes", "no"])
        (review,) = run.reviews
        assert (review.action, review.allowed) == ("council_decision", ("edit", "reject", "respond"))
        assert [vote["decision"] for vote in review.context["votes"]] == ["yes", "no"]
        with pytest.raises(InvalidDecision, match="maybe"):
            await engine.resume(run.thread_id, edit({"decision": "maybe"}), by="dana")
        run = await engine.resume(run.thread_id, answer, by="dana")
    final = run.state["final_result"]
    assert (run.status, final["decision"], final["decided_by"]) == ("completed", decision, by)
    assert len(run.state["rounds"]) == (3 if by == "vote" else 2)
    if decision == "no":
        assert final["dissent"] == [{"agent": "a", "preferred": ["yes"], "reason": "a says yes"}]


async def test_the_leading_option_may_be_approved(opened: Open) -> None:
    members = [member(name, Voter(vote=vote), capabilities=["reading", "law"]) for name, vote in
               [("a", "yes"), ("b", "yes"), ("c", "no")]]  # fmt: skip
    async with opened(members) as engine:
        run = await started(engine, options=["yes", "no"])
        assert run.reviews[0].args == {"decision": "yes"}
        run = await engine.resume(run.thread_id, approve(), by="dana")
    assert (run.state["final_result"]["decision"], run.state["final_result"]["decided_by"]) == ("yes", "dana")


async def test_with_peers_helpers_come_first_and_what_they_found_goes_to_the_one_who_asked(opened: Open) -> None:
    helper, leader = reader(help="The text."), lawyer(work="Together.")  # equal agents: the first name leads
    async with opened([helper, leader], strategy="peer") as engine:
        run = await started(engine, subtasks=[{"id": "both", "capabilities": ["reading", "law"]}])
    result = run.state["execution_results"]["both"]
    assert (run.status, result["agent"], result["helpers"]) == ("completed", "lawyer", ["reader"])
    assert (helper.act.kinds(), leader.act.kinds()) == (["help"], ["work"])
    assert leader.act.asked[0]["help"] == {"reader": {"output": "The text."}}


# each strategy prefers another one of these
BIDDERS: dict[str, dict[str, Any]] = {
    "fit": {"capabilities": ["reading"], "cost": 9, "cpu": 0.9},
    "cheap": {"capabilities": ["reading", "law"], "cost": 1, "cpu": 0.9},
    "idle": {"capabilities": ["reading", "law"], "cost": 9, "cpu": 0.1},
    "team": {"capabilities": ["maths", "sums"]},
}


@pytest.mark.parametrize(
    ("strategy", "chosen"), [("capability", "fit"), ("auction", "cheap"), ("load", "idle"), ("peer", "team")]
)
async def test_the_strategy_says_who_works(opened: Open, strategy: str, chosen: str) -> None:
    wanted = ["maths", "sums", "reading"] if strategy == "peer" else ["reading"]
    members = [member(name, Voter(work="Done."), **data) for name, data in BIDDERS.items()]
    async with opened(members, strategy=strategy) as engine:
        run = await started(engine, subtasks=[{"id": "facts", "capabilities": wanted}])
    given = run.state["agent_assignments"]["facts"]
    assert (run.status, given["strategy"], given["agent"]) == ("completed", strategy, chosen)
    assert [each.name for each in members if "work" in each.act.kinds()] == [chosen]


async def test_the_rules_work_on_a_real_text(council_database: str) -> None:
    from pathlib import Path

    text = (Path(__file__).parents[2] / "examples" / "incident.md").read_text()
    async with AsyncEngine.open(council_database) as engine:
        run = await engine.start(
            "council",
            {
                "main_task": "What was the root cause of the outage?",
                "material": text,
                "options": ["disk full of backup copies", "a failure of the network"],
            },
        )
    final = run.state["final_result"]
    assert (run.status, final["decision"]) == ("completed", "disk full of backup copies")
    assert sorted(run.state["subtasks"]) == ["facts", "risk", "tone"]
    assert all(claim["text"] in " ".join(text.split()) for claim in final["claims"])


async def test_a_plan_that_cannot_be_carried_out_fails_and_names_the_ids(opened: Open) -> None:
    plans = {
        "there more than once": [{"id": "a"}, {"id": "a"}],
        "depends on 'b', which is not in the plan": [{"id": "a", "dependencies": ["b"]}],
        "in a circle": [{"id": "a", "dependencies": ["b"]}, {"id": "b", "dependencies": ["a"]}],
        "Subtask 1 ('a') does not fit: priority": [{"id": "a", "priority": "high"}],
        "A plan is a list of subtasks": [],
    }
    async with opened([reader(work="x")]) as engine:
        for says, plan in plans.items():
            run = await started(engine, subtasks=plan)
            assert (run.status, says in str(run.error and run.error["message"])) == ("failed", True)


def test_unknown_strategies_and_policies_are_refused_and_the_known_ones_named() -> None:
    with pytest.raises(InvalidInput, match="There is no strategy 'aucton'; known: .*Did you mean 'auction'"):
        build([reader()], strategy="aucton")
    with pytest.raises(InvalidInput, match="known: error, person, queue"):
        build([reader()], on_missing="panic")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="known: plurality, weighted, log_odds, unanimous, ranked"):
        build([reader()], procedure=Procedure(rule="majority"))
