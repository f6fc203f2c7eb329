"""`adjourn graph`: a workflow's graph as a drawing, as Mermaid text, or as a picture; nothing leaves the machine."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..errors import ConfigurationError, InvalidInput
from .exits import Exit
from .session import Session
from .text import one_line

if TYPE_CHECKING:
    from ..engine.describe import Picture

__all__ = ["SUFFIXES", "Format", "graph", "write_drawing"]


class Format(StrEnum):
    """What a graph can be written as."""

    ascii = "ascii"
    mermaid = "mermaid"
    svg = "svg"
    png = "png"


SUFFIXES: Final = {
    ".txt": Format.ascii,
    ".mmd": Format.mermaid,
    ".mermaid": Format.mermaid,
    ".svg": Format.svg,
    ".png": Format.png,
}
"""What the name of a file says about what is to be drawn."""
_PLAIN_NAMES: Final = {"__start__": "start", "__end__": "end"}


def graph(
    session: Session,
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="Its name, such as review.")],
    format: Annotated[  # noqa: A002  (the option's name)
        Format | None, typer.Option(help="What to draw. Default: what the file's name says, otherwise ascii.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write it. Default: standard output.")
    ] = None,
) -> int:
    """Draw the graph of a workflow; steps that are taken only sometimes are dashed.

    Its code is imported, no database is opened. Examples: `adjourn graph review`, `adjourn graph review --output review.svg`
    """
    chosen = format or SUFFIXES.get(output.suffix.lower() if output else "", Format.ascii)
    if output is None and chosen is Format.png and not session.as_json and sys.stdout.isatty():
        raise InvalidInput("A PNG is no text for a terminal; name a file: --output graph.png.")
    picture = _picture(session, workflow)
    if session.as_json:
        if output is not None:
            write_drawing(output, _drawn(picture, workflow, chosen))
        session.result(_json(picture, workflow, output))
        return Exit.COMPLETED
    if output is not None:
        write_drawing(output, _drawn(picture, workflow, chosen))
        session.err.print(f"Wrote {output}.", style="dim", soft_wrap=True)
        return Exit.COMPLETED
    limit = session.out.width if session.out.is_terminal else None
    drawn = _drawn(picture, workflow, chosen, limit, unicode=session.out.encoding.startswith("utf"))
    if chosen is Format.png:
        sys.stdout.buffer.write(drawn)
    else:
        sys.stdout.write(drawn.decode())
    sys.stdout.flush()
    return Exit.COMPLETED


def _picture(session: Session, workflow: str) -> Picture:
    with session.working("reading the workflow"):
        from ..engine.describe import picture
        from ..engine.registry import Registry

        return picture(Registry(folder=session.settings().project).find(workflow))


def _drawn(picture: Picture, workflow: str, chosen: Format, limit: int | None = None, *, unicode: bool = True) -> bytes:
    """Return what is to be written.

    Args:
        picture: The graph.
        workflow: Its name.
        chosen: As what.
        limit: The columns of the terminal that it must fit into; None for none.
        unicode: Whether a drawing may have other characters than those of ASCII.
    """
    if chosen is Format.mermaid:
        return picture.mermaid.encode()
    from .graph_layout import laid_out

    labels = _labels(picture)
    edges = {(arrow.source, arrow.target): arrow.conditional for arrow in picture.arrows}
    layout = laid_out(labels, edges)

    def text() -> bytes:
        from .graph_text import as_list, as_text

        fits = limit is None or layout.width <= limit
        drawn = as_text(layout, unicode=unicode) if fits else as_list(labels, edges, unicode=unicode)
        return f"{drawn}\n".encode()

    def svg() -> bytes:
        from .graph_svg import as_svg

        return as_svg(layout, f"The workflow {one_line(workflow)}").encode()

    def png() -> bytes:
        from .graph_png import as_png

        return as_png(layout)

    drawers: dict[Format, Callable[[], bytes]] = {Format.ascii: text, Format.svg: svg, Format.png: png}
    return drawers[chosen]()


def _labels(picture: Picture) -> dict[str, str]:
    repeated = {arrow.source for arrow in picture.arrows if arrow.source == arrow.target}
    return {
        node: one_line(_PLAIN_NAMES.get(name, name)) + (" (repeats)" if node in repeated else "")
        for node, name in picture.nodes.items()
    }


def write_drawing(output: Path, drawn: bytes) -> None:
    """Write a drawing to a file.

    Raises:
        ConfigurationError: It cannot be written.
    """
    try:
        output.expanduser().write_bytes(drawn)
    except OSError as error:
        raise ConfigurationError(
            f"{output} cannot be written: {error.strerror or error}. Name another file with --output."
        ) from None


def _json(picture: Picture, workflow: str, output: Path | None) -> dict[str, object]:
    return {
        "workflow": workflow,
        "nodes": list(picture.nodes),
        "edges": [
            {"from": arrow.source, "to": arrow.target, "conditional": arrow.conditional} for arrow in picture.arrows
        ],
        "mermaid": picture.mermaid,
        "output": str(output) if output else None,
    }
