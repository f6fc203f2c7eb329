"""The order of a graph's nodes on paper: loops cut, layers from top to bottom, few crossings within them.

The method is that of Sugiyama, Tagawa and Toda (IEEE Trans. SMC 11(2), 1981): longest-path layering, one stand-in
in each layer that a long edge passes, and repeated sorting by the mean place of the neighbours (barycentre).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Chain", "Layers", "arranged"]

_SWEEPS: Final = 12


@dataclass(frozen=True, slots=True)
class Chain:
    """One edge as it runs down the layers.

    Args:
        source: Where the edge begins.
        target: Where it ends.
        path: The nodes and stand-ins that it passes, from the top down.
        upwards: Whether the edge closes a loop: then it begins at the lower end of the path.
    """

    source: str
    target: str
    path: tuple[str, ...]
    upwards: bool


@dataclass(frozen=True, slots=True)
class Layers:
    """Nodes and stand-ins in rows, from the top down and from left to right, and the edges between them."""

    rows: tuple[tuple[str, ...], ...]
    chains: tuple[Chain, ...]


def arranged(nodes: Sequence[str], edges: Iterable[tuple[str, str]]) -> Layers:
    """Put nodes into layers. The same graph always gives the same result.

    Args:
        nodes: The ids, the natural first one first. None begins with a zero byte: those are the stand-ins.
        edges: Pairs of different nodes, each pair once.
    """
    pairs = list(edges)
    upwards = _loops(nodes, pairs)
    downs = [(target, source) if (source, target) in upwards else (source, target) for source, target in pairs]
    layer = _layers(nodes, downs)
    rows: list[list[str]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for node in nodes:
        rows[layer[node]].append(node)
    chains = []
    for number, ((source, target), (top, bottom)) in enumerate(zip(pairs, downs, strict=True)):
        between = [f"\0{number}.{level}" for level in range(layer[top] + 1, layer[bottom])]
        for level, name in enumerate(between, layer[top] + 1):
            rows[level].append(name)
        chains.append(Chain(source, target, (top, *between, bottom), (source, target) in upwards))
    return Layers(_sorted(rows, chains), tuple(chains))


def _loops(nodes: Sequence[str], edges: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the edges that lead back to a node on the way to them, seen depth first."""
    after = _after(edges)
    done: set[str] = set()
    back: set[tuple[str, str]] = set()
    for root in nodes:
        if root in done:
            continue
        way, on_way = [(root, iter(after[root]))], {root}
        while way:
            node, rest = way[-1]
            follower = next(rest, None)
            if follower is None:
                way.pop()
                on_way.discard(node)
                done.add(node)
            elif follower in on_way:
                back.add((node, follower))
            elif follower not in done:
                way.append((follower, iter(after[follower])))
                on_way.add(follower)
    return back


def _layers(nodes: Sequence[str], edges: list[tuple[str, str]]) -> dict[str, int]:
    """Return how many steps the longest way to each node has."""
    after, open_before = _after(edges), dict.fromkeys(nodes, 0)
    for _, target in edges:
        open_before[target] += 1
    layer = dict.fromkeys(nodes, 0)
    ready = [node for node in nodes if not open_before[node]]
    for node in ready:
        for follower in after[node]:
            layer[follower] = max(layer[follower], layer[node] + 1)
            open_before[follower] -= 1
            if not open_before[follower]:
                ready.append(follower)
    return layer


def _after(edges: Iterable[tuple[str, str]]) -> defaultdict[str, list[str]]:
    after: defaultdict[str, list[str]] = defaultdict(list)
    for source, target in edges:
        after[source].append(target)
    return after


def _sorted(rows: list[list[str]], chains: Sequence[Chain]) -> tuple[tuple[str, ...], ...]:
    steps = [step for chain in chains for step in zip(chain.path, chain.path[1:], strict=False)]
    below, above = _after(steps), _after((bottom, top) for top, bottom in steps)
    best = [list(row) for row in rows]
    fewest = _crossings(best, below)
    for sweep in range(_SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        levels = range(1, len(rows)) if down else range(len(rows) - 2, -1, -1)
        for level in levels:
            place = _places(rows[level - 1 if down else level + 1])
            own = _places(rows[level])
            near = above if down else below
            rows[level].sort(key=lambda name, near=near, place=place, own=own: _mean(near[name], place, own[name]))  # type: ignore[misc]
        if (count := _crossings(rows, below)) < fewest:
            best, fewest = [list(row) for row in rows], count
    return tuple(map(tuple, best))


def _mean(names: list[str], place: Mapping[str, int], otherwise: float) -> float:
    return sum(place[name] for name in names) / len(names) if names else otherwise


def _places(row: Sequence[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(row)}


def _crossings(rows: Sequence[Sequence[str]], below: Mapping[str, list[str]]) -> int:
    count = 0
    for upper, lower in itertools.pairwise(rows):
        place = _places(lower)
        ends = [sorted(place[name] for name in below.get(each, ())) for each in upper]
        flat = [(number, end) for number, group in enumerate(ends) for end in group]
        count += sum(a < c and b > d for a, b in flat for c, d in flat)
    return count
