"""A graph on the terminal: boxes and lines of characters, or a list where there is no room for them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Final

from rich.cells import cell_len

from .graph_layout import BOX_ROWS, Box, Layout, Line, Point

__all__ = ["as_list", "as_text"]

_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_LINES: Final = " │││─┘┐┤─└┌├─┴┬┼"
_ASCII: Final = " |||-+++-+++-+++"
_ARROWS: Final = ("▲^", "▼v")


def as_text(layout: Layout, *, unicode: bool = True) -> str:
    """Return a drawing. Lines that are taken only sometimes are dashed.

    Args:
        layout: The graph, placed.
        unicode: Whether box-drawing characters may be used; otherwise it is plain ASCII.
    """
    drawing = _Drawing(layout.width, layout.height, unicode=unicode)
    for box in layout.boxes:
        drawing.box(box)
    for line in layout.lines:
        drawing.line(line)
    for box in layout.boxes:
        drawing.label(box)
    return drawing.text()


def as_list(labels: Mapping[str, str], edges: Mapping[tuple[str, str], bool], *, unicode: bool = True) -> str:
    """Return each node with those that may follow it, for narrow windows.

    Args:
        labels: The text of each node by id.
        edges: Pairs of nodes, and whether the edge is conditional.
        unicode: Whether an arrow may be drawn with one character.
    """
    arrow = "→" if unicode else "->"
    lines = []
    for name, label in labels.items():
        lines.append(label)
        lines += [
            f"  {arrow} {labels[target]}{' (sometimes)' if conditional else ''}"
            for (source, target), conditional in edges.items()
            if source == name
        ]
    return "\n".join(lines)


class _Drawing:
    """Cells that know in which directions lines leave them; their characters follow from that."""

    def __init__(self, width: int, height: int, *, unicode: bool) -> None:
        self._size = (width, height)
        self._unicode = unicode
        self._ways: dict[Point, int] = {}
        self._dashed: set[Point] = set()
        self._set: dict[Point, str] = {}

    def box(self, box: Box) -> None:
        right, bottom = box.x + box.width - 1, box.y + BOX_ROWS - 1
        corners = ((box.x, box.y), (right, box.y), (right, bottom), (box.x, bottom), (box.x, box.y))
        for start, end in itertools.pairwise(corners):
            self._stroke(list(_cells(start, end)))

    def line(self, line: Line) -> None:
        cells = [line.points[0]]
        for start, end in zip(line.points, line.points[1:], strict=False):
            cells += list(_cells(start, end))[1:]
        self._stroke(cells[:-1])
        if line.conditional:
            self._dashed |= set(cells[1:-1])
        before, last = cells[-2:]
        self._set[before] = _ARROWS[last[1] > before[1]][not self._unicode]

    def label(self, box: Box) -> None:
        x = box.x + (box.width - cell_len(box.label)) // 2
        for letter in box.label:
            self._set[x, box.y + 1] = letter
            for _ in range(cell_len(letter) - 1):
                x += 1
                self._set[x, box.y + 1] = ""
            x += 1

    def text(self) -> str:
        width, height = self._size
        return "\n".join("".join(self._letter((x, y)) for x in range(width)).rstrip() for y in range(height))

    def _stroke(self, cells: list[Point]) -> None:
        for here, there in itertools.pairwise(cells):
            way, back = _way(here, there)
            self._ways[here] = self._ways.get(here, 0) | way
            self._ways[there] = self._ways.get(there, 0) | back

    def _letter(self, cell: Point) -> str:
        if cell in self._set:
            return self._set[cell]
        ways = self._ways.get(cell, 0)
        if cell in self._dashed and ways in (_UP | _DOWN, _LEFT | _RIGHT):
            return ("┊" if ways == _UP | _DOWN else "┄") if self._unicode else (":" if ways == _UP | _DOWN else ".")
        return (_LINES if self._unicode else _ASCII)[ways]


def _cells(start: Point, end: Point) -> Iterator[Point]:
    (x, y), (to_x, to_y) = start, end
    across, down = (to_x > x) - (to_x < x), (to_y > y) - (to_y < y)
    for distance in range(max(abs(to_x - x), abs(to_y - y)) + 1):
        yield x + distance * across, y + distance * down


def _way(here: Point, there: Point) -> tuple[int, int]:
    if here[1] != there[1]:
        return (_DOWN, _UP) if there[1] > here[1] else (_UP, _DOWN)
    return (_RIGHT, _LEFT) if there[0] > here[0] else (_LEFT, _RIGHT)
