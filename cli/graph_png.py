"""A graph as PNG, drawn by Pillow, which brings a font of its own: nothing but the package is needed."""

from __future__ import annotations

import itertools
from io import BytesIO
from typing import TYPE_CHECKING, Final

from ..errors import ConfigurationError
from .graph_layout import BOX_ROWS, Box, Layout
from .graph_svg import CELL, DASH, corners

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

    Font = FreeTypeFont | ImageFont

__all__ = ["as_png"]

# Drawn larger and made smaller again, so that edges are smooth; the picture has two dots for each pixel of the SVG.
_DOTS: Final = 2
_FINE: Final = 2
_SCALE: Final = _DOTS * _FINE
_MARGIN: Final = 12 * _SCALE
_INK, _TEXT, _FILL = "#33415c", "#17202e", "#f5f7fb"
# Wider than this a picture takes gigabytes while it is drawn.
_MOST: Final = 8_000


def as_png(layout: Layout) -> bytes:
    """Return a PNG. Lines that are taken only sometimes are dashed.

    Args:
        layout: The graph, placed.

    Raises:
        ConfigurationError: Pillow is not installed, or the graph is too large for a picture of dots.
    """
    try:
        from PIL import Image, ImageDraw, ImageFont
    except ImportError as error:
        raise ConfigurationError(
            "PNG needs the package Pillow: pip install 'adjourn[png]'. SVG needs nothing: --format svg."
        ) from error
    width, height = layout.width * CELL[0], layout.height * CELL[1]
    if max(width, height) > _MOST:
        raise ConfigurationError(f"The graph is too large for a PNG ({width} x {height}). Use --format svg.")
    size = (width * _SCALE + 2 * _MARGIN, height * _SCALE + 2 * _MARGIN)
    image = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(14 * _SCALE)
    for line in layout.lines:
        _line(pen, [(_dot(x), _dot(y)) for x, y in corners(line)], dashed=line.conditional)
    for box in layout.boxes:
        _box(pen, box, font)
    out = BytesIO()
    image.resize((size[0] // _FINE, size[1] // _FINE), Image.Resampling.LANCZOS).save(out, "PNG", optimize=True)
    return out.getvalue()


def _dot(pixels: float) -> float:
    return pixels * _SCALE + _MARGIN


def _line(pen: ImageDraw, points: list[tuple[float, float]], *, dashed: bool) -> None:
    for start, end in itertools.pairwise(points):
        for piece in _dashes(start, end) if dashed else [(start, end)]:
            pen.line(piece, fill=_INK, width=round(1.5 * _SCALE))
    (x, y), side = points[-1], 4.5 * _SCALE
    back = (8 if points[-2][1] < y else -8) * _SCALE
    pen.polygon([(x, y), (x - side, y - back), (x + side, y - back)], fill=_INK)


def _dashes(
    start: tuple[float, float], end: tuple[float, float]
) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])
    across, down = (end[0] - start[0]) / length, (end[1] - start[1]) / length
    dash, pieces, done = DASH * _SCALE, [], 0.0
    while done < length:
        stop = min(done + dash, length)
        pieces.append(
            (
                (start[0] + across * done, start[1] + down * done),
                (start[0] + across * stop, start[1] + down * stop),
            )
        )
        done += 2 * dash
    return pieces


def _box(pen: ImageDraw, box: Box, font: Font) -> None:
    left, top = _dot((box.x + 0.5) * CELL[0]), _dot((box.y + 0.5) * CELL[1])
    right, bottom = left + (box.width - 1) * CELL[0] * _SCALE, top + (BOX_ROWS - 1) * CELL[1] * _SCALE
    pen.rounded_rectangle((left, top, right, bottom), 6 * _SCALE, _FILL, _INK, round(1.5 * _SCALE))
    pen.text(((left + right) / 2, (top + bottom) / 2), box.label, fill=_TEXT, font=font, anchor="mm")
