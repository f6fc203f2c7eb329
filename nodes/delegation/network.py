"""What a plan's dependencies say: order, cycles, critical path, bounds. Pure functions over ids.

The longest path through a project network and its times are Kelley and Walker's critical path method (1959); the bounds are
Graham's ("Bounds on multiprocessing timing anomalies", 1969).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Network", "critical_path", "cycles", "graham_bound", "lower_bound", "network_of", "reversed_dependencies"]

Dependencies = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Network:
    """Subtasks and what they wait for, without cycles.

    Args:
        order: All ids, each behind those that it depends on; otherwise as they were given.
        dependencies: Id → the ids that must be complete before it.
        dependants: Id → the ids that wait for it.
        seconds: Id → how long it takes.
        to_end: Id → the length of the longest path from its beginning to the end of all.
    """

    order: tuple[str, ...]
    dependencies: Mapping[str, tuple[str, ...]]
    dependants: Mapping[str, tuple[str, ...]]
    seconds: Mapping[str, float]
    to_end: Mapping[str, float]

    @property
    def length(self) -> float:
        """The length of the critical path: nothing finishes all of it sooner."""
        return max(self.to_end.values(), default=0.0)

    @property
    def work(self) -> float:
        """The length of all subtasks together."""
        return sum(self.seconds.values())


def network_of(dependencies: Dependencies, seconds: Mapping[str, float]) -> Network:
    """Make the network of a plan.

    Args:
        dependencies: Id → the ids that it depends on; every id is a key.
        seconds: Id → how long it takes.

    Raises:
        ValueError: There is a cycle; find it with `cycles`.
    """
    waits_for = {each: tuple(dict.fromkeys(before)) for each, before in dependencies.items()}
    dependants = reversed_dependencies(waits_for)
    order = _ordered(waits_for, dependants)
    if len(order) < len(waits_for):
        raise ValueError("the subtasks depend on each other in a cycle")
    to_end: dict[str, float] = {}
    for each in reversed(order):
        to_end[each] = seconds[each] + max((to_end[after] for after in dependants[each]), default=0.0)
    return Network(tuple(order), waits_for, dependants, dict(seconds), to_end)


def reversed_dependencies(dependencies: Dependencies) -> dict[str, tuple[str, ...]]:
    """Return, for each id, the ids that depend on it."""
    dependants: dict[str, list[str]] = {each: [] for each in dependencies}
    for each, before in dependencies.items():
        for other in dict.fromkeys(before):
            dependants[other].append(each)
    return {each: tuple(after) for each, after in dependants.items()}


def critical_path(network: Network) -> list[str]:
    """Return a longest path, first to last; of several the one that was planned first."""
    path: list[str] = []
    candidates: Iterable[str] = network.order
    while chosen := max(candidates, key=lambda each: network.to_end[each], default=None):
        path.append(chosen)
        candidates = network.dependants[chosen]
    return path


def lower_bound(network: Network, capacity: int) -> float:
    """Return a time below which nothing finishes: the critical path, or all work shared evenly.

    Args:
        network: The subtasks.
        capacity: How many can run at once.
    """
    return max(network.length, network.work / capacity)


def graham_bound(network: Network, capacity: int) -> float:
    """Return a time within which any list schedule finishes, in whatever order it starts what is ready.

    It is work ÷ m + (1 - 1/m) x critical path, which is at most (2 - 1/m) times the best possible.
    """
    return network.work / capacity + (1 - 1 / capacity) * network.length


def cycles(dependencies: Dependencies) -> list[list[str]]:
    """Return one cycle of each knot of subtasks that wait for each other; each begins with its first id.

    A cycle [a, b] means that a depends on b and b on a.
    """
    found = []
    for knot in _knots(dependencies):
        inside = set(knot)
        if len(knot) > 1 or knot[0] in dependencies[knot[0]]:
            found.append(_cycle(min(knot), dependencies, inside))
    return sorted(found)


def _ordered(waits_for: Mapping[str, Sequence[str]], dependants: Mapping[str, Sequence[str]]) -> list[str]:
    """Kahn's algorithm; what is in a cycle is left out."""
    left = {each: len(before) for each, before in waits_for.items()}
    order = [each for each, count in left.items() if not count]
    for each in order:
        for after in dependants[each]:
            left[after] -= 1
            if not left[after]:
                order.append(after)
    return order


def _knots(dependencies: Dependencies) -> list[list[str]]:
    """Return the strongly connected components (Tarjan 1972), without recursion."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    knots: list[list[str]] = []
    for root in dependencies:
        if root in number:
            continue
        todo = [(root, iter(dependencies[root]))]
        number[root] = lowest[root] = len(number)
        stack.append(root)
        on_stack.add(root)
        while todo:
            each, others = todo[-1]
            for other in others:
                if other not in number:
                    number[other] = lowest[other] = len(number)
                    stack.append(other)
                    on_stack.add(other)
                    todo.append((other, iter(dependencies[other])))
                    break
                if other in on_stack:
                    lowest[each] = min(lowest[each], number[other])
            else:
                todo.pop()
                if todo:
                    lowest[todo[-1][0]] = min(lowest[todo[-1][0]], lowest[each])
                if lowest[each] == number[each]:
                    at = stack.index(each) if stack[-1] != each else len(stack) - 1
                    knots.append(stack[at:])
                    on_stack.difference_update(stack[at:])
                    del stack[at:]
    return knots


def _cycle(start: str, dependencies: Dependencies, inside: set[str]) -> list[str]:
    """Return a shortest way from an id back to itself, breadth first."""
    came_from: dict[str, str] = {}
    queue = [start]
    for each in queue:
        for other in dependencies[each]:
            if other == start:
                way = [each]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                return way[::-1]
            if other in inside and other not in came_from:
                came_from[other] = each
                queue.append(other)
    raise AssertionError(f"{start!r} is in no cycle")  # pragma: no cover - callers pass knots only
