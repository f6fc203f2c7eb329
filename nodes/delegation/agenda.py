"""The scheduler: which subtasks start now. Pure: no clock, no event loop, no database.

A subtask is ready as soon as its own dependencies are complete. Of those that are ready the one with the longest path to
the end starts first (list scheduling by level, Hu 1961), as far as there is capacity. So with enough capacity all of it
takes as long as the critical path, and with less never longer than Graham's bound.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable

from .network import Network

__all__ = ["Agenda", "simulated"]


class Agenda:
    """What is ready, kept up to date: each change costs the logarithm of the plan instead of all of it.

    Args:
        network: The subtasks.
        done: The ids that are complete already.
        closed: The ids that must not start: skipped, failed, or waiting for a person.
        capacity: How many may run at once.
        lane: Says which subtasks the same agents could do: when nobody has time for the first of a lane, the rest of it
            is not asked for.
    """

    def __init__(
        self,
        network: Network,
        done: Iterable[str],
        closed: Iterable[str],
        capacity: int,
        lane: Callable[[str], Hashable] = lambda _: None,
    ) -> None:
        self._network = network
        self._place = {each: number for number, each in enumerate(network.order)}
        self._capacity = capacity
        self._lane = lane
        self._running: set[str] = set()
        self._ready: dict[Hashable, list[tuple[float, int, str]]] = {}
        finished = set(done)
        self._closed = set(closed)
        self._left = {
            each: sum(other not in finished for other in before) for each, before in network.dependencies.items()
        }
        for each in network.order:
            if not self._left[each] and each not in finished and each not in self._closed:
                self.again(each)

    @property
    def has_ready(self) -> bool:
        """Whether anything could start if somebody had time for it."""
        return any(self._ready.values())

    def start(self, take: Callable[[str], bool] = lambda _: True) -> list[str]:
        """Take what is to be started now, first things first; from now on it runs.

        Args:
            take: Finds somebody for a subtask; one that nobody has time for stays ready and holds nothing else back.
        """
        chosen: list[str] = []
        open_lanes = {lane for lane, ready in self._ready.items() if ready}
        while open_lanes and len(self._running) < self._capacity:
            lane = min(open_lanes, key=lambda each: self._ready[each][0])
            first = self._ready[lane][0][2]
            if not take(first):
                open_lanes.remove(lane)
                continue
            heapq.heappop(self._ready[lane])
            self._running.add(first)
            chosen.append(first)
            if not self._ready[lane]:
                open_lanes.remove(lane)
        return chosen

    def complete(self, task_id: str) -> None:
        """Say that a running subtask is complete; what waited for it alone is ready."""
        self._running.remove(task_id)
        for after in self._network.dependants[task_id]:
            self._left[after] -= 1
            if not self._left[after] and after not in self._closed:
                self.again(after)

    def close(self, task_id: str) -> None:
        """Say that a running subtask has ended and is not complete; what waits for it stays waiting."""
        self._running.remove(task_id)

    def again(self, task_id: str) -> None:
        """Say that a subtask that does not run may start."""
        entry = (-self._network.to_end[task_id], self._place[task_id], task_id)
        heapq.heappush(self._ready.setdefault(self._lane(task_id), []), entry)


def simulated(network: Network, capacity: int) -> tuple[float, dict[str, tuple[float, float]]]:
    """Carry a plan out on paper, each subtask in its expected time.

    Args:
        network: The subtasks.
        capacity: How many may run at once.

    Returns:
        How long all of it takes, and when each subtask begins and ends.
    """
    agenda = Agenda(network, (), (), capacity)
    now = 0.0
    ends: list[tuple[float, str]] = []
    times: dict[str, tuple[float, float]] = {}
    while True:
        for each in agenda.start():
            times[each] = (now, now + network.seconds[each])
            heapq.heappush(ends, (times[each][1], each))
        if not ends:
            return now, times
        now = ends[0][0]
        while ends and ends[0][0] == now:
            agenda.complete(heapq.heappop(ends)[1])
