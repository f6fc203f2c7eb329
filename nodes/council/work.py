"""The node in which agents work on what they were given, all at the same time.

An agent that is a child run may wait for a person. Its subtask waits then (status `waiting`), and the node ends without
it, so that whatever does not depend on it is assigned and done. Each time the node runs it looks at what waits; it lets the
run pause only when there is nothing but that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from langgraph.errors import GraphInterrupt

from ...state.assignments import Assignment
from ...state.council import CouncilState, ExecutionResult, Kind, Reply, Request, Waiting, cost_of
from ..arguments import check_seconds
from ..branches import one_wait, settled
from ..children import scope_here
from ..effect_port import remembers_effects
from ..here import Tell, teller
from .asking import ask, ask_run
from .members import Member, Members, crew_of, seated
from .node import AsyncCouncilNode
from .requests import request_for

__all__ = ["work"]


def work(members: Members, *, timeout: float = 60.0) -> AsyncCouncilNode:
    """Make a node that lets agents work on the subtasks that are assigned.

    All work at the same time, each with its own time; helpers (strategy `peer`) come before whoever asked them. An agent
    that fails, is too slow, or answers what cannot be kept fails its own subtask and nothing else. What an agent has
    finished is remembered: after a crash only those are asked again that had not answered.

    A subtask whose agent or helper is a child run that has not ended gets the status `waiting`. Lead back here as long as
    there is one: when nothing is assigned, the run pauses here until the first of these runs has ended.

    Args:
        members: The agents.
        timeout: Seconds that an agent has for one answer, unless it brings its own.

    Returns:
        A node that writes `subtasks`, `execution_results`, `waiting` and `costs`.

    Raises:
        InvalidInput: `timeout` is no number of seconds above 0.
    """
    check_seconds("timeout", timeout)

    async def work_on(state: Any) -> CouncilState:
        shift = _Shift(state, crew_of(members), timeout, teller("council"))
        helps = await shift.asked(shift.helps())
        works = await shift.asked(shift.works(helps))
        waits = [*helps.waits, *works.waits]
        if waits and not helps.replies and not works.replies and all(errand.again for errand, _ in waits):
            raise one_wait(wait for _, wait in waits)  # nothing has changed, and nothing else can be done
        subtasks, results = dict(state["subtasks"]), dict(state.get("execution_results") or {})
        for errand, reply in works.replies:
            name, given = errand.subtask, state["agent_assignments"][errand.subtask]
            results[name] = _result(given, reply, results.get(name))
            failed = reply["error"] is not None
            who = [*subtasks[name]["failed_by"], given["agent"]] if failed else subtasks[name]["failed_by"]
            subtasks[name] = {**subtasks[name], "status": results[name]["status"], "failed_by": who}
        waiting = shift.waiting(helps, works)
        subtasks |= {name: {**subtasks[name], "status": "waiting"} for name in waiting}
        update: CouncilState = {
            "subtasks": subtasks,
            "execution_results": results,
            "costs": {"work": cost_of([reply for _, reply in helps.replies], [reply for _, reply in works.replies])},
        }
        if waiting or state.get("waiting"):
            update["waiting"] = waiting
        return update

    return work_on


@dataclass(frozen=True, slots=True)
class _Errand:
    """An agent that is asked about a subtask; `again` when it was asked before, and its run had not ended."""

    subtask: str
    agent: str
    request: Request
    scope: str | None
    again: bool = False


@dataclass(frozen=True, slots=True)
class _Asked:
    """What came of errands: who has answered, and who waits."""

    replies: list[tuple[_Errand, Reply]]
    waits: list[tuple[_Errand, GraphInterrupt]]


class _Shift:
    """One run of the node: who is asked what."""

    def __init__(self, state: Any, crew: dict[str, Member], seconds: float, tell: Tell) -> None:
        self._state = state
        self._crew = crew
        self._seconds = seconds
        self._tell = tell
        # of this task alone, so that a subtask which is assigned anew finds no run of an earlier time
        self._scope = scope_here("council") if remembers_effects() else None
        self._before: dict[str, Waiting] = state.get("waiting") or {}
        self._todo = sorted(
            name for name, each in state["subtasks"].items() if each["status"] in ("assigned", "waiting")
        )

    def helps(self) -> Iterator[_Errand]:
        """Yield the errands of helpers."""
        for name in self._todo:
            yield from self._again(name, "help")
            if name not in self._before:
                for helper in self._state["agent_assignments"][name]["helpers"]:
                    yield _Errand(name, helper, self._request(name, helper, "help"), self._scope)

    def works(self, helps: _Asked) -> Iterator[_Errand]:
        """Yield the errands of those whose helpers have all answered."""
        stuck = {errand.subtask for errand, _ in helps.waits}
        for name in self._todo:
            again = list(self._again(name, "work"))
            yield from again
            if not again and name not in stuck:
                yield self._work(name, self._helped(name, helps))

    async def asked(self, errands: Iterable[_Errand]) -> _Asked:
        """Do errands, all at the same time."""
        todo = list(errands)
        found = _Asked([], [])
        for errand, each in zip(todo, await settled(*map(self._ask, todo)), strict=True):
            if not isinstance(each, GraphInterrupt):
                found.replies.append((errand, each))
                continue
            found.waits.append((errand, each))
            if not errand.again:
                self._tell("waiting", agent=errand.agent, subtask=errand.subtask)
        return found

    def waiting(self, helps: _Asked, works: _Asked) -> dict[str, Waiting]:
        """Return what waits now, by subtask."""
        found: dict[str, Waiting] = {}
        for errand, _ in [*helps.waits, *works.waits]:
            name, helping = errand.subtask, errand.request["kind"] == "help"
            begun: Waiting = {
                "scope": str(errand.scope),
                "requests": {},
                "helped": self._helped(name, helps) if helping else [],
            }
            found.setdefault(name, begun)["requests"][errand.agent] = errand.request
        return found

    async def _ask(self, errand: _Errand) -> Reply:
        name, helping = errand.subtask, errand.request["kind"] == "help"
        one, given = seated(self._crew, errand.agent), self._state["agent_assignments"][name]
        number = f"{name} {given['attempt']}"
        if errand.again:
            reply = await ask_run(one, errand.request, number=number, scope=errand.scope)
        else:
            if helping:
                self._tell("helping", agent=one.name, subtask=name, asked_by=given["agent"])
            else:
                self._tell("working", agent=one.name, subtask=name, attempt=given["attempt"])
            reply = await ask(one, errand.request, number=number, seconds=self._seconds, scope=errand.scope)
        if not helping:
            self._tell("worked", agent=one.name, subtask=name, error=reply["error"], seconds=reply["seconds"])
        return reply

    def _again(self, name: str, kind: Kind) -> Iterator[_Errand]:
        if before := self._before.get(name):
            for agent, request in before["requests"].items():
                if request["kind"] == kind:
                    yield _Errand(name, agent, request, before["scope"], again=True)

    def _helped(self, name: str, helps: _Asked) -> list[Reply]:
        before = self._before[name]["helped"] if name in self._before else []
        return [*before, *(reply for errand, reply in helps.replies if errand.subtask == name)]

    def _work(self, name: str, helped: list[Reply]) -> _Errand:
        agent = self._state["agent_assignments"][name]["agent"]
        request = self._request(name, agent, "work")
        if self._state.get("options"):
            request["options"] = list(self._state["options"])
        if helped:
            request["help"] = {
                reply["agent"]: {"output": reply["output"]} if reply["error"] is None else {"error": reply["error"]}
                for reply in sorted(helped, key=lambda reply: reply["agent"])
            }
        return _Errand(name, agent, request, self._scope)

    def _request(self, name: str, agent: str, kind: Kind) -> Request:
        request = request_for(seated(self._crew, agent), kind, self._state)
        request["subtask"] = {**self._state["subtasks"][name], "status": "assigned"}
        return request


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
