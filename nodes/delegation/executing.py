"""The node that carries a plan out.

Every subtask starts as soon as its own dependencies are complete and an agent has room. Each attempt that has ended is
recorded at once, by the subtask's id (`once`): a process that dies loses what was under way and nothing else, and the
next one finds each finished subtask by its id, whatever the order in which they end. The node never asks anybody.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from langgraph.runtime import Runtime

from ...state.delegation import DelegationState, SubtaskState
from ..children import cancel_children
from ..step import Clock, utcnow
from .agenda import Agenda
from .agents import Team, needs_agent
from .attempts import MAX_OUTPUT_BYTES, Attempt, Attempts
from .loop import Next, work_off
from .network import network_of
from .recovery import next_move
from .room import Room, Rooms
from .separate import SCOPE, next_run
from .telling import Teller, inside_of

__all__ = ["execution"]

WHY: Final = "its run was cancelled, because the plan failed"


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

    When the plan fails, the child runs that have not ended are cancelled with all below them.

    Args:
        team: The agents.
        capacity: How many subtasks may be under way at once: with agents those of this plan and of the plans nested in it,
            as far as this process drives them; with child runs those of each plan.
        backoff_seconds: The pause before the first retry; it doubles with each.
        max_output_bytes: The largest result of a subtask, in bytes of JSON; a larger one fails it.
        clock: The time.

    Returns:
        A node that writes the `subtasks` that changed and `overall_status`.
    """
    rooms = Rooms(team, capacity)

    async def execute(state: DelegationState, runtime: Runtime[Any]) -> DelegationState:
        with rooms.of(state.get("family")) as room:
            work = _Execution(state, team, room, runtime, capacity, backoff_seconds, max_output_bytes, clock)
            changed = await work.run()
        return {"subtasks": changed, "overall_status": "in_progress", "current_step": "execute"}

    return execute


class _Execution:
    """One run of the node: the subtasks as they change."""

    def __init__(
        self,
        state: DelegationState,
        team: Team,
        room: Room,
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
        self._clock = clock
        self._dependencies = state["dependencies"]
        self._subtasks: dict[str, SubtaskState] = dict(state["subtasks"])
        self._changed: set[str] = set()
        self._failing = False
        self._children_cancelled = False
        self._room = room
        self._in_hand: dict[str, str] = {}
        self._attempts = Attempts(state, team, capacity, most_bytes, clock)
        self._teller = Teller(runtime.stream_writer, inside_of(state))
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
        self._teller.plan(self._state.get("main_task", ""), self._subtasks, self._dependencies)
        try:
            await work_off(
                self._agenda,
                self._perform,
                self._settle,
                take=self._take,
                stopping=self._stopping,
                room=self._room.freed,
                after=self._cancel_children,
            )
        finally:
            for task_id in list(self._in_hand):  # what was stopped before it had begun
                self._release(task_id)
        if self._failing:
            self._give_up_waiting()
        return {each: self._subtasks[each] for each in self._subtasks if each in self._changed}

    def _stopping(self) -> bool:
        return self._failing or self._runtime.drain_requested

    def _lane(self, task_id: str) -> Any:
        subtask = self._subtasks[task_id]
        if not needs_agent(subtask):
            return "nobody"
        again = subtask["assigned_agent"] if subtask["retry_count"] else None
        return (subtask["agent"], again, tuple(subtask["capabilities"]), tuple(subtask["tried_by"]))

    def _take(self, task_id: str) -> bool:
        subtask = self._subtasks[task_id]
        agent, started = subtask["workflow"], self._clock().isoformat()
        if needs_agent(subtask):
            agent = self._room.take(subtask)
            if agent is None:
                return False
            self._in_hand[task_id] = agent
        elif subtask["end_time"] is None:
            started = subtask["start_time"] or started  # its own run is under way, or has ended meanwhile
        number = subtask["attempts"] + 1
        self._change(task_id, status="in_progress", assigned_agent=agent, attempts=number, start_time=started)
        return True

    async def _perform(self, task_id: str) -> Attempt:
        subtask = self._subtasks[task_id]
        try:
            return await self._attempts.make(subtask, self._subtasks)
        finally:
            self._release(task_id)

    def _release(self, task_id: str) -> None:
        agent = self._in_hand.pop(task_id, None)
        if agent is not None:
            self._room.release(agent)

    async def _cancel_children(self) -> None:
        """Cancel the child runs of a plan that fails: those under way and those that wait, before anything is undone."""
        if not self._failing or self._children_cancelled:
            return
        self._children_cancelled = True
        if any(each["start_time"] and not needs_agent(each) for each in self._subtasks.values()):
            await cancel_children(SCOPE, WHY)

    def _give_up_waiting(self) -> None:
        """Note what has become of the subtasks whose child runs waited when they were cancelled."""
        for each in list(self._subtasks.values()):
            if each["status"] == "in_progress" and not needs_agent(each):
                self._change(each["task_id"], status="failed", error_message=WHY, run=next_run(each, cancelled=True))

    def _settle(self, task_id: str, attempt: Attempt) -> Next:
        """Note how an attempt went; a pure function of its record, so that every process comes to the same."""
        subtask = self._subtasks[task_id]
        if attempt["ended"] == "waits":
            self._change(task_id, attempts=subtask["attempts"] - 1)  # it goes on as the same attempt
            return Next("closed")
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
        if not needs_agent(subtask):
            self._change(task_id, run=next_run(subtask, cancelled=attempt["ended"] == "cancelled"))
        if attempt["ended"] == "cancelled" and self._failing:
            self._change(task_id, status="failed", error_message=WHY, next_move=None)
            return Next("closed")
        return self._after_failure(task_id, attempt)

    def _after_failure(self, task_id: str, attempt: Attempt) -> Next:
        subtask = self._subtasks[task_id]
        others = self._team.others(subtask) if needs_agent(subtask) else []
        move = next_move(subtask, others, permanent=attempt["permanent"], backoff=self._backoff)
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
