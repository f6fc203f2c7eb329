"""`adjourn plan`: a plan of a file or of a run, checked and drawn; nothing runs, and nothing leaves the machine."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..errors import InvalidInput, InvalidPlan
from .exits import Exit
from .graph import SUFFIXES, Format, write_drawing
from .session import Session
from .text import duration, one_line

if TYPE_CHECKING:
    from ..engine.plan_rows import PlanRow
    from ..engine.plan_view import PlanView

__all__ = ["plan"]

# A larger picture takes long, and nobody can read it.
_MOST_DRAWN: Final = 300


def plan(
    session: Session,
    source: Annotated[
        str | None, typer.Argument(metavar="FILE|THREAD", help="A plan file (YAML or JSON), or a run's thread id.")
    ] = None,
    format: Annotated[  # noqa: A002  (the option's name)
        Format | None, typer.Option(help="What to draw. Default: what the file's name says, otherwise a tree.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write it. Default: standard output.")
    ] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of plan files, and end.")] = False,
) -> int:
    """Check a plan file, or look at the plan of a run: as a tree, as Mermaid text, or as a picture.

    The critical path is marked: in expected times for a file, in real ones for a run. Examples: `adjourn plan work.yaml`,
    `adjourn plan work.yaml --output work.svg`, `adjourn plan --schema`
    """
    if schema:
        from ..engine.plan_view import plan_schema

        session.result(plan_schema())
        return Exit.COMPLETED
    if source is None:
        raise InvalidInput("Name a plan file or a run: adjourn plan work.yaml.")
    view = _view(session, source)
    chosen = format or SUFFIXES.get(output.suffix.lower() if output else "")
    if session.as_json:
        session.result(_json(view))
        return Exit.COMPLETED
    if chosen is None or chosen is Format.ascii:
        _tree(session, view, output)
        return Exit.COMPLETED
    drawn = _mermaid(view).encode() if chosen is Format.mermaid else _picture(view, chosen)
    if output is not None:
        write_drawing(output, drawn)
        session.err.print(f"Wrote {output}.", style="dim", soft_wrap=True)
        return Exit.COMPLETED
    if chosen is Format.png and sys.stdout.isatty():
        raise InvalidInput("A PNG is no text for a terminal; name a file: --output plan.png.")
    sys.stdout.buffer.write(drawn)
    sys.stdout.flush()
    return Exit.COMPLETED


def _view(session: Session, source: str) -> PlanView:
    from ..engine.plan_view import plan_in_file, plan_of_family

    if Path(source).suffix or Path(source).exists():
        return plan_in_file(source)
    with session.engine() as engine:
        view = plan_of_family(engine.get(source), lambda thread_id: engine.get(thread_id).state)
    if view is None:
        raise InvalidPlan(f"Run {source} has no plan (yet).", thread_id=source)
    return view


def _tree(session: Session, view: PlanView, output: Path | None) -> None:
    from .plan_tree import PlanTree

    if output is None:
        session.show(PlanTree(view))
        return
    from rich.console import Console

    file = io.StringIO()
    Console(file=file, width=200, highlight=False, emoji=False).print(PlanTree(view))
    write_drawing(output, file.getvalue().encode())


def _picture(view: PlanView, chosen: Format) -> bytes:
    if len(view.rows) > _MOST_DRAWN:
        raise InvalidInput(
            f"A picture of {len(view.rows):,} subtasks cannot be read; {_MOST_DRAWN} is the most. Use --format mermaid, or "
            "the tree."
        )
    from .graph_layout import laid_out

    labels = {row.id: _label(row) for row in view.rows.values()}
    critical = {row.id for row in view.rows.values() if row.critical}
    # solid where it counts: an edge of the critical path is drawn through, the others are dashed
    edges = {(before, after): not {before, after} <= critical for before, after in view.edges()}
    layout = laid_out(labels, edges)
    if chosen is Format.png:
        from .graph_png import as_png

        return as_png(layout)
    from .graph_svg import as_svg

    return as_svg(layout, f"The plan {one_line(view.title)[:80]}").encode()


def _mermaid(view: PlanView) -> str:
    number = {each: f"t{index}" for index, each in enumerate(view.rows)}
    lines = ["flowchart TD"]
    lines += [f'    {number[row.id]}["{_escaped(_label(row))}"]:::{row.status}' for row in view.rows.values()]
    for before, after in view.edges():
        thick = view.rows[before].critical and view.rows[after].critical
        lines.append(f"    {number[before]} {'==>' if thick else '-->'} {number[after]}")
    colours = {
        "completed": "#d5f0d5", "in_progress": "#d5e8f8", "failed": "#f8d5d5", "requires_human": "#fdf0c4",
        "skipped": "#eadcf5", "pending": "#f0f0f0",
    }  # fmt: skip
    lines += [f"    classDef {name} fill:{colour},stroke:#555" for name, colour in colours.items()]
    return "\n".join(lines) + "\n"


def _label(row: PlanRow) -> str:
    if row.started and row.ended and row.status == "completed":
        took = duration((row.ended - row.started).total_seconds())
    else:
        took = "" if row.nested else duration(row.expected_seconds)
    words = [one_line(row.id), took, row.status.replace("_", " ") if row.status != "pending" else ""]
    star = " *" if row.critical else ""
    return " · ".join(word for word in words if word) + star


def _escaped(text: str) -> str:
    return text.replace("&", "#amp;").replace('"', "#quot;").replace("<", "#lt;").replace(">", "#gt;")


def _json(view: PlanView) -> dict[str, object]:
    return {
        "title": view.title,
        "subtasks": [
            {
                "id": row.id,
                "parent": row.parent,
                "dependencies": list(row.dependencies),
                "status": row.status,
                "agent": row.agent,
                "started": row.started.isoformat() if row.started else None,
                "ended": row.ended.isoformat() if row.ended else None,
                "retries": row.retries,
                "error": row.error,
                "critical": row.critical,
            }
            for row in view.rows.values()
        ],
        "critical_path": [row.id for row in view.rows.values() if row.critical],
        **view.figures,
        "mermaid": _mermaid(view),
    }
