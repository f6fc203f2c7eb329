"""Branches of one node that wait for children: each comes as far as it can before the node pauses."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

from langgraph.errors import GraphInterrupt

__all__ = ["gather", "one_wait", "settled"]

Result = TypeVar("Result")


async def gather(*branches: Awaitable[Result]) -> list[Result]:
    """Do what `asyncio.gather` does, and let every branch come as far as it can before the node pauses.

    For branches that do more than call `child`: with `asyncio.gather` the first one that must wait ends the node, and what
    the others were doing between their children is begun again when the node runs again.

    Raises:
        GraphInterrupt: A branch waits, and the others have ended or wait as well.
        Exception: The first failure of a branch, in their order, when all have ended.
    """
    ended = await settled(*branches)
    waits = [each for each in ended if isinstance(each, GraphInterrupt)]
    if waits:
        raise one_wait(waits)
    return [each for each in ended if not isinstance(each, GraphInterrupt)]


async def settled(*branches: Awaitable[Result]) -> list[Result | GraphInterrupt]:
    """Do what `gather` does, and return the wait of a branch in the place of its result.

    For children with a `scope` only: a node that has children of its own task to wait for may not end without them.

    Raises:
        Exception: The first failure of a branch, in their order, when all have ended.
    """
    ended = await asyncio.gather(*branches, return_exceptions=True)
    found: list[Result | GraphInterrupt] = []
    for each in ended:
        if isinstance(each, BaseException) and not isinstance(each, GraphInterrupt):
            raise each
        found.append(each)
    return found


def one_wait(waits: Iterable[GraphInterrupt]) -> GraphInterrupt:
    """Return one pause for all that branches of a node wait for."""
    asked = {each.id: each for wait in waits for each in wait.args[0]}
    return GraphInterrupt(tuple(asked.values()))
