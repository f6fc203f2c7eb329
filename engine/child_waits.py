"""What a paused run waits for, where it waits for child runs: its interrupts say so, and rows of `adjourn.children`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from langgraph.types import Interrupt
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from ..checkpoints.queries import load_queries
from ..state.values import digest

__all__ = ["is_wait", "is_wait_id", "wait_for", "waited_for", "waits_in", "write_down_waits"]

_SQL: Final = load_queries(__package__, "children.sql")
_WAIT: Final = "children:"
Connection = AsyncConnection[DictRow]


def wait_for(namespace: str, waits: Mapping[str, tuple[str, str]]) -> Interrupt:
    """Return the interrupt of a task that waits for children. It opens no review, and nobody can answer it.

    Args:
        namespace: The task.
        waits: Thread and `all` or `one`, by the child's id.
    """
    value: dict[str, Any] = {
        "type": "adjourn.children",
        "message": "This run waits for its child runs; nobody is asked.",
        "waits_for": [{"id": name, "thread_id": thread, "until": until} for name, (thread, until) in waits.items()],
    }
    return Interrupt(value, id=_WAIT + digest(namespace)[:32])


def is_wait(interrupt: Interrupt) -> bool:
    """Whether an interrupt is no question, but a task that waits for children. The ids of `interrupt()` never look so."""
    return is_wait_id(interrupt.id)


def is_wait_id(interrupt_id: str) -> bool:
    """Say the same of the id of an interrupt."""
    return interrupt_id.startswith(_WAIT)


def waits_in(interrupts: Sequence[Interrupt]) -> dict[str, str]:
    """Return the child runs that interrupts wait for, each with `all` or `one`."""
    return {
        each["thread_id"]: each["until"]
        for interrupt in interrupts
        if is_wait(interrupt)
        for each in interrupt.value["waits_for"]
    }


async def waited_for(connection: Connection, parent_id: str) -> list[str]:
    """Return the child runs that a paused run waits for and that have not ended, on a connection of the caller's."""
    rows = await (await connection.execute(_SQL["waited_for"], {"parent_id": parent_id})).fetchall()
    return [row["thread_id"] for row in rows]


async def write_down_waits(connection: Connection, parent_id: str, waits: Mapping[str, str]) -> bool:
    """Write down what a run waits for, in the transaction that pauses it; say whether it may go on at once.

    Args:
        connection: In that transaction, behind the locks of the run and its lease.
        parent_id: The run.
        waits: `all` or `one`, by child run.
    """
    values = {"parent_id": parent_id, "thread_ids": list(waits), "untils": list(waits.values())}
    row = await (await connection.execute(_SQL["wait_for_children"], values)).fetchone()
    return row is not None and bool(row["goes_on"])
