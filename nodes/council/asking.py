"""Asking one agent: with a time-out, cut off from the others, and remembered once it has answered.

An answer is stored under the agent's own name, the kind of the question and its number (`once`), so that a node that
runs again after a crash asks nobody twice. What goes wrong in an agent is an answer too: that it failed, and why.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import threading
import time
from collections.abc import Coroutine, Iterable
from copy import deepcopy
from typing import Any, Final

from langchain_core.messages import BaseMessage
from langgraph.errors import GraphBubbleUp
from pydantic import BaseModel

from ...errors import AdjournError, BudgetExceeded, ChildFailed, LeaseLost, RunFailed, StorageUnavailable
from ...state.council import Reply, Request, Usage
from ...state.values import JsonValue, canonical_json, json_problem, storable_text
from ..branches import gather
from ..calling import is_async
from ..children import ChildCall, children
from ..effects import once, remembers_effects
from .costs import Meter, metering
from .graph_agent import ASKED, given_to, is_named, taken_from
from .members import Act, Member

__all__ = ["MOST_CHARACTERS", "all_of", "ask", "ask_run", "describe_error"]

MOST_CHARACTERS: Final = 1_000_000
"""The longest answer that is kept, in characters of JSON."""

_SHOWN: Final = 300


class _NotKept(Exception):
    """An answer that cannot be kept; the message says why."""


async def ask(member: Member, request: Request, *, number: str, seconds: float, scope: str | None = None) -> Reply:
    """Ask one agent.

    Where an engine drives, the reply is remembered: the same question of the same node is never asked again once it was
    answered, by any process. An agent in whose answer the process died is asked again.

    Args:
        member: Whom.
        request: What; the agent gets a copy.
        number: Tells this request apart from others of its kind to this agent in one node, such as the round.
        seconds: How long it has, unless it brings its own.
        scope: As for `ask_run`.

    Returns:
        What it answered, or why it did not. An agent's failure never raises.

    Raises:
        RunFailed: The agent asked a person inside its own function; only an agent that is a child run may do that.
        GraphInterrupt: An agent that is a child run waits for a person; the run pauses, and the node runs again.
        BudgetExceeded: The run may not spend any more.
        LeaseLost, StorageUnavailable: See `once`.
    """
    limit = member.timeout or seconds

    async def call() -> Reply:
        return await _asked(member, request, limit)

    if member.may_pause:
        return await ask_run(member, request, number=number, scope=scope)
    if not remembers_effects():
        return await call()
    # no arguments to compare: everything that a request is made of is remembered itself
    reply = await once(request["kind"], call, key=f"{member.name} {number}", on_uncertain="retry")
    if reply["error"] == ASKED and is_named(member.workflow):
        # nobody had said that it may ask people; what it did before it asked is done again in the child
        return await ask_run(member, request, number=number, scope=scope)
    return reply


async def all_of(calls: Iterable[Coroutine[Any, Any, Reply]]) -> list[Reply]:
    """Ask several agents at the same time; return their replies in the order of the calls.

    What raises here is never an agent, but the engine or the database, or a pause for an agent that is a child run. All
    the others have answered first, and their answers are recorded.
    """
    return await gather(*calls)


async def ask_run(member: Member, request: Request, *, number: str, scope: str | None = None) -> Reply:
    """Have a child run answer, or find its answer.

    Args:
        member: Whom.
        request: What; with the same number and scope it must be the same each time.
        number: See `ask`.
        scope: Names the child within the whole run, so that another node, or the same one at another time, may wait for
            it, and so that one answer of several is enough for the run to go on. By default it belongs to this task.

    Returns:
        See `ask`.

    Raises:
        GraphInterrupt: It waits; all others have answered. The node pauses, unless a scope is given and it goes on.
    """
    workflow = member.workflow
    name = f"{request['kind']} {member.name} {number}"
    call = ChildCall(workflow, given_to(workflow, request), on_failure="return")
    found = (await children({name: call}, until="all" if scope is None else "one", scope=scope))[name]
    output: JsonValue = None
    error: str | None = None
    if isinstance(found, ChildFailed):
        error = describe_error(found)
    else:
        try:
            output = _kept(taken_from(workflow, found, request))
        except _NotKept as problem:
            error = describe_error(problem)
    usage: Usage = {"model_calls": 0, "input_tokens": 0, "output_tokens": 0}  # its own run knows them
    return {"agent": member.name, "output": output, "error": error, "seconds": 0.0, "usage": usage}


async def _asked(member: Member, request: Request, seconds: float) -> Reply:
    meter, started = Meter(), time.monotonic()
    output: JsonValue = None
    error: str | None = None
    limit = asyncio.timeout(seconds)
    try:
        with metering(meter):
            async with limit:
                output = _kept(await _called(member.act, deepcopy(request)))
    except asyncio.CancelledError as stopped:
        if _is_cancelled():
            raise
        error = describe_error(stopped)
    except (BudgetExceeded, LeaseLost, StorageUnavailable):  # the run's own trouble, and no failure of this agent
        raise
    except GraphBubbleUp as asked:
        raise RunFailed(
            f"The agent {member.name!r} asked a person inside its own function, which would hold up all the others. Make "
            "it a compiled graph and say member(…, may_pause=True): it is a child run then."
        ) from asked
    except (Exception, SystemExit) as problem:  # noqa: BLE001  (whatever an agent raises is its own affair)
        error = f"no answer within {seconds:g} s" if limit.expired() else describe_error(problem)
    return {
        "agent": member.name,
        "output": output,
        "error": error,
        "seconds": round(time.monotonic() - started, 6),
        "usage": meter.usage(),
    }


async def _called(act: Act, request: Request) -> Any:
    if is_async(act):
        return await act(request)
    result = await _in_thread(act, request)
    return await result if inspect.isawaitable(result) else result


async def _in_thread(act: Act, request: Request) -> Any:
    """Call a plain function in a thread of its own: one that hangs takes no place of a pool away from the others."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()
    context = contextvars.copy_context()

    def tell(result: Any, error: BaseException | None) -> None:
        if not done.done():
            done.set_result(result) if error is None else done.set_exception(error)

    def run() -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = context.run(act, request)
        except StopIteration as stop:  # no future takes that one
            error = RuntimeError(f"the agent raised {stop!r}")
        except BaseException as problem:  # noqa: BLE001  (it belongs to whoever waits)
            error = problem
        try:
            loop.call_soon_threadsafe(tell, result, error)
        except RuntimeError:  # the loop is closed: nobody waits any more
            return

    threading.Thread(target=run, name=f"adjourn-agent-{request['agent']}", daemon=True).start()
    return await done


def _is_cancelled() -> bool:
    """Whether this task is being stopped, and not only something that an agent waited for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _kept(raw: Any) -> JsonValue:
    """Return an answer as it can be kept.

    Raises:
        _NotKept: It is not JSON-safe, or too long.
    """
    if isinstance(raw, BaseModel):
        raw = raw.text if isinstance(raw, BaseMessage) else raw.model_dump(mode="json")
    if isinstance(raw, str) and len(raw) > MOST_CHARACTERS:
        raise _NotKept(_too_long(len(raw)))
    if problem := json_problem(raw, "its answer"):
        raise _NotKept(f"it returned something that is not JSON-safe: {problem}")
    written = canonical_json(raw)
    if len(written) > MOST_CHARACTERS:
        raise _NotKept(_too_long(len(written)))
    kept: JsonValue = json.loads(written)  # a copy: the agent may go on changing its own
    return kept


def _too_long(length: int) -> str:
    return f"its answer has {length:,} characters; at most {MOST_CHARACTERS:,} are kept"


def describe_error(error: BaseException) -> str:
    """Return an error in words, one line, not long."""
    text = " ".join(storable_text(str(error)).split())
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    if isinstance(error, AdjournError | _NotKept):  # our own words, which need no name of a class before them
        return shown
    return f"{type(error).__name__}: {shown}" if shown else type(error).__name__
