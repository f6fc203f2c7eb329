"""`adjourn limit`: how many runs may be under way at once, and how many may begin in a minute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from .exits import Exit
from .session import Session
from .text import one_line

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..engine import LimitStatus

__all__ = ["limit_list", "limit_remove", "limit_set", "limits_view"]

Workflow = Annotated[
    str | None, typer.Option(metavar="NAME", help="Count the runs of this workflow; '*': of each workflow by itself.")
]
Tenant = Annotated[
    str | None, typer.Option(metavar="NAME", help="Count the runs of this tenant; '*': of each tenant by itself.")
]


def limit_set(
    session: Session,
    workflow: Workflow = None,
    tenant: Tenant = None,
    at_once: Annotated[int | None, typer.Option(metavar="N", help="The most runs under way at any time.")] = None,
    per_minute: Annotated[int | None, typer.Option(metavar="N", help="The most runs that begin in 60 seconds.")] = None,
) -> int:
    """Set a limit for all workers, or put another in its place. With neither workflow nor tenant it counts all runs.

    Examples: `adjourn limit set --workflow review --at-once 5`, `adjourn limit set --tenant '*' --at-once 2 --per-minute 60`
    """
    with session.engine() as engine:
        engine.set_limit(workflow, tenant, at_once=at_once, per_minute=per_minute)
        return _show(session, engine.limits())


def limit_list(session: Session) -> int:
    """Show the limits, with what is under way and what waits under each."""
    with session.engine() as engine:
        return _show(session, engine.limits())


def limit_remove(session: Session, workflow: Workflow = None, tenant: Tenant = None) -> int:
    """Take a limit away; workers let go what it held back. Removing one that is not there changes nothing."""
    with session.engine() as engine:
        engine.remove_limit(workflow, tenant)
        return _show(session, engine.limits())


def _show(session: Session, found: list[LimitStatus]) -> int:
    if session.as_json:
        session.result({"items": [_json(each) for each in found], "after": None})
    else:
        from .layout import paragraph

        session.show(limits_view(found) if found else paragraph("There are no limits."))
    return Exit.COMPLETED


def limits_view(found: list[LimitStatus]) -> RenderableType:
    """Return the limits as a table.

    Args:
        found: The limits.
    """
    from rich.text import Text

    from .layout import grid

    table = grid("limit on", "at once", "in a minute", "waiting")
    for each in found:
        table.add_row(
            "",
            Text(_scope(each)),
            _of(each.under_way, each.limit.at_once),
            _of(each.began, each.limit.per_minute),
            Text(str(each.waiting), style="bold yellow" if each.waiting else ""),
        )
    return table


def _of(taken: int, most: int | None) -> RenderableType:
    from rich.text import Text

    return Text(
        f"{taken}" if most is None else f"{taken} of {most}", style="" if most is None or taken < most else "yellow"
    )


def _scope(each: LimitStatus) -> str:
    limit = each.limit
    parts = []
    if limit.workflow is not None:
        parts.append(f"workflow {one_line(each.workflow)}" if each.workflow else "each workflow")
    if limit.tenant is not None:
        parts.append(f"tenant {one_line(each.tenant)}" if each.tenant else "each tenant")
    return ", ".join(parts) or "all runs"


def _json(each: LimitStatus) -> dict[str, Any]:
    limit = each.limit
    return {
        "limit": {"workflow": limit.workflow, "tenant": limit.tenant},
        "workflow": each.workflow,
        "tenant": each.tenant,
        "at_once": limit.at_once,
        "per_minute": limit.per_minute,
        "under_way": each.under_way,
        "began": each.began,
        "waiting": each.waiting,
    }
