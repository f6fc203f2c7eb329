"""A graph as SVG: text that any browser and most editors show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import escape

from .graph_layout import BOX_ROWS, Box, Layout, Line

__all__ = ["CELL", "DASH", "as_svg", "corners"]

# Pixels of a column and a row of the layout.
CELL: Final = (9, 16)
DASH: Final = 5
_MARGIN: Final = 12
_ROUND: Final = 5
_HEAD: Final = f"""\
<style>
  rect {{ fill: #f5f7fb; stroke: #33415c; stroke-width: 1.5 }}
  rect.paper {{ fill: #ffffff; stroke: none }}
  path {{ fill: none; stroke: #33415c; stroke-width: 1.5 }}
  path.sometimes {{ stroke-dasharray: {DASH} {DASH} }}
  path.head {{ fill: #33415c; stroke: none }}
  text {{ font: 14px system-ui, sans-serif; fill: #17202e; text-anchor: middle; dominant-baseline: central }}
</style>"""


def as_svg(layout: Layout, title: str) -> str:
    """Return an SVG document. Lines that are taken only sometimes are dashed.

    Args:
        layout: The graph, placed.
        title: What it shows, for readers that speak.
    """
    width, height = layout.width * CELL[0] + 2 * _MARGIN, layout.height * CELL[1] + 2 * _MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}"',
            f'  width="{width}" height="{height}">',
            f"<title>{escape(title)}</title>",
            _HEAD,
            f'<rect class="paper" width="{width}" height="{height}"/>',
            f'<g transform="translate({_MARGIN} {_MARGIN})">',
            *map(_line, layout.lines),
            *map(_box, layout.boxes),
            "</g>",
            "</svg>",
            "",
        ]
    )


def corners(line: Line) -> list[tuple[float, float]]:
    """Return the corners of a line in pixels, from its source to the border of its target."""
    return [((x + 0.5) * CELL[0], (y + 0.5) * CELL[1]) for x, y in line.points]


def _box(box: Box) -> str:
    x, y = (box.x + 0.5) * CELL[0], (box.y + 0.5) * CELL[1]
    width, height = (box.width - 1) * CELL[0], (BOX_ROWS - 1) * CELL[1]
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width}" height="{height}" rx="6"/>'
        f'<text x="{x + width / 2:g}" y="{y + height / 2:g}">{escape(box.label)}</text>'
    )


def _line(line: Line) -> str:
    points = corners(line)
    (x, y), before = points[-1], points[-2]
    back = 8 if before[1] < y else -8
    style = ' class="sometimes"' if line.conditional else ""
    return (
        f'<path{style} d="{_rounded([*points[:-1], (x, y - back)])}"/>'
        f'<path class="head" d="M{x:g} {y:g}l-4.5 {-back}h9z"/>'
    )


def _rounded(points: Sequence[tuple[float, float]]) -> str:
    """Return the path through points, its corners rounded."""
    path = f"M{points[0][0]:g} {points[0][1]:g}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        start, end = _towards(corner, before), _towards(corner, after)
        path += f"L{start[0]:g} {start[1]:g}Q{corner[0]:g} {corner[1]:g} {end[0]:g} {end[1]:g}"
    return f"{path}L{points[-1][0]:g} {points[-1][1]:g}"


def _towards(corner: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    length = abs(other[0] - corner[0]) + abs(other[1] - corner[1])
    share = min(_ROUND, length / 2) / length
    return corner[0] + (other[0] - corner[0]) * share, corner[1] + (other[1] - corner[1]) * share
