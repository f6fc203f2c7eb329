"""The node that carries a plan out.

Every subtask starts as soon as its own dependencies are complete and an agent has room. Each attempt that has ended is
recorded at once, by the subtask's id (`once`): a process that dies loses what was under way and nothing else, and the
next one finds each finished subtask by its id, whatever the order in which they end. The node never asks anybody.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import orjson
from anyio import CapacityLimiter
from langgraph.runtime import Runtime
from typing_extensions import TypedDict

from ...errors import LeaseLost, StorageUnavailable
from ...state.delegation import DelegationState, SubtaskState
from ...state.values import digest, json_problem, storable_text
from ..effects import once
from ..step import Clock, utcnow
from .agenda import Agenda
from .agents import Brief, Busy, NeedsPerson, Team, is_permanent
from .loop import Next, work_off
from .network import network_of
from .recovery import next_move
from .telling import Teller

__all__ = ["MAX_OUTPUT_BYTES", "execution"]

MAX_OUTPUT_BYTES = 1_000_000
"""The largest result of a subtask, in bytes of JSON."""


class Attempt(TypedDict):
    """How one attempt went, as it is recorded. Exactly one of `output`, `error` and `question` counts, by `ended`."""

    ended: str  # completed, failed or requires_human
    agent: str
    output: Any
    error: str | None
    permanent: bool
    start_time: str
    end_time: str


def execution(
    team: Team,
    *,
    capacity: int = 16,
    backoff_seconds: float = 1.0,
    max_output_bytes: int = MAX_OUTPUT_BYTES,
    clock: Clock = utcnow,
) -> Any:
    """Make a node that carries out what can be carried out.

    When it ends, nothing more can start: all is complete, or what is left waits for something that failed, was skipped or
    needs a person. It also ends when the run is to stop (`runtime.drain_requested`, looked at before each subtask), after
    the subtasks that are under way.

    Guarantees: an attempt whose record is committed is never repeated, by any process. One that a process died in is done
    again, with the same `idempotency_key` in its brief. An agent's failure is a fact of its subtask and not of the node.

    Args:
        team: The agents.
        capacity: How many subtasks may be under way at once.
        backoff_seconds: The pause before the first retry; it doubles with each.
        max_output_bytes: The largest result of a subtask, in bytes of JSON; a larger one fails it.
        clock: The time.

    Returns:
        A node that writes the `subtasks` that changed and `overall_status`.
    """

    async def execute(state: DelegationState, runtime: Runtime[Any]) -> DelegationState:
        work = _Execution(state, team, runtime, capacity, backoff_seconds, max_output_bytes, clock)
        changed = await work.run()
        return {"subtasks": changed, "overall_status": "in_progress", "current_step": "execute"}

    return execute


class _Execution:
    """One run of the node: the subtasks as they change."""

    def __init__(
        self,
        state: DelegationState,
        team: Team,
        runtime: Runtime[Any],
        capacity: int,
        backoff: float,
        most_bytes: int,
        clock: Clock,
    ) -> None:
        self._state = state
        self._team = team
        self._runtime = runtime
        self._backoff = backoff
        self._most_bytes = most_bytes
        self._clock = clock
        self._dependencies = state["dependencies"]
        self._subtasks: dict[str, SubtaskState] = dict(state["subtasks"])
        self._changed: set[str] = set()
        self._failing = False
        self._busy = Busy(team)
        self._limiter = CapacityLimiter(capacity)
        self._teller = Teller(runtime.stream_writer)
        network = network_of(
            self._dependencies, {each: subtask["expected_seconds"] for each, subtask in self._subtasks.items()}
        )
        self._agenda = Agenda(
            network,
            (each for each, subtask in self._subtasks.items() if subtask["status"] == "completed"),
            (each for each, subtask in self._subtasks.items() if subtask["status"] not in ("pending", "in_progress")),
            capacity,
            self._lane,
        )

    async def run(self) -> dict[str, SubtaskState]:
        self._teller.plan(self._subtasks, self._dependencies)
        await work_off(self._agenda, self._perform, self._settle, take=self._take, stopping=self._stopping)
        return {each: self._subtasks[each] for each in self._subtasks if each in self._changed}

    def _stopping(self) -> bool:
        return self._failing or self._runtime.drain_requested

    def _lane(self, task_id: str) -> Any:
        subtask = self._subtasks[task_id]
        if subtask["nested"]:
            return "nested"
        again = subtask["assigned_agent"] if subtask["retry_count"] else None
        return (subtask["agent"], again, tuple(subtask["capabilities"]), tuple(subtask["tried_by"]))

    def _take(self, task_id: str) -> bool:
        subtask = self._subtasks[task_id]
        if subtask["nested"]:
            return True
        agent = self._busy.take(subtask)
        if agent is None:
            return False
        self._change(
            task_id,
            status="in_progress",
            assigned_agent=agent,
            attempts=subtask["attempts"] + 1,
            start_time=self._now(),
        )
        return True

    async def _perform(self, task_id: str) -> Attempt:
        subtask = self._subtasks[task_id]
        if subtask["nested"]:
            return self._gathered(task_id)
        number = subtask["attempts"]
        told = digest(
            {"type": subtask["task_type"], "description": subtask["description"], "input": subtask["input_data"]}
        )

        async def attempt(told: str, *, idempotency_key: str = "") -> Attempt:
            return await self._attempt(subtask, idempotency_key)

        found: Attempt = await once("subtask", attempt, told, key=f"{task_id}#{number}", on_uncertain="retry")
        return found

    async def _attempt(self, subtask: SubtaskState, idempotency_key: str) -> Attempt:
        """Let the agent try; whatever it raises is how the attempt ended."""
        agent, started = str(subtask["assigned_agent"]), self._now()
        ended, output, error, permanent = "completed", None, None, False
        try:
            async with asyncio.timeout(subtask["timeout_seconds"]):
                output = await self._team.do(agent, self._brief(subtask, idempotency_key), self._limiter)
            error = self._unfit(output)
            if error is not None:
                ended, output, permanent = "failed", None, True
        except NeedsPerson as question:
            ended, error = "requires_human", storable_text(str(question))[:2000] or "the agent needs a person"
        except (LeaseLost, StorageUnavailable):
            raise
        except TimeoutError as problem:
            ended, error = (
                "failed",
                storable_text(str(problem))[:2000] or f"no result after {subtask['timeout_seconds']} s",
            )
        except Exception as problem:  # noqa: BLE001  (an agent is the user's, and so are its errors)
            ended, permanent = "failed", is_permanent(problem)
            error = storable_text(f"{type(problem).__name__}: {problem}")[:2000]
        return {
            "ended": ended,
            "agent": agent,
            "output": output,
            "error": error,
            "permanent": permanent,
            "start_time": started,
            "end_time": self._now(),
        }

    def _unfit(self, output: Any) -> str | None:
        """Say why a result cannot be kept."""
        if problem := json_problem(output, "its result"):
            return f"{problem}; an agent returns JSON-safe values"
        size = len(orjson.dumps(output))
        if size > self._most_bytes:
            return (
                f"its result has {size:,} bytes of JSON, more than {self._most_bytes:,}; store large content elsewhere and "
                "return its address"
            )
        return None

    def _brief(self, subtask: SubtaskState, idempotency_key: str) -> Brief:
        return Brief(
            main_task=self._state.get("main_task", ""),
            task_id=subtask["task_id"],
            task_type=subtask["task_type"],
            description=subtask["description"],
            input_data=subtask["input_data"],
            results={each: self._subtasks[each]["output_data"] for each in self._dependencies[subtask["task_id"]]},
            global_context=self._state.get("global_context", {}),
            attempt=subtask["attempts"],
            idempotency_key=idempotency_key,
        )

    def _gathered(self, task_id: str) -> Attempt:
        """Return the result of a nested plan: those of its last parts, by their own ids."""
        parts = self._dependencies[task_id]
        inner = {before for part in parts for before in self._dependencies[part]}
        times = [self._subtasks[part] for part in parts]
        return {
            "ended": "completed",
            "agent": "",
            "output": {
                part.rpartition("/")[2]: self._subtasks[part]["output_data"] for part in parts if part not in inner
            },
            "error": None,
            "permanent": False,
            "start_time": min((part["start_time"] or "" for part in times), default=self._now()),
            "end_time": max((part["end_time"] or "" for part in times), default=self._now()),
        }

    def _settle(self, task_id: str, attempt: Attempt) -> Next:
        """Note how an attempt went; a pure function of its record, so that every process comes to the same."""
        subtask = self._subtasks[task_id]
        if subtask["assigned_agent"] is not None and not subtask["nested"]:
            self._busy.release(subtask["assigned_agent"])
        self._change(
            task_id,
            assigned_agent=attempt["agent"] or None,
            start_time=attempt["start_time"],
            end_time=attempt["end_time"],
            error_message=attempt["error"],
        )
        if attempt["ended"] == "completed":
            self._change(task_id, status="completed", output_data=attempt["output"], next_move=None)
            return Next("complete")
        if attempt["ended"] == "requires_human":
            self._change(task_id, status="requires_human")
            return Next("closed")
        return self._after_failure(task_id, attempt)

    def _after_failure(self, task_id: str, attempt: Attempt) -> Next:
        subtask = self._subtasks[task_id]
        move = next_move(subtask, self._team.others(subtask), permanent=attempt["permanent"], backoff=self._backoff)
        if move.strategy not in ("retry", "reassign"):
            self._change(task_id, status="failed", next_move=move.strategy)
            self._failing |= move.strategy == "fail"
            return Next("closed")
        tried = [*subtask["tried_by"], attempt["agent"]] if move.strategy == "reassign" else subtask["tried_by"]
        self._change(task_id, status="pending", retry_count=subtask["retry_count"] + 1, tried_by=tried)
        # counted from the end of the attempt: a process that finds it in the records does not wait once more
        since = self._clock() - datetime.fromisoformat(attempt["end_time"])
        return Next("again", max(0.0, move.seconds - max(since, timedelta()).total_seconds()))

    def _change(self, task_id: str, **changes: Any) -> None:
        told = {**self._subtasks[task_id], **changes}
        self._subtasks[task_id] = told  # type: ignore[assignment]
        self._changed.add(task_id)
        if "status" in changes:
            self._teller.subtask(self._subtasks[task_id])

    def _now(self) -> str:
        return self._clock().isoformat()
