"""Where the boxes and lines of a graph stand, in columns and rows; terminal, SVG and PNG draw the same layout.

Lines run at right angles. Each has a place of its own on the boxes at its ends and a track of its own between two
layers, so that lines cross but never join: whatever looks like a crossing is one.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len

from .graph_layers import Chain, Layers, arranged

__all__ = ["BOX_ROWS", "Box", "Layout", "Line", "Point", "laid_out"]

Point = tuple[int, int]

BOX_ROWS: Final = 3
_GAP: Final = 3
_SWEEPS: Final = 8
# Long lines should be straight before boxes are centred.
_WEIGHT_OF_LINES: Final = 4.0


@dataclass(frozen=True, slots=True)
class Box:
    """A node: its text, the column and row of its upper left corner, its width. Its borders are part of it."""

    id: str
    label: str
    x: int
    y: int
    width: int


@dataclass(frozen=True, slots=True)
class Line:
    """An edge: the corners from its source to its target, the first and the last on the borders of the boxes."""

    points: tuple[Point, ...]
    conditional: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """A graph on paper, in columns and rows."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    """The part of an edge between two neighbouring layers: which edge, and where its ends are."""

    chain: int
    upper: str
    lower: str


def laid_out(labels: Mapping[str, str], edges: Mapping[tuple[str, str], bool]) -> Layout:
    """Place the nodes and edges of a graph.

    Args:
        labels: The text of each node by id; one line each.
        edges: Pairs of nodes, and whether the edge is conditional. An edge from a node to itself is not drawn.
    """
    layers = arranged(list(labels), [pair for pair in edges if pair[0] != pair[1]])
    steps = [
        _Step(number, upper, lower)
        for number, chain in enumerate(layers.chains)
        for upper, lower in zip(chain.path, chain.path[1:], strict=False)
    ]
    ports = _Ports(layers, steps)
    half = {
        name: max(cell_len(labels[name]) + 3, 2 * ports.most(name) + 1) // 2 + 1 if name in labels else 0
        for row in layers.rows
        for name in row
    }
    centre = _centres(layers, ports, half)
    left = min((centre[name] - half[name] for name in centre), default=0)
    centre = {name: place - left for name, place in centre.items()}
    tops, tracks = _rows(layers, steps, ports, centre)
    boxes = tuple(
        Box(name, labels[name], centre[name] - half[name], tops[level], 2 * half[name] + 1)
        for level, row in enumerate(layers.rows)
        for name in row
        if name in labels
    )
    lines = tuple(
        Line(_points(chain, number, ports, centre, tops, tracks, layers), edges[chain.source, chain.target])
        for number, chain in enumerate(layers.chains)
    )
    right = max((centre[name] + half[name] for name in centre), default=-1)
    return Layout(right + 1, tops[-1] + BOX_ROWS if tops else 0, boxes, lines)


class _Ports:
    """Where on a box each line begins and ends, counted from its middle; lines are sorted by where they lead."""

    def __init__(self, layers: Layers, steps: Sequence[_Step]) -> None:
        place = {name: number for row in layers.rows for number, name in enumerate(row)}
        self.below: defaultdict[str, list[_Step]] = defaultdict(list)
        self.above: defaultdict[str, list[_Step]] = defaultdict(list)
        for step in steps:
            self.below[step.upper].append(step)
            self.above[step.lower].append(step)
        self.out: dict[_Step, int] = {}
        self.into: dict[_Step, int] = {}
        for group in self.below.values():
            group.sort(key=lambda step: place[step.lower])
            self.out |= {step: 2 * number - len(group) + 1 for number, step in enumerate(group)}
        for group in self.above.values():
            group.sort(key=lambda step: place[step.upper])
            self.into |= {step: 2 * number - len(group) + 1 for number, step in enumerate(group)}

    def most(self, name: str) -> int:
        return max(len(self.below[name]), len(self.above[name]))


def _centres(layers: Layers, ports: _Ports, half: Mapping[str, int]) -> dict[str, int]:
    """Return the middle column of everything: near the middle of its neighbours, and never on each other."""
    centre: dict[str, int] = {}
    for row in layers.rows:
        centre |= _spread(row, dict.fromkeys(row, 0.0), half)
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for row in layers.rows if down else reversed(layers.rows):
            wanted = {name: _wanted(name, ports, centre, down=down) for name in row}
            centre |= _spread(row, wanted, half)
    return centre


def _wanted(name: str, ports: _Ports, centre: Mapping[str, int], *, down: bool) -> float:
    if down:
        places = [centre[step.upper] + ports.out[step] - ports.into[step] for step in ports.above[name]]
    else:
        places = [centre[step.lower] + ports.into[step] - ports.out[step] for step in ports.below[name]]
    return sum(places) / len(places) if places else centre[name]


def _spread(row: Sequence[str], wanted: Mapping[str, float], half: Mapping[str, int]) -> dict[str, int]:
    """Return the places nearest to those wanted (least squares) that keep the order and the gaps.

    Without the gaps this is isotonic regression, solved by pooling adjacent violators (Ayer et al. 1955).
    """
    offsets = [0]
    for left, right in itertools.pairwise(row):
        offsets.append(offsets[-1] + half[left] + half[right] + 1 + _GAP)
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for name, offset in zip(row, offsets, strict=True):
        mean, weight, count = wanted[name] - offset, 1.0 if half[name] else _WEIGHT_OF_LINES, 1
        while pools and pools[-1][0] >= mean:
            before, heavy, many = pools.pop()
            mean = (before * heavy + mean * weight) / (heavy + weight)
            weight, count = heavy + weight, count + many
        pools.append((mean, weight, count))
    places = [round(mean) for mean, _, count in pools for _ in range(count)]
    return {name: place + offset for name, place, offset in zip(row, places, offsets, strict=True)}


def _rows(
    layers: Layers, steps: Sequence[_Step], ports: _Ports, centre: Mapping[str, int]
) -> tuple[list[int], dict[_Step, int]]:
    """Return the first row of each layer, and the row of each line's level part below its upper layer."""
    level = {name: number for number, row in enumerate(layers.rows) for name in row}
    tops: list[int] = []
    tracks: dict[_Step, int] = {}
    y = 0
    for number in range(len(layers.rows)):
        tops.append(y)
        spans = {
            step: (centre[step.upper] + ports.out[step], centre[step.lower] + ports.into[step])
            for step in steps
            if level[step.upper] == number
        }
        found = _tracks(spans)
        tracks |= {step: y + BOX_ROWS + 1 + track for step, track in found.items()}
        y += BOX_ROWS + 2 + max(found.values(), default=-1) + 1
    return tops, tracks


def _tracks(spans: Mapping[_Step, tuple[int, int]]) -> dict[_Step, int]:
    """Give each line that moves sideways a row of its own where it would meet another one.

    Where one line goes down in a column in which another comes from above, that other one must turn first.
    """
    bent = {step: span for step, span in spans.items() if span[0] != span[1]}
    starts = {span[0]: step for step, span in bent.items()}
    track: dict[_Step, int] = {}

    def place(step: _Step, waiting: frozenset[_Step]) -> None:
        if step in track:
            return
        first = starts.get(bent[step][1])
        lowest = 0
        if first is not None and first not in waiting:  # in a ring of such lines one has to give way
            place(first, waiting | {step})
            lowest = track[first] + 1
        while any(track[other] == lowest and _overlap(bent[other], bent[step]) for other in track):
            lowest += 1
        track[step] = lowest

    # of two lines to the same side the one ahead turns first, so that the other one passes below it
    for step in sorted(
        bent, key=lambda step: (bent[step][0] * (1 if bent[step][0] > bent[step][1] else -1), step.chain)
    ):
        place(step, frozenset({step}))
    return track


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return min(one) <= max(other) + 1 and min(other) <= max(one) + 1


def _points(
    chain: Chain,
    number: int,
    ports: _Ports,
    centre: Mapping[str, int],
    tops: Sequence[int],
    tracks: Mapping[_Step, int],
    layers: Layers,
) -> tuple[Point, ...]:
    level = next(index for index, row in enumerate(layers.rows) if chain.path[0] in row)
    points: list[Point] = []
    for depth, (upper, lower) in enumerate(zip(chain.path, chain.path[1:], strict=False), level):
        step = _Step(number, upper, lower)
        out, into = centre[upper] + ports.out[step], centre[lower] + ports.into[step]
        points.append((out, tops[depth] + BOX_ROWS - 1))
        if step in tracks:
            points += [(out, tracks[step]), (into, tracks[step])]
        points.append((into, tops[depth + 1]))
    straight = [
        point
        for index, point in enumerate(points)
        if index in (0, len(points) - 1) or not points[index - 1][0] == point[0] == points[index + 1][0]
    ]
    return tuple(reversed(straight)) if chain.upwards else tuple(straight)
