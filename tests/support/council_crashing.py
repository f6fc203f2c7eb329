"""A council whose agents write down each call, and in which the process can be stopped in every phase.

The last agent (c) stops where it is asked to, and only when the answers of the others have been recorded.
"""

import asyncio
import os
from pathlib import Path
from typing import Any

from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

from adjourn.engine.effects import EffectLedger
from adjourn.graphs.council import build
from adjourn.nodes.council import Procedure, member
from adjourn.state.assignments import Subtask
from support.crashing import LEDGER, Moments, ledger, note

PHASES = ["plan", "work", "argue", "draft", "vote 1", "vote 2", "synthesis"]
OPTIONS = ["yes", "no", "later"]
# what each agent votes in the first and in the second round
VOTES = {"a": ["yes", "yes"], "b": ["no", "yes"], "c": ["later", "yes"]}


def phase_of(request: Any) -> str:
    return f"vote {request['round']}" if request["kind"] == "vote" else str(request["kind"])


def crashing_council(at: Moments) -> Any:
    def agent(name: str) -> Any:
        async def act(request: Any) -> Any:
            phase = phase_of(request)
            note(f"{phase}: {name}")
            if name == "c" and at.wanted == phase:
                # each contradicts two others, and argues about both
                times = 2 if phase == "argue" else 1
                await until(lambda: all(done().count(f"recorded {phase}: {each}") == times for each in "ab"))
                at(phase)
            if request["kind"] == "vote":
                return {"decision": VOTES[name][request["round"] - 1]}
            return {"keeps": True} if request["kind"] == "argue" else {"cause": name, "answer": f"{name} found it"}

        return member(name, act, capabilities=[name])

    def plan(task: str, **_: Any) -> Any:
        note("plan: planner")
        if at.wanted == "plan":
            at("plan")
        return [Subtask(id=name, capabilities=(name,)) for name in "abc"], "as told"

    def write(task: str, *, claims: Any, **_: Any) -> Any:
        note("synthesis: writer")
        if at.wanted == "synthesis":
            at("synthesis")
        return {"answer": "all", "claims": claims}

    return build([agent(name) for name in "abc"], planner=plan, writer=write, procedure=Procedure(rule="unanimous"))


class Errand(TypedDict, total=False):
    request: dict[str, Any]
    answer: Any


def waiting_council(at: Moments) -> dict[str, Any]:
    """A council in which one asks a person about `law`, while the other does `early` and `late`; `end` depends on both."""

    def prepare(state: Errand) -> Errand:
        note("prepare: law")
        return {}

    def ask(state: Errand) -> Errand:
        note("asking: law")
        return {"answer": interrupt("Is it lawful?")}

    async def act(request: Any) -> Any:
        name = request["subtask"]["id"]
        note(f"work: {name}")
        if at.wanted == name:
            await until(lambda: "asking: law" in done())  # so that the run of the other one is there
            at(name)
        return f"{name} is done"

    errand = StateGraph(Errand).add_sequence([("prepare", prepare), ("ask", ask)]).add_edge(START, "prepare")
    lawyer = errand.compile(name="lawyer")
    members = [member("ada", lawyer, may_pause=True, capabilities=["law"]), member("bo", act, capabilities=["reading"])]

    def plan(task: str, **_: Any) -> Any:
        subtasks = [
            Subtask(id="law", capabilities=("law",)),
            Subtask(id="early", capabilities=("reading",)),
            Subtask(id="late", capabilities=("reading",), dependencies=("early",)),
            Subtask(id="end", capabilities=("reading",), dependencies=("law", "late")),
        ]
        return subtasks, "as told"

    def write(task: str, *, claims: Any, **_: Any) -> Any:
        return {"answer": "all", "claims": claims}

    return {"council": build(members, planner=plan, writer=write), "lawyer": lawyer}


def done() -> list[str]:
    return ledger(Path(os.environ[LEDGER]))


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def remember_what_is_recorded() -> None:
    """Write down when an answer was recorded; so that a kill comes behind it."""
    end = EffectLedger.end

    async def told(self: Any, effect: Any, **how: Any) -> None:
        await end(self, effect, **how)
        agent, _, number = effect.key.partition(" ")
        note(
            f"recorded {effect.name} {number}: {agent}" if effect.name == "vote" else f"recorded {effect.name}: {agent}"
        )

    EffectLedger.end = told  # type: ignore[method-assign]
