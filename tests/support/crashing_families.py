"""A family of three runs, top → middle → bottom, that reports the moments at which the crash tests kill its process.

The bottom does something to the world outside and asks a person; each parent does something with what it got. The moments
are named after what happened and whose it was, such as `accepted bottom` or `ended middle`.
"""

import asyncio
from typing import Any

from langgraph.graph import StateGraph

from adjourn import AsyncEngine
from adjourn.nodes.children import child
from adjourn.nodes.effects import once
from support.crashing import Moments, note
from support.families import Runs, working
from support.workflows import Trail, ask, chain

LEVELS = ("top", "middle", "bottom")
BEFORE_THE_ANSWER = (
    "accepted middle", "accepting bottom", "accepted bottom", "inside bottom", "paused bottom", "waits middle",
    "paused middle", "waits top", "paused top",
)  # fmt: skip
AFTER_THE_ANSWER = (
    "answered bottom", "ending bottom", "ended bottom", "woken middle", "back middle", "ending middle", "ended middle",
    "woken top", "back top", "ending top",
)  # fmt: skip
EFFECTS = ["bottom", "middle", "top"]


def family(at: Moments, pause: float = 0.0) -> dict[str, StateGraph[Any]]:
    """The three workflows.

    Args:
        at: Where to stop.
        pause: Seconds that each effect's node takes.
    """

    async def act(level: str, name: str) -> str:
        note(f"effect of {level} {name}")
        return level

    async def first(state: Trail) -> Trail:
        at("inside bottom")
        if state["name"] == "fails":
            raise ValueError("the service is down")
        await asyncio.sleep(pause)
        await once("act", act, "bottom", state["name"], on_uncertain="retry")
        return {"trail": ["first"]}

    def parent(level: str, below: str) -> StateGraph[Runs]:
        async def work(state: Runs) -> Runs:
            result = await child("it", below, {"name": state["name"]})
            at(f"back {level}")
            await asyncio.sleep(pause)
            await once("act", act, level, state["name"], on_uncertain="retry")
            return {"got": [result.get("trail", result.get("got"))]}

        def last(state: Runs) -> Runs:
            at(f"ending {level}")
            return {"got": ["last"]}

        return working(work, last)

    def ending(state: Trail) -> Trail:
        at("ending bottom")
        return {"trail": ["ending"]}

    return {
        "top": parent("top", "middle"),
        "middle": parent("middle", "bottom"),
        "bottom": chain(("first", first), ("ask", ask), ("ending", ending)),
    }


def stop_at(engine: AsyncEngine, at: Moments) -> None:
    """Have an engine report what it does for whom; its database holds no other runs."""
    levels: dict[str, str] = {}

    async def level_of(thread_id: str) -> str:
        if thread_id not in levels:
            levels[thread_id] = (await engine.get(thread_id)).workflow
        return levels[thread_id]

    _stop_at_starts(engine, at)
    _stop_at_ends(engine, at, level_of)
    wake = engine._children.wake

    async def waking(thread_id: str, tenant: str, **options: Any) -> Any:
        row = await wake(thread_id, tenant, **options)
        if row is not None:
            at(f"woken {await level_of(thread_id)}")
        return row

    engine._children.wake = waking  # type: ignore[method-assign]


def _stop_at_starts(engine: AsyncEngine, at: Moments) -> None:
    insert, accept, carry_out = engine._runs.accept, engine._children.accept, engine._carry_out

    async def inserting(run: Any, connection: Any = None) -> Any:
        row = await insert(run, connection)
        if connection is not None:
            await connection.execute("select")  # the row is there, its link is not, and nothing is committed
            at(f"accepting {run.workflow}")
        return row

    async def accepting(link: Any, run: Any, **options: Any) -> Any:
        row = await accept(link, run, **options)
        at(f"accepted {run.workflow}")
        return row

    async def carrying_out(what: Any, claimed: Any) -> Any:
        at(f"answered {claimed.row['workflow']}")
        return await carry_out(what, claimed)

    engine._runs.accept = inserting  # type: ignore[method-assign]
    engine._children.accept = accepting  # type: ignore[method-assign]
    engine._carry_out = carrying_out  # type: ignore[method-assign]


def _stop_at_ends(engine: AsyncEngine, at: Moments, level_of: Any) -> None:
    settle, complete = engine._runs.settle_run, engine._driver._settling._record_completion

    async def settling(thread_id: str, token: int, outcome: Any) -> Any:
        level = await level_of(thread_id)
        if outcome.status == "paused":
            at(f"waits {level}")
        settled = await settle(thread_id, token, outcome)
        at(f"{'paused' if outcome.status == 'paused' else 'ended'} {level}")
        return settled

    async def completing(work: Any, drive: Any, saved: Any) -> Any:
        end = await complete(work, drive, saved)  # the commit of the last checkpoint has recorded it
        at(f"ended {work.row['workflow']}")
        return end

    engine._runs.settle_run = settling  # type: ignore[method-assign]
    engine._driver._settling._record_completion = completing  # type: ignore[method-assign]
