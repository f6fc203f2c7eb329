"""The node that undoes what was done when the whole has failed (the pattern Saga, Garcia-Molina and Salem 1987).

Completed subtasks that declare a compensation are undone in reverse dependency order: a subtask before those that it
depends on, directly or through others. Each undoing that has ended is recorded by the subtask's id (`once`). What the child
runs of a subtask did is undone in its place, by child runs again; see `undoing`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from anyio import CapacityLimiter
from langgraph.runtime import Runtime
from langgraph.types import Send
from typing_extensions import TypedDict

from ...errors import ConfigurationError, EffectUncertain, InvalidPlan, LeaseLost, StorageUnavailable
from ...state.delegation import CompensationState, DelegationState, SubtaskState
from ...state.values import JsonValue, storable_text
from ..calling import called
from ..effects import once
from ..step import Clock, utcnow
from .agenda import Agenda
from .loop import Next, work_off
from .network import network_of, reversed_dependencies
from .telling import Teller, inside_of
from .undoing import Undone, runs_to_undo, undone

__all__ = ["Compensate", "Compensations", "Undo", "after_compensation", "compensation", "fresh"]


@dataclass(frozen=True, slots=True)
class Undo:
    """What a compensation is given.

    Args:
        main_task: What all of it was for.
        task_id: The subtask that is to be undone.
        input_data: What its agent was given.
        output_data: What came out.
        global_context: What every agent was given.
        idempotency_key: The same each time this undoing is tried, also by other processes.
    """

    main_task: str
    task_id: str
    input_data: dict[str, Any]
    output_data: Any
    global_context: dict[str, Any]
    idempotency_key: str


Compensate: TypeAlias = "Callable[[Undo], JsonValue | Awaitable[JsonValue]]"
"""A function that undoes a subtask, plain (it runs in a thread) or async. What it returns is not kept."""


class Compensations:
    """The compensations of a workflow, by the names that plans use.

    Args:
        functions: Name → function.

    Raises:
        ConfigurationError: One cannot be called.
    """

    def __init__(self, functions: Mapping[str, Compensate] | None = None) -> None:
        self._functions = dict(functions or {})
        for name, function in self._functions.items():
            if not callable(function):
                raise ConfigurationError(f"The compensation {name!r} is a {type(function).__name__}, not a function.")

    def check(self, subtasks: Mapping[str, SubtaskState]) -> None:
        """Refuse subtasks that name a compensation which is not there.

        Raises:
            InvalidPlan: The message names the subtasks, and the compensations that there are.
        """
        wrong = [
            f"{each['task_id']!r} names {each['compensation']!r}"
            for each in subtasks.values()
            if each["compensation"] is not None and each["compensation"] not in self._functions
        ]
        if wrong:
            known = ", ".join(sorted(self._functions)) or "there are none"
            raise InvalidPlan(f"There is no such compensation: {', '.join(wrong[:10])}. Known: {known}.")

    async def undo(self, name: str, undo: Undo, limiter: CapacityLimiter) -> None:
        """Call a compensation.

        Args:
            name: Which.
            undo: What it is given.
            limiter: Bounds the threads of plain functions.
        """
        await called(self._functions[name], undo, limiter=limiter)


class _Tried(TypedDict):
    """How one attempt at undoing went, as it is recorded."""

    error: str | None
    end_time: str


@dataclass(frozen=True, slots=True)
class _Went:
    """How far undoing one subtask came.

    Args:
        tried: How its own compensation went; None where there is none, or it is done.
        uncertain: Why nobody knows how that went.
        below: How undoing what its child runs did went; None where it did not come to that.
    """

    tried: _Tried | None = None
    uncertain: str | None = None
    below: Undone | None = None


def compensation(
    compensations: Compensations,
    *,
    capacity: int = 16,
    max_attempts: int = 3,
    backoff_seconds: float = 1.0,
    clock: Clock = utcnow,
) -> Any:
    """Make the node that undoes completed subtasks. It never asks anybody.

    Guarantees: an undoing whose record is committed is never repeated, by any process. One that a process died in is not
    repeated either: nobody knows whether it happened, so a person is asked. One that fails is tried again up to
    `max_attempts` times, then a person is asked; what must be undone after it waits, everything else goes on.

    Args:
        compensations: The functions.
        capacity: How many may be under way at once.
        max_attempts: How often one is tried before a person is asked.
        backoff_seconds: The pause before the second attempt; it doubles with each.
        clock: The time.

    Returns:
        A node that writes `compensations`.
    """

    async def compensate(state: DelegationState, runtime: Runtime[Any]) -> DelegationState:
        below = await runs_to_undo(state)
        work = _Undoing(state, below, compensations, runtime, capacity, max_attempts, backoff_seconds, clock)
        known = await work.run()
        return {
            "compensations": known,
            "undoing_stopped": runtime.drain_requested,
            "current_step": "compensate",
        }

    return compensate


def after_compensation(state: DelegationState) -> Any:
    """Route: on while something can be undone, then to people, then to the end."""
    if state.get("undoing_stopped"):
        return "compensate"
    known = state.get("compensations", {})
    questions = [
        Send(
            "human_review",
            {
                "about": "compensation",
                "subtask": state["subtasks"][each["task_id"]],
                "compensation": each,
                "main_task": state.get("main_task", ""),
            },
        )
        for each in known.values()
        if each["status"] == "requires_human"
    ]
    awaited = [run for each in known.values() if each["status"] == "in_progress" for run in each["waits_for"]]
    if questions:
        return questions  # an answer waits for no run
    return [Send("await_undone", {"runs": awaited})] if awaited else "consolidate"


class _Undoing:
    """One run of the node."""

    def __init__(
        self,
        state: DelegationState,
        below: Mapping[str, Sequence[str]],
        compensations: Compensations,
        runtime: Runtime[Any],
        capacity: int,
        max_attempts: int,
        backoff: float,
        clock: Clock,
    ) -> None:
        self._state = state
        self._below = below
        self._compensations = compensations
        self._runtime = runtime
        self._max_attempts = max_attempts
        self._backoff = backoff
        self._clock = clock
        self._limiter = CapacityLimiter(capacity)
        self._teller = Teller(runtime.stream_writer, inside_of(state))
        self._subtasks = state.get("subtasks", {})
        known = state.get("compensations", {})
        self._known = {
            each: known.get(each) or fresh(each)
            for each, subtask in self._subtasks.items()
            if each in known or each in below or _is_own(subtask)
        }
        backwards = reversed_dependencies(state.get("dependencies", {}))
        # in the order in which the subtasks ended, last first, where dependencies leave a choice
        ended = sorted(backwards, key=lambda each: self._subtasks[each]["end_time"] or "", reverse=True)
        network = network_of({each: backwards[each] for each in ended}, dict.fromkeys(backwards, 1.0))
        waiting = {each for each, entry in self._known.items() if entry["status"] == "requires_human"}
        self._agenda = Agenda(network, (), waiting, capacity)
        self._first = {each: entry["attempts"] for each, entry in self._known.items()}

    async def run(self) -> dict[str, CompensationState]:
        await work_off(self._agenda, self._perform, self._settle, stopping=lambda: self._runtime.drain_requested)
        return self._known

    async def _perform(self, task_id: str) -> _Went | None:
        entry = self._known.get(task_id)
        if entry is None or entry["status"] not in ("pending", "in_progress"):
            return None  # nothing to undo, or undone
        tried = None
        if _is_own(self._subtasks[task_id]) and not entry["own_done"]:
            try:
                tried = await self._own(task_id, entry["attempts"] + 1)
            except EffectUncertain:
                why = "a process died while it was being undone, and nobody knows whether it happened"
                return _Went(uncertain=why)
            if tried["error"] is not None:
                return _Went(tried)
        return _Went(tried, below=await undone(self._below.get(task_id, ())))

    async def _own(self, task_id: str, number: int) -> _Tried:
        async def attempt(task_id: str, *, idempotency_key: str = "") -> _Tried:
            return await self._attempt(task_id, idempotency_key)

        found: _Tried = await once("compensate", attempt, task_id, key=f"{task_id}#{number}", on_uncertain="fail")
        return found

    async def _attempt(self, task_id: str, idempotency_key: str) -> _Tried:
        subtask = self._subtasks[task_id]
        undo = Undo(
            self._state.get("main_task", ""),
            task_id,
            subtask["input_data"],
            subtask["output_data"],
            self._state.get("global_context", {}),
            idempotency_key,
        )
        error = None
        try:
            await self._compensations.undo(str(subtask["compensation"]), undo, self._limiter)
        except (LeaseLost, StorageUnavailable):
            raise
        except Exception as problem:  # noqa: BLE001  (a compensation is the user's, and so are its errors)
            error = storable_text(f"{type(problem).__name__}: {problem}")[:2000]
        return {"error": error, "end_time": self._clock().isoformat()}

    def _settle(self, task_id: str, went: _Went | None) -> Next:
        if went is None:
            return Next("complete")
        entry = self._known[task_id]
        if went.uncertain is not None:
            self._change(entry, status="requires_human", error_message=went.uncertain, attempts=entry["attempts"] + 1)
            return Next("closed")
        if went.tried is not None and went.tried["error"] is not None:
            return self._after_failure(entry, went.tried)
        tried: dict[str, Any] = {"own_done": True, "error_message": None}
        if went.tried is not None:
            tried |= {"attempts": entry["attempts"] + 1, "end_time": went.tried["end_time"]}
        return self._with_below({**entry, **tried}, went.below or Undone("nothing"))  # type: ignore[typeddict-item]

    def _after_failure(self, entry: CompensationState, tried: _Tried) -> Next:
        task_id, attempts = entry["task_id"], entry["attempts"] + 1
        self._change(entry, attempts=attempts, end_time=tried["end_time"], error_message=tried["error"])
        made = attempts - self._first[task_id]
        if made >= self._max_attempts:
            self._change(self._known[task_id], status="requires_human")
            return Next("closed")
        return Next("again", self._backoff * 2 ** (made - 1))

    def _with_below(self, entry: CompensationState, below: Undone) -> Next:
        """Note what became of what the child runs of a subtask did; its own compensation is done."""
        if below.status == "waits":
            self._change(entry, status="in_progress", waits_for=list(below.waits_for))
            return Next("closed")
        if below.status == "busy":
            self._change(entry, status="requires_human", error_message=below.error)
            return Next("closed")
        if below.status == "nothing" and not _is_own(self._subtasks[entry["task_id"]]):
            del self._known[entry["task_id"]]  # there was nothing to undo
            return Next("complete")
        end_time = entry["end_time"] if below.status == "nothing" else self._clock().isoformat()
        status = "given_up" if below.status == "left" else "completed"
        self._change(entry, status=status, error_message=below.error, end_time=end_time, waits_for=[])
        return Next("complete")

    def _change(self, entry: CompensationState, **changes: Any) -> None:
        changed: Any = {**entry, **changes}
        self._known[entry["task_id"]] = changed
        self._teller.compensation(changed)


def fresh(task_id: str) -> CompensationState:
    """Return an undoing that has not begun."""
    return {
        "task_id": task_id,
        "status": "pending",
        "error_message": None,
        "attempts": 0,
        "end_time": None,
        "own_done": False,
        "waits_for": [],
    }


def _is_own(subtask: SubtaskState) -> bool:
    """Whether a subtask is undone by a compensation of its own; what its child runs did is another matter."""
    return subtask["compensation"] is not None and subtask["status"] == "completed"
