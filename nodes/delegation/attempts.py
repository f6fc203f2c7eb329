"""One attempt at a subtask: by an agent, or by a run of its own: of another workflow, or of the plan that it consists of."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, Literal

import orjson
from anyio import CapacityLimiter
from typing_extensions import TypedDict

from ...errors import AdjournError, BudgetExceeded, ChildFailed, LeaseLost, StorageUnavailable
from ...state.delegation import DelegationState, SubtaskState
from ...state.values import digest, json_problem, storable_text
from ..effects import once
from ..step import Clock
from .agents import Brief, NeedsPerson, Team, is_permanent, needs_agent
from .answers import answers_for, question_text
from .separate import brought_on, results_for

__all__ = ["MAX_OUTPUT_BYTES", "Attempt", "Attempts"]

MAX_OUTPUT_BYTES: Final = 1_000_000
"""The largest result of a subtask, in bytes of JSON."""
_MOST_WORDS: Final = 2000
# the run's own trouble, and no failure of the agent: the node ends, and the subtask is done again when it goes on
_GIVES_WAY: Final = (BudgetExceeded, LeaseLost, StorageUnavailable)


class Attempt(TypedDict):
    """How one attempt went, as it is recorded.

    Args:
        ended: How; `waits` for a run of its own that has not ended, `cancelled` for one that was.
        agent: Who made it.
        input_data: What the agent was given.
        output: What came out, when it completed.
        error: What went wrong, or why a person is needed.
        permanent: Whether trying the same again is useless.
        start_time: When it began (ISO 8601, UTC).
        end_time: When it ended.
    """

    ended: Literal["completed", "failed", "requires_human", "waits", "cancelled"]
    agent: str
    input_data: dict[str, Any]
    output: Any
    error: str | None
    permanent: bool
    start_time: str
    end_time: str


class Attempts:
    """Makes the attempts of one run of a node.

    Args:
        state: The run's state.
        team: The agents.
        capacity: How many plain functions may be called at once.
        most_bytes: The largest result, in bytes of JSON.
        clock: The time.
    """

    def __init__(self, state: DelegationState, team: Team, capacity: int, most_bytes: int, clock: Clock) -> None:
        self._state = state
        self._team = team
        self._limiter = CapacityLimiter(capacity)
        self._most_bytes = most_bytes
        self._clock = clock

    async def make(self, subtask: SubtaskState, subtasks: Mapping[str, SubtaskState]) -> Attempt:
        """Make an attempt, or find its record.

        An agent's attempt is recorded by the subtask's id and the number of the attempt when it has ended, whatever the
        order in which they end. One that a process died in is made again, with the same idempotency key.

        Args:
            subtask: The subtask; `attempts` says which attempt it is.
            subtasks: All subtasks as they stand.

        Raises:
            BudgetExceeded: The run may ask no model any more.
            LeaseLost, StorageUnavailable: As `once`. What else the agent raises is how its attempt ended.
        """
        results = results_for(self._state, subtasks, subtask["task_id"])
        if not needs_agent(subtask):
            return await self._kept(subtask, await self._separate(subtask, results))

        async def attempt(asked: str, *, idempotency_key: str = "") -> Attempt:
            return await self._by_agent(subtask, results, idempotency_key)

        asked: dict[str, Any] = {
            "type": subtask["task_type"],
            "is": subtask["description"],
            "input": subtask["input_data"],
        }
        found: Attempt = await once(
            "subtask",
            attempt,
            digest(asked),
            key=_key(subtask),
            on_uncertain="retry",
            # what can be undone must be found where it has begun and the run is cancelled; for the rest the end is enough
            record_start=subtask["compensation"] is not None,
        )
        return found

    async def _kept(self, subtask: SubtaskState, made: Attempt) -> Attempt:
        """Record an attempt that is known elsewhere as well, where a cancelled run must find what to undo."""
        if made["ended"] != "completed" or subtask["compensation"] is None:
            return made

        async def known() -> Attempt:
            return made

        found: Attempt = await once("subtask", known, key=_key(subtask), on_uncertain="retry")
        return found

    async def _by_agent(self, subtask: SubtaskState, results: dict[str, Any], idempotency_key: str) -> Attempt:
        made = self._begun(subtask, str(subtask["assigned_agent"]))
        brief = Brief(
            main_task=self._state.get("main_task", ""),
            task_id=subtask["task_id"],
            task_type=subtask["task_type"],
            description=subtask["description"],
            input_data=subtask["input_data"],
            results=results,
            global_context=self._state.get("global_context", {}),
            attempt=subtask["attempts"],
            idempotency_key=idempotency_key,
            answers=answers_for(subtask, self._state.get("human_interactions", [])),
        )
        try:
            async with asyncio.timeout(subtask["timeout_seconds"]):
                output = await self._team.do(made["agent"], brief, self._limiter)
        except NeedsPerson as question:
            return self._ended(made, "requires_human", error=question_text(str(question)))
        except _GIVES_WAY:
            raise
        except TimeoutError as problem:
            return self._ended(made, "failed", error=_words(str(problem)) or _late(subtask))
        except Exception as problem:  # noqa: BLE001  (an agent is the user's, and so are its errors)
            return self._failed(made, problem)
        return self._with_output(made, output)

    async def _separate(self, subtask: SubtaskState, results: dict[str, Any]) -> Attempt:
        """Bring the run of a subtask on. How it ended is kept with that run, so it needs no record of ours."""
        made = self._begun(subtask, subtask["workflow"] or "")
        made["start_time"] = subtask["start_time"] or made["start_time"]
        try:
            found = await brought_on(self._state, subtask, results)
        except _GIVES_WAY:
            raise
        except (AdjournError, LookupError, TypeError) as problem:
            return self._failed(made, problem)
        if found is None:
            return self._ended(made, "waits")
        if not isinstance(found, ChildFailed):
            return self._with_output(made, found)
        failed = self._failed(made, found)
        return {**failed, "ended": "cancelled"} if found.status == "cancelled" else failed

    def _begun(self, subtask: SubtaskState, agent: str) -> Attempt:
        now = self._clock().isoformat()
        return {
            "ended": "completed",
            "agent": agent,
            "input_data": subtask["input_data"],
            "output": None,
            "error": None,
            "permanent": False,
            "start_time": now,
            "end_time": now,
        }

    def _with_output(self, made: Attempt, output: Any) -> Attempt:
        """Refuse a result that cannot be kept: the same would come out again."""
        if problem := json_problem(output, "its result"):
            return self._ended(made, "failed", error=f"{problem}; an agent returns JSON-safe values", permanent=True)
        size = len(orjson.dumps(output))
        if size > self._most_bytes:
            error = (
                f"its result has {size:,} bytes of JSON, more than {self._most_bytes:,}; store large content elsewhere "
                "and return its address"
            )
            return self._ended(made, "failed", error=error, permanent=True)
        return self._ended(made, "completed", output=output)

    def _failed(self, made: Attempt, problem: BaseException) -> Attempt:
        said = str(problem) if isinstance(problem, ChildFailed) else f"{type(problem).__name__}: {problem}"
        return self._ended(made, "failed", error=_words(said), permanent=is_permanent(problem))

    def _ended(self, made: Attempt, ended: str, **more: Any) -> Attempt:
        changed: Any = {**made, "ended": ended, "end_time": self._clock().isoformat(), **more}
        found: Attempt = changed
        return found


def _key(subtask: SubtaskState) -> str:
    return f"{subtask['task_id']}#{subtask['attempts']}"


def _words(text: str) -> str:
    return storable_text(text)[:_MOST_WORDS]


def _late(subtask: SubtaskState) -> str:
    limit = subtask["timeout_seconds"]
    return "TimeoutError" if limit is None else f"there was no result after {limit:g} seconds"
