"""`adjourn workflows`: what can be run here, where it comes from, and what it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .exits import Exit
from .session import Session

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..engine.describe import Description

__all__ = ["workflows"]


def workflows(session: Session) -> int:
    """Show which workflows there are, where each comes from, and the keys of its input.

    Their code is imported; what does not load is shown with the reason. No database is opened.
    """
    with session.working("reading the workflows"):
        from ..engine.describe import describe_all
        from ..engine.registry import Registry

        found = describe_all(Registry(folder=session.settings().project))
    if session.as_json:
        session.result({"items": [_json(each) for each in found], "after": None})
        return Exit.COMPLETED
    from .layout import blank

    views: list[RenderableType] = []
    for each in found:
        views += [*([blank()] if views else []), *_views(each)]
    session.show(*views)
    return Exit.COMPLETED


def _views(found: Description) -> list[RenderableType]:
    from rich.text import Text

    from .layout import dictionary
    from .text import one_line

    workflow = found.workflow
    about = {"from": workflow.source}
    if workflow.description:
        about["about"] = workflow.description
    if found.problem:
        about["problem"] = found.problem
    else:
        keys = [f"{key.name} ({key.type}{'' if key.required else ', optional'})" for key in found.keys]
        about["input"] = ", ".join(keys) or "one value, not keys"
    head = Text.assemble((one_line(workflow.name), "bold"), (f" {workflow.version}", "dim"))
    if found.problem:
        head.append("  does not load", style="bold red")
    return [head, dictionary(about, 0)]


def _json(found: Description) -> dict[str, Any]:
    workflow = found.workflow
    return {
        "name": workflow.name,
        "version": workflow.version,
        "source": workflow.source,
        "built_in": workflow.built_in,
        "description": workflow.description,
        "input": [{"key": key.name, "type": key.type, "required": key.required} for key in found.keys],
        "problem": found.problem,
    }
