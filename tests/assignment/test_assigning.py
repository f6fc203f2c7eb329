"""Who gets which subtask: each strategy, failures, and what nobody can do."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from adjourn.errors import InvalidInput, InvalidPlan, InvalidRoster
from adjourn.nodes.assignment import STRATEGIES, assign
from adjourn.state.assignments import Subtask
from adjourn.state.roster import Agent
from adjourn.state.values import json_problem

every_strategy = pytest.mark.parametrize("strategy", STRATEGIES)


def agent(name, *capabilities, **more):
    return Agent(name=name, capabilities=capabilities, **more)


def task(name, *capabilities, **more):
    return Subtask(id=name, capabilities=capabilities, **more)


def who(strategy, subtasks, agents, **more):
    """Subtask → agent, for those that were assigned."""
    found = assign(strategy, subtasks, agents, **more)
    assert json_problem(found) is None
    return {each["subtask"]: each["agent"] for each in found["assignments"]}


def why_not(strategy, subtasks, agents, **more):
    (left,) = assign(strategy, subtasks, agents, **{"on_missing": "person", **more})["unassigned"]
    return left


def test_capability_takes_the_specialist_with_the_best_record():
    agents = [
        agent("all", "sql", "go", "law", performance=1.0),
        agent("old", "sql", performance=0.9),
        agent("new", "sql"),
    ]
    assert who("capability", [task("t", "sql")], agents) == {"t": "old"}


def test_auction_takes_the_best_bid_and_nobody_above_80_per_cent_load_bids():
    agents = [agent("busy", "sql", cost=1, active=9, capacity=10), agent("at 80", "sql", cost=2, active=8, capacity=10),
              agent("dear", "sql", cost=9)]  # fmt: skip
    assert who("auction", [task("t", "sql")], agents) == {"t": "at 80"}
    assert why_not("auction", [task("t", "sql")], agents[:1])["cause"] == "busy"


def test_load_takes_the_least_loaded():
    agents = [agent("hot", "sql", cpu=0.9), agent("cool", "sql", cpu=0.1), agent("unfit", cpu=0.0)]
    assert who("load", [task("t", "sql")], agents) == {"t": "cool"}


def test_peer_asks_those_it_trusts_for_what_it_lacks():
    agents = [
        agent("lead", "sql", "go", trust={"liar": 0.3, "friend": 0.31}),
        agent("liar", "law"),
        agent("friend", "law"),
    ]
    (found,) = assign("peer", [task("t", "sql", "go", "law")], agents)["assignments"]
    assert (found["agent"], found["helpers"]) == ("lead", ["friend"])


def test_peer_does_not_ask_at_a_trust_of_three_tenths():
    agents = [agent("lead", "sql", "go", trust={"liar": 0.3}), agent("liar", "law", trust={"lead": 0.3})]
    left = why_not("peer", [task("t", "sql", "go", "law")], agents)
    assert (left["cause"], left["missing"]) == ("no_trusted_peers", ["law"])


def test_peer_asks_nobody_when_the_agent_can_do_it_alone():
    (found,) = assign("peer", [task("t", "sql")], [agent("a", "sql", "go"), agent("b", "go")])["assignments"]
    assert (found["agent"], found["helpers"]) == ("a", [])


def test_peer_finds_the_smallest_team_with_the_most_trust():
    lead = agent("lead", "a", "b", "c", trust={"both": 0.4, "x": 0.9, "y": 0.9, "z": 0.9, "best": 0.8})
    agents = [lead, agent("both", "d", "e"), agent("x", "d"), agent("y", "e"), agent("best", "d", "e")]
    (found,) = assign("peer", [task("t", "a", "b", "c", "d", "e")], agents)["assignments"]
    assert found["helpers"] == ["best"]


def test_peer_asks_three_at_most():
    agents = [agent("lead", "a", "a2"), *(agent(f"p{each}", each) for each in "bcde")]
    assert who("peer", [task("t", "a", "a2", "b", "c", "d")], agents) == {"t": "lead"}
    left = why_not("peer", [task("t", "a", "a2", "b", "c", "d", "e")], agents)
    assert (left["cause"], left["next"], left["missing"]) == ("no_trusted_peers", "person", ["b", "c", "d", "e"])


def test_a_trusted_peer_that_is_busy_is_waited_for():
    agents = [agent("lead", "a", "b"), agent("helper", "c", active=1)]
    left = why_not("peer", [task("t", "a", "b", "c")], agents)
    assert (left["cause"], left["next"]) == ("busy", "queue")


@every_strategy
def test_an_agent_gets_no_more_than_its_capacity(strategy):
    subtasks = [task(f"t{index}", "sql") for index in range(4)]
    agents = [agent("a", "sql"), agent("b", "sql", capacity=2, active=1)]
    found = assign(strategy, subtasks, agents)
    assert sorted(each["agent"] for each in found["assignments"]) == ["a", "b"]
    assert [(each["subtask"], each["cause"], each["next"]) for each in found["unassigned"]] == [
        ("t2", "busy", "queue"), ("t3", "busy", "queue"),
    ]  # fmt: skip


@every_strategy
def test_what_matters_most_is_assigned_first(strategy):
    subtasks = [task("a", "sql"), task("b", "sql", priority=5)]
    assert who(strategy, subtasks, [agent("only", "sql")]) == {"b": "only"}


@every_strategy
def test_a_failed_subtask_goes_to_another_that_can_do_it(strategy):
    agents = [agent("a", "sql", performance=1.0, reputation=1.0), agent("b", "sql", "go", cpu=1.0, cost=9), agent("c")]
    assert who(strategy, [task("t", "sql", failed_by=("a",))], agents) == {"t": "b"}


@every_strategy
def test_a_failed_subtask_waits_for_another_that_is_busy(strategy):
    agents = [agent("a", "sql"), agent("b", "sql", active=1)]
    left = why_not(strategy, [task("t", "sql", failed_by=("a",))], agents)
    assert (left["cause"], left["next"]) == ("busy", "queue")
    assert left["reason"].endswith("busy: b")


@every_strategy
def test_a_failed_subtask_returns_only_when_nobody_else_can_and_to_who_failed_least(strategy):
    agents = [agent("a", "sql"), agent("b", "go")]
    assert who(strategy, [task("t", "sql", failed_by=("a",))], agents) == {"t": "a"}
    both = [agent("a", "sql"), agent("b", "sql")]
    assert who(strategy, [task("t", "sql", failed_by=("a", "a", "b"))], both, max_reassignments=3) == {"t": "b"}


@every_strategy
def test_after_two_reassignments_a_person_is_asked(strategy):
    agents = [agent(name, "sql") for name in "abcd"]
    (third,) = assign(strategy, [task("t", "sql", failed_by=("a", "b"))], agents)["assignments"]
    assert third["attempt"] == 3
    left = why_not(strategy, [task("t", "sql", failed_by=("a", "b", "c"))], agents, on_missing="error")
    assert (left["cause"], left["next"], left["reason"]) == ("failed_too_often", "person", "'t' failed with a, b, c")


@every_strategy
def test_a_capability_that_nobody_has_is_named(strategy):
    agents = [agent("a", "sql"), agent("b")]
    with pytest.raises(InvalidPlan, match=r"no agent has law, which 't' requires. The agents have a: sql; b: none."):
        assign(strategy, [task("t", "sql", "law")], agents)
    for policy in ("person", "queue"):
        left = why_not(strategy, [task("t", "sql", "law")], agents, on_missing=policy)
        assert (left["cause"], left["missing"], left["next"]) == ("no_capability", ["law"], policy)


@pytest.mark.parametrize("strategy", ["capability", "auction", "load"])
def test_capabilities_that_no_single_agent_has_are_named_too(strategy):
    with pytest.raises(InvalidPlan, match="no single agent has all of law, sql.*the strategy 'peer' lets agents help"):
        assign(strategy, [task("t", "sql", "law")], [agent("a", "sql"), agent("b", "law")])


@every_strategy
def test_a_subtask_that_requires_nothing_is_for_everybody(strategy):
    assert who(strategy, [task("t")], [agent("a")]) == {"t": "a"}


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (
            ("acution", [], [agent("a")]),
            InvalidInput,
            "no strategy 'acution'; known: capability, .*Did you mean 'auction'",
        ),
        (("load", [], []), InvalidRoster, "has no agents"),
        (("load", [], [agent("a"), agent("a")]), InvalidRoster, "a is there more than once"),
        (("load", [task("t"), task("t")], [agent("a")]), InvalidPlan, "t is there more than once"),
    ],
)
def test_bad_arguments_are_refused_with_what_would_be_right(arguments, error, says):
    with pytest.raises(error, match=says):
        assign(*arguments)
    with pytest.raises(InvalidInput, match="known: error, person, queue"):
        assign("load", [], [agent("a")], on_missing="ask")


CAPABILITIES = ["a", "b", "c"]
AGENTS = some.lists(
    some.builds(
        lambda capabilities, **more: {"capabilities": tuple(capabilities), **more},
        capabilities=some.sets(some.sampled_from(CAPABILITIES)),
        capacity=some.integers(1, 2),
        active=some.integers(0, 1),
        cost=some.sampled_from([0.0, 1.0, 2.0]),
        cpu=some.sampled_from([None, 0.1, 0.9]),
        performance=some.sampled_from([None, 0.2, 0.8]),
    ),
    min_size=1,
    max_size=5,
)
SUBTASKS = some.lists(
    some.tuples(some.sets(some.sampled_from(CAPABILITIES), max_size=2), some.integers(0, 1), some.booleans()),
    max_size=4,
)


@settings(max_examples=60, deadline=None)
@given(strategy=some.sampled_from(STRATEGIES), agents=AGENTS, subtasks=SUBTASKS, seed=some.integers(0, 100))
def test_neither_the_order_of_agents_nor_that_of_subtasks_changes_who_does_what(strategy, agents, subtasks, seed):
    roster = [Agent(name=f"a{index}", **each) for index, each in enumerate(agents)]
    todo = [
        Subtask(id=f"t{index}", capabilities=tuple(names), priority=priority, failed_by=("a0",) if failed else ())
        for index, (names, priority, failed) in enumerate(subtasks)
    ]
    found = assign(strategy, todo, roster, on_missing="queue")
    order = random.Random(seed)
    order.shuffle(roster)
    order.shuffle(todo)
    assert assign(strategy, todo, roster, on_missing="queue") == found
    assert len(found["assignments"]) + len(found["unassigned"]) == len(todo)
    by_id, by_name = {each.id: each for each in todo}, {each.name: each for each in roster}
    for each in found["assignments"]:
        team = {each["agent"], *each["helpers"]}
        able = {capability for name in team for capability in by_name[name].capabilities}
        assert able >= set(by_id[each["subtask"]].capabilities)
    for each in roster:
        taken = sum(each.name in (one["agent"], *one["helpers"]) for one in found["assignments"])
        assert each.active + taken <= max(each.capacity, each.active)
