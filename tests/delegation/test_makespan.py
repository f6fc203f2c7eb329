"""How long plans take when the executing node itself carries them out, in virtual time: nothing but the agents takes any."""

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any

import pytest
from langgraph.graph import START, StateGraph

from adjourn.nodes.children import ChildCall, Ended, Until, children_in
from adjourn.nodes.delegation.agents import Brief, Team
from adjourn.nodes.delegation.executing import execution
from adjourn.nodes.delegation.network import Network, graham_bound, lower_bound, network_of
from adjourn.nodes.delegation.plans import planned, read_plan
from adjourn.nodes.effects import Begun, effects_in
from adjourn.state.delegation import DelegationState
from benchmarks.plans import random_network
from support.delegating import rows_of, some_nested_plan
from support.virtual_time import in_virtual_time


class Effects:
    """Remembers nothing: no process dies here."""

    async def begin(self, effect: Any) -> Begun:
        return Begun("go", None, "")

    async def end(self, effect: Any, **how: Any) -> None:
        pass


class Children:
    """Carries nested plans out in this process, by the same node, with no time for starting and ending them."""

    pauses = False

    def __init__(self, node: Any) -> None:
        self.node = node

    async def run(self, place: Any, calls: Mapping[str, ChildCall], until: Until) -> dict[str, Ended]:
        found = {}
        for name, call in calls.items():
            state = await carried_out(self.node, call.input["plan"], call.input["outer"])
            found[name] = Ended(name, "completed", {**state})
        return found


def waiting() -> tuple[Team, Any]:
    async def wait(brief: Brief) -> None:
        await asyncio.sleep(brief.input_data["seconds"])

    def clock() -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=asyncio.get_running_loop().time())

    return Team({"wait": wait}), clock


async def carried_out(node: Any, plan: Any, outer: Any = None) -> Any:
    subtasks, dependencies = planned(read_plan(plan))
    graph = StateGraph(DelegationState).add_node("execute", node).add_edge(START, "execute").compile()
    given: Any = {
        "subtasks": subtasks,
        "dependencies": dependencies,
        "family": "f",
        **({"outer": outer} if outer else {}),
    }
    with effects_in(Effects()) if outer is None else nullcontext(), children_in(Children(node)):  # type: ignore[arg-type]
        return await graph.ainvoke(given, {"configurable": {"thread_id": "t"}})


def makespan(plan: Any, capacity: int) -> float:
    team, clock = waiting()
    state, seconds = in_virtual_time(carried_out(execution(team, capacity=capacity, clock=clock), plan))
    assert {each["status"] for each in state["subtasks"].values()} == {"completed"}
    return seconds


def plan_of(network: Network) -> dict[str, Any]:
    return {
        "subtasks": [
            {
                "id": each,
                "dependencies": list(network.dependencies[each]),
                "expected_seconds": network.seconds[each],
                "input_data": {"seconds": network.seconds[each]},
            }
            for each in network.order
        ]
    }


def meets_the_bounds(capacity: int, numbers: range) -> None:
    ratios = []
    for number in numbers:
        network = random_network(number)
        room = capacity or len(network.order)
        took = makespan(plan_of(network), room)
        if not capacity:
            assert took <= 1.10 * network.length
        assert took <= graham_bound(network, room) + 1e-6
        ratios.append(took / lower_bound(network, room))
    assert median(ratios) <= 1.15


@pytest.mark.parametrize("capacity", [0, 4])
def test_the_node_meets_the_bounds(capacity: int) -> None:
    meets_the_bounds(capacity, range(0, 200, 8))


@pytest.mark.soak
@pytest.mark.parametrize("capacity", [0, 1, 2, 4, 8, 16])
def test_the_node_meets_the_bounds_on_two_hundred_graphs(capacity: int) -> None:
    meets_the_bounds(capacity, range(200))


def with_nested_plans(number: int, capacity: int) -> None:
    plan = timed(some_nested_plan(number, 10, fails=False))
    rows = rows_of(plan)
    seconds = {each: 0.0 if row.nested else row.expected_seconds for each, row in rows.items()}
    network = network_of({each: row.dependencies for each, row in rows.items()}, seconds)
    took = makespan(plan, capacity or len(rows))
    if capacity:
        assert took <= graham_bound(network, capacity) + 1e-6
    else:
        assert took == pytest.approx(network.length), "as if all were one plan"


def test_nested_plans_take_as_long_as_if_all_were_one_plan_and_share_the_capacity() -> None:
    for number in range(500, 512):
        for capacity in (0, 1, 3):
            with_nested_plans(number, capacity)


@pytest.mark.soak
def test_many_nested_plans_meet_the_bounds() -> None:
    for number in range(600, 800):
        for capacity in (0, 1, 2, 3, 8):
            with_nested_plans(number, capacity)


def timed(plan: dict[str, Any]) -> dict[str, Any]:
    """Give each subtask a length, made of its id."""
    for each in plan["subtasks"]:
        if "plan" in each:
            timed(each["plan"])
        else:
            seconds = 0.5 + sum(map(ord, each["id"])) % 7
            each |= {"expected_seconds": seconds, "input_data": {"seconds": seconds}}
    return plan
