"""The node in which agents work on what they were given, all at the same time."""

from __future__ import annotations

from typing import Any

from ...state.assignments import Assignment
from ...state.council import CouncilState, ExecutionResult, Reply, cost_of
from .asking import all_of, ask
from .members import Member, Members, crew_of, seated
from .node import AsyncCouncilNode
from .procedure import check_timeout
from .requests import request_for
from .telling import Tell, teller

__all__ = ["work"]


def work(members: Members, *, timeout: float = 60.0) -> AsyncCouncilNode:
    """Make a node that lets agents work on the subtasks that are assigned.

    All work at the same time, each with its own time; helpers (strategy `peer`) come before whoever asked them. An agent
    that fails, is too slow, or answers what cannot be kept fails its own subtask and nothing else. What an agent has
    finished is remembered: after a crash only those are asked again that had not answered.

    Args:
        members: The agents.
        timeout: Seconds that an agent has for one answer, unless it brings its own.

    Returns:
        A node that writes `subtasks`, `execution_results` and `costs`.

    Raises:
        InvalidInput: `timeout` is no number of seconds above 0.
    """
    check_timeout(timeout)

    async def work_on(state: Any) -> CouncilState:
        crew, tell = crew_of(members), teller()
        todo = sorted(name for name, each in state["subtasks"].items() if each["status"] == "assigned")
        helped = await _all_helped(state, crew, todo, timeout, tell)
        replies = await all_of(_worked(state, crew, name, helped[name], timeout, tell) for name in todo)
        subtasks, results = dict(state["subtasks"]), dict(state.get("execution_results") or {})
        for name, reply in zip(todo, replies, strict=True):
            given = state["agent_assignments"][name]
            results[name] = _result(given, reply, results.get(name))
            failed = reply["error"] is not None
            who = [*subtasks[name]["failed_by"], given["agent"]] if failed else subtasks[name]["failed_by"]
            subtasks[name] = {**subtasks[name], "status": results[name]["status"], "failed_by": who}
        helpers = [reply for each in helped.values() for reply in each]
        return {
            "subtasks": subtasks,
            "execution_results": results,
            "costs": {"work": cost_of(helpers, replies)},
        }

    return work_on


async def _all_helped(
    state: Any, crew: dict[str, Member], todo: list[str], seconds: float, tell: Tell
) -> dict[str, list[Reply]]:
    """Ask all helpers of all subtasks at the same time; return their replies by subtask."""
    pairs = [(name, helper) for name in todo for helper in state["agent_assignments"][name]["helpers"]]

    async def help_with(name: str, helper: str) -> Reply:
        request = request_for(seated(crew, helper), "help", state)
        request["subtask"] = state["subtasks"][name]
        tell("helping", agent=helper, subtask=name, asked_by=state["agent_assignments"][name]["agent"])
        return await ask(crew[helper], request, number=_number(state, name), seconds=seconds)

    replies = await all_of(help_with(*pair) for pair in pairs)
    helped: dict[str, list[Reply]] = {name: [] for name in todo}
    for (name, _), reply in zip(pairs, replies, strict=True):
        helped[name].append(reply)
    return helped


async def _worked(
    state: Any, crew: dict[str, Member], name: str, helped: list[Reply], seconds: float, tell: Tell
) -> Reply:
    given: Assignment = state["agent_assignments"][name]
    one = seated(crew, given["agent"])
    request = request_for(one, "work", state)
    request["subtask"] = state["subtasks"][name]
    if state.get("options"):
        request["options"] = list(state["options"])
    if helped:
        request["help"] = {
            reply["agent"]: {"output": reply["output"]} if reply["error"] is None else {"error": reply["error"]}
            for reply in helped
        }
    tell("working", agent=one.name, subtask=name, attempt=given["attempt"])
    reply = await ask(one, request, number=_number(state, name), seconds=seconds)
    tell("worked", agent=one.name, subtask=name, error=reply["error"], seconds=reply["seconds"])
    return reply


def _number(state: Any, name: str) -> str:
    return f"{name} {state['agent_assignments'][name]['attempt']}"


def _result(given: Assignment, reply: Reply, before: ExecutionResult | None) -> ExecutionResult:
    failures = list(before["failures"]) if before else []
    if reply["error"] is not None:
        failures.append({"agent": given["agent"], "cause": reply["error"]})
    return {
        "subtask": given["subtask"],
        "agent": given["agent"],
        "helpers": given["helpers"],
        "status": "completed" if reply["error"] is None else "failed",
        "output": reply["output"],
        "error": reply["error"],
        "attempt": given["attempt"],
        "failures": failures,
    }
