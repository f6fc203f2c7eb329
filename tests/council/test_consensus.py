"""The consensus node by itself: no engine, no database; agents are functions."""

import asyncio
import itertools
import random
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from adjourn.errors import BudgetExceeded, InvalidInput, InvalidRoster
from adjourn.nodes.council import Procedure, consensus, member
from adjourn.nodes.council.procedure import margin_of
from adjourn.state.values import json_problem
from support.councils import OPTIONS, Together, Voter, voters


async def held(members, state=None, **procedure) -> Any:
    node = consensus(members, procedure=Procedure(**{"timeout": 5, **procedure}))
    return await node({"main_task": "Which?", "options": OPTIONS, **(state or {})})


def procedures(members):
    return [each.act.kinds() for each in members]


async def test_drafts_are_independent_then_a_vote_decides_and_nobody_is_asked_again():
    members = voters("right", "right", "right", "wrong")
    found = await held(members)
    results = found["consensus_results"]
    assert (results["decision"], results["decided_by"], results["level"], results["rounds"]) == (
        "right",
        "vote",
        0.75,
        1,
    )
    assert procedures(members) == [["draft", "vote"]] * 4
    assert not any({"drafts", "others"} & request.keys() for each in members for request in each.act.asked)
    assert results["dissent"] == [{"agent": "a3", "preferred": ["wrong"], "reason": "a3 says wrong"}]
    assert json_problem(found) is None


async def test_a_thin_margin_is_discussed_each_sees_the_votes_of_the_others():
    doubting = Voter(vote=["wrong", lambda request: request["others"][0]["decision"]])
    members = [*voters("right", "right", "wrong"), member("a3", doubting)]
    found = await held(members)
    assert [each["outcome"]["level"] for each in found["rounds"]] == [0.5, 0.75]
    assert found["consensus_results"]["reached"]
    second = doubting.asked[-1]
    assert second["own_vote"]["decision"] == "wrong"
    assert second["others"][0] == {"by": "a0", "decision": "right", "ranking": None, "reason": "a0 says right"}


async def test_anonymous_voters_see_no_names():
    doubting = Voter(vote=["wrong", "right"])
    members = [*voters("right", "right", "wrong"), member("a3", doubting)]
    await held(members, anonymous=True, debate=1)
    names = {
        each["by"] for request in doubting.asked for each in (*request.get("others", ()), *request.get("drafts", ()))
    }
    assert names == {"voter 1", "voter 2", "voter 3"}


async def test_it_ends_when_nothing_moves_or_when_the_rounds_are_used_up():
    assert (await held(voters("right", "wrong")))["consensus_results"]["rounds"] == 2
    split = voters("right", "wrong")
    assert (await held(split, until_stuck=False))["consensus_results"]["rounds"] == 5
    assert procedures(split) == [["draft", *["vote"] * 5]] * 2


async def test_an_even_split_under_unanimous_is_no_consensus_and_says_so():
    found = await held(voters("right", "wrong"), rule="unanimous")
    results = found["consensus_results"]
    assert (results["reached"], results["decision"], results["decided_by"]) == (False, None, None)
    assert results["why"].endswith("That is no consensus.")


async def test_a_thin_margin_is_no_consensus_where_a_lead_is_asked_for():
    members = voters("right", "right", "wrong")
    results = (await held(members, threshold=0.6, min_margin=0.5))["consensus_results"]
    assert (results["reached"], results["decision"]) == (False, "right")
    assert "The margin 0.33 is below 0.5" in results["why"]


async def test_without_options_the_drafts_are_the_options():
    members = [
        member("a0", Voter(draft="Roll back.", vote="draft 1")),
        member("a1", Voter(draft={"answer": "Wait."}, vote="draft 1")),
        member("a2", Voter(draft="Wait.", vote="draft 1")),
    ]
    found = await consensus(members)({"main_task": "What now?"})
    results = found["consensus_results"]
    assert results["options"] == {"draft 1": "Roll back.", "draft 2": "Wait."}
    assert (results["decision"], results["answer"]) == ("draft 1", "Roll back.")
    assert members[1].act.asked[-1]["drafts"] == [
        {"by": "draft 1", "text": "Roll back."},
        {"by": "draft 2", "text": "Wait."},
    ]


async def test_equal_drafts_need_no_vote_and_none_at_all_is_no_consensus():
    same = [member(name, Voter(draft="Wait.")) for name in "ab"]
    results = (await consensus(same)({"main_task": "?"}))["consensus_results"]
    assert (results["reached"], results["answer"], results["rounds"]) == (True, "Wait.", 0)
    silent = [member(name, Voter(draft=OSError("gone"))) for name in "ab"]
    results = (await consensus(silent)({"main_task": "?"}))["consensus_results"]
    assert (results["reached"], results["decision"]) == (False, None)


async def test_debate_shows_drafts_before_the_vote_and_a_failing_turn_keeps_the_draft():
    moved = Voter(draft=["mine", lambda request: request["drafts"][0]["text"]], vote="right")
    fails = Voter(draft=["good", OSError("gone")], vote="right")
    found = await held([member("a", fails), member("b", moved)], debate=1)
    assert [(each["agent"], each["text"]) for each in found["drafts"]] == [("a", "good"), ("b", "good")]


FAILURES = {
    "RuntimeError: boom": RuntimeError("boom"),
    "the answer is a list, not an object with a decision": [["right"]],
    "the decision right! is not one of the options: right, wrong, other": {"decision": "right!"},
    "it returned something that is not JSON-safe: its answer.when is a set": {"when": {1}},
    "its answer has 10,000,000 characters; at most 1,000,000 are kept": "x" * 10_000_000,
    "SystemExit: 3": SystemExit(3),
    "CancelledError": asyncio.CancelledError(),
    "chose to abstain": {"decision": None},
    "gave no answer": lambda _: None,
}


@pytest.mark.parametrize("cause", FAILURES)
async def test_an_agent_that_fails_abstains_with_the_cause_and_takes_nobody_down(cause):
    broken = member("broken", Voter(vote=FAILURES[cause]))
    found = await held([*voters("right", "right"), broken])
    assert found["consensus_results"]["decision"] == "right"
    assert found["consensus_results"]["abstained"] == [{"agent": "broken", "cause": cause}]


async def test_an_agent_that_never_answers_abstains_and_takes_nobody_down():
    asked_no_more = threading.Event()
    hanging = member("hanging", Voter(vote=lambda _: asked_no_more.wait(60)), timeout=0.05)
    try:
        found = await held([*voters("right", "right"), hanging], drafts=False)
    finally:
        asked_no_more.set()
    assert found["consensus_results"]["decision"] == "right"
    assert found["consensus_results"]["abstained"] == [{"agent": "hanging", "cause": "no answer within 0.05 s"}]


async def test_what_ends_the_run_is_no_failure_of_an_agent():
    spent = member("spent", Voter(vote=BudgetExceeded("no tokens are left")))
    with pytest.raises(BudgetExceeded):
        await held([*voters("right"), spent], drafts=False)


async def test_an_agent_gets_a_copy_and_cannot_change_what_the_others_are_asked():
    def meddling(request):
        request["options"].clear()
        request["material"]["fact"] = "changed"
        return {"decision": "right"}

    honest = Voter(vote="right")
    members = [member("a", meddling), *(member(name, honest) for name in "bc")]
    found = await held(members, {"material": {"fact": "true"}}, drafts=False)
    assert found["consensus_results"]["level"] == 1
    assert honest.asked[0]["material"] == {"fact": "true"}


async def test_all_are_asked_at_the_same_time():
    agents = Together(9, lambda _: {"decision": "right"})
    found = await held([member(f"a{n}", agents) for n in range(9)], drafts=False)
    assert found["consensus_results"]["level"] == 1
    meeting = threading.Barrier(40)  # plain functions, too, however many: each has a thread of its own
    threads = [member(f"t{n}", lambda _: meeting.wait(5) >= 0 and {"decision": "right"}) for n in range(40)]
    found = await held(threads, drafts=False)
    assert found["consensus_results"]["abstained"] == []
    cost = found["costs"]["build_consensus"]
    assert cost["agent_calls"] == 40
    assert cost["seconds"] < cost["agent_seconds"]


async def test_a_second_sitting_goes_on_with_further_rounds():
    members = voters(["right", "right", "right"], ["wrong", "wrong", "right"])
    first = await held(members)
    again = await held(members, {**first, "notes": ["It is right."]})
    assert [each["number"] for each in again["rounds"]] == [1, 2, 3]
    assert again["consensus_results"]["reached"]
    assert members[1].act.asked[-1]["notes"] == ["It is right."]
    assert [kinds.count("draft") for kinds in procedures(members)] == [1, 1]


async def test_weights_accuracies_and_rankings_of_the_roster_count():
    heavy = [member("a", Voter(vote="wrong"), weight=5), *(member(n, Voter(vote="right"), weight=1) for n in "bc")]
    assert (await held(heavy, rule="weighted"))["consensus_results"]["decision"] == "wrong"
    expert = [
        member("a", Voter(vote="wrong"), accuracy=0.95),
        *(member(n, Voter(vote="right"), accuracy=0.7) for n in "bc"),
    ]
    outcome = (await held(expert, rule="log_odds"))["consensus_results"]
    assert outcome["decision"] == "wrong"
    ranking = {"ranking": ["other", "right", "wrong"]}
    ranked = [member(n, Voter(vote=ranking)) for n in "abc"]
    found = await held(ranked, rule="ranked", method="borda")
    assert found["consensus_results"]["decision"] == "other"
    assert ranked[0].act.asked[-1]["ranked"]


def test_margins():
    from adjourn.nodes.voting import decide
    from support.voting import rankings, votes_for

    options = ["a", "b", "c"]
    assert margin_of(decide("plurality", votes_for(["a", "a", "a", "b"], options), options=options)) == 0.5
    assert margin_of(decide("plurality", votes_for(["a", "b"], options), options=options)) == 0
    votes = rankings({"ABC": 3, "CBA": 1})
    assert margin_of(decide("ranked", votes, options=["A", "B", "C"])) == 0.5


@pytest.mark.parametrize(
    ("members", "procedure", "says"),
    [
        (voters("right"), {"rule": "weigthed"}, "There is no voting rule 'weigthed'; known: .*Did you mean 'weighted'"),
        (voters("right"), {"threshold": 1.5}, "threshold must be a number from 0 to 1"),
        (voters("right"), {"max_rounds": 0}, "max_rounds must be a whole number of at least 1"),
        (voters("right"), {"timeout": float("nan")}, "timeout must be a number of seconds above 0"),
        (voters("right"), {"rule": "log_odds"}, "There is no accuracy for the agent 'a0'"),
        (voters("right"), {"method": "borda"}, "The rule 'plurality' does not use method"),
        (voters("right"), {"on_tie": "maybe"}, "There is no option 'maybe'"),
    ],
)
async def test_what_cannot_be_counted_is_refused_before_anybody_is_asked(members, procedure, says):
    with pytest.raises(InvalidInput, match=says):
        await held(members, **procedure)
    assert procedures(members) == [[]]


async def test_options_that_are_no_closed_set_are_refused():
    for options, says in ((["one"], "two options or more"), (["a", "a"], "named once"), ("yes", "a list of names")):
        with pytest.raises(InvalidInput, match=says):
            await consensus(voters("right"), options=options)({"main_task": "?"})
    with pytest.raises(InvalidInput, match="the drafts will be the options"):
        await consensus(voters("right"), procedure=Procedure(on_tie="right"))({"main_task": "?"})


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"weight": -1}, "weight"),
        ({"weight": "heavy"}, "weight"),
        ({"weight": float("inf")}, "weight"),
        ({"accuracy": 1.2}, "accuracy"),
        ({"acuracy": 0.5}, "acuracy"),
        ({"capabilities": "law"}, "capabilities"),
    ],
)
def test_what_does_not_fit_an_agent_is_refused_and_named(data, says):
    with pytest.raises(InvalidRoster, match=f"The agent 'a' does not fit: {says}"):
        member("a", Voter(), **data)


def test_agents_that_do_not_fit_together_are_refused():
    with pytest.raises(InvalidRoster, match="at least one agent"):
        consensus([])
    with pytest.raises(InvalidRoster, match="a0 is taken"):
        consensus([*voters("right"), *voters("right")])
    with pytest.raises(InvalidRoster, match="the weights of all agents are 0"):
        consensus(voters("right", "wrong", weight=0))
    with pytest.raises(InvalidRoster, match="made by member"):
        consensus([print])


# (answer in each round, turns of the event loop that it takes)
ANSWERS = some.sampled_from(["right", "wrong", "other", None, {"decision": "nothing"}, {"ranking": ["other", "wrong"]}])
COUNCILS = some.lists(
    some.tuples(some.lists(ANSWERS, min_size=1, max_size=3), some.integers(0, 3)), min_size=1, max_size=5
)
RULES = some.sampled_from(["plurality", "weighted", "log_odds", "unanimous", "ranked"])


@settings(max_examples=40, deadline=None)
@given(council=COUNCILS, rule=RULES, seed=some.integers(0, 99), anonymous=some.booleans())
def test_neither_the_order_of_agents_nor_their_speed_changes_anything(council, rule, seed, anonymous):
    def outcome(*, shuffled: bool) -> Any:
        chance = random.Random(seed)
        members = []
        for number, (answers, pause) in enumerate(council):
            if shuffled:
                pause = chance.randint(0, 3)
            members.append(
                member(f"a{number}", slow(answers, pause), weight=1 + number % 3, accuracy=0.6 + number / 20)
            )
        if shuffled:
            chance.shuffle(members)
        found = asyncio.run(held(members, rule=rule, anonymous=anonymous, drafts=False, max_rounds=3))
        found["costs"]["build_consensus"].update(seconds=0, agent_seconds=0)
        return found

    assert outcome(shuffled=True) == outcome(shuffled=False)


def slow(answers, pause):
    async def act(request):
        for _ in range(pause):
            await asyncio.sleep(0)
        answer = answers[min(request["round"], len(answers)) - 1]
        # who is told of others' votes follows the first of them, so that what is shown matters
        if request["round"] > 1 and answer == "other" and request["others"]:
            answer = request["others"][0]["decision"]
        return {"decision": answer} if isinstance(answer, str) else answer

    return act


HONEST = {"decision": "right", "ranking": ["right", "wrong", "other"], "reason": "It follows."}
FAULTS = {
    "silent": lambda request: None,
    "random": lambda request: {"decision": random.Random(f"{request['agent']}{request['round']}").choice(OPTIONS)},
    "hostile": lambda request: {"decision": "wrong", "ranking": ["wrong", "other", "right"]},
    "contradicting": lambda request: {"decision": OPTIONS[1 + request["round"] % 2]},
    "flattering": lambda request: {"decision": "wrong", "confidence": 1.0, "weight": 1e9, "accuracy": 1.0},
}
# rule → (voters, faulty ones that it stands), and what the agents bring
BOUNDS = {
    "plurality": (9, 4, {}),
    "weighted": (5, 2, {"weight": 2}),
    "log_odds": (5, 2, {"accuracy": 0.8}),
    "unanimous": (4, 3, {}),
    "ranked": (9, 4, {}),
}


@pytest.mark.parametrize(("rule", "fault"), list(itertools.product(BOUNDS, FAULTS)))
async def test_up_to_its_bound_faulty_agents_cannot_make_the_council_decide_wrongly(rule, fault):
    count, faulty, data = BOUNDS[rule]
    members = [member(f"f{n}", FAULTS[fault], **data) for n in range(faulty)]
    members += [member(f"h{n}", lambda _: HONEST, **data) for n in range(count - faulty)]
    results = (await held(members, rule=rule, threshold=0.5, drafts=False))["consensus_results"]
    wanted = {"right", None} if rule == "unanimous" else {"right"}
    assert results["decision"] in wanted


@pytest.mark.parametrize("rule", BOUNDS)
async def test_one_beyond_the_bound_it_falls(rule):
    count, faulty, data = BOUNDS[rule]
    members = [member(f"f{n}", FAULTS["hostile"], **data) for n in range(faulty + 1)]
    members += [member(f"h{n}", lambda _: HONEST, **data) for n in range(count - faulty - 1)]
    assert (await held(members, rule=rule, threshold=0.5, drafts=False))["consensus_results"]["decision"] == "wrong"
