"""Who has what in hand, over a plan and the plans nested in it: in one process they share agents and capacity."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ...state.delegation import SubtaskState
from .agents import Team

__all__ = ["Room", "Rooms"]


class Room:
    """The agents' hands and the places at work.

    Args:
        team: The agents.
        capacity: How many subtasks may be with agents at once.
    """

    def __init__(self, team: Team, capacity: int) -> None:
        self._team = team
        self._free = capacity
        self._active: Counter[str] = Counter()
        self._waiting: set[asyncio.Future[None]] = set()

    def take(self, subtask: SubtaskState) -> str | None:
        """Give a subtask to an agent with room; None when there is none, or no place at work."""
        name = self._team.choose(subtask, self._active) if self._free > 0 else None
        if name is not None:
            self._active[name] += 1
            self._free -= 1
        return name

    def release(self, name: str) -> None:
        """Say that an agent has one less."""
        self._active[name] -= 1
        self._free += 1
        for each in self._waiting:
            if not each.done():
                each.set_result(None)
        self._waiting.clear()

    def freed(self) -> asyncio.Future[None]:
        """Return what is done as soon as somebody has one less."""
        found = asyncio.get_running_loop().create_future()
        self._waiting.add(found)
        found.add_done_callback(self._waiting.discard)
        return found


class Rooms:
    """The rooms of the families that are at work in this process.

    Args:
        team: The agents.
        capacity: How many subtasks of a family may be with agents at once.
    """

    def __init__(self, team: Team, capacity: int) -> None:
        self._team = team
        self._capacity = capacity
        self._rooms: dict[object, tuple[Room, list[object]]] = {}

    @contextmanager
    def of(self, family: str | None) -> Iterator[Room]:
        """Give the room of a family while the block runs.

        Args:
            family: The run at its top; None for one that has nobody else.
        """
        me = object()
        key = me if family is None else (family, asyncio.get_running_loop())
        room, users = self._rooms.setdefault(key, (Room(self._team, self._capacity), []))
        users.append(me)
        try:
            yield room
        finally:
            users.remove(me)
            if not users:
                del self._rooms[key]
