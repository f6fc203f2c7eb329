"""What adaptive runs remember, in the store of the run (`runtime.store`): how strategies fared, and good answers.

Each run writes one item under its own thread id: its attempts and their scores. Records are computed from the items of
the last runs whenever they are wanted. So a node that runs again writes the same item once more, runs that end at the
same time lose nothing of each other, and nothing is counted twice. Types of task and tasks stand in the store by their
digest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from langgraph.store.base import BaseStore

from ...errors import InvalidInput
from ...state.adaptive import AttemptState
from ...state.values import digest, json_problem
from ..here import store_here, thread_here
from ..step import Clock, utcnow
from .failing import short_text
from .records import RUNS, Standing, standings
from .strategies import Task

__all__ = ["ANSWERS", "check_memory", "keep_answer", "kept_answer", "record_run", "remembered"]

_NAME: Final = re.compile(r"[A-Za-z0-9 -]{1,100}")
_DIGITS: Final = 32
ANSWERS: Final = 1000
"""How many good answers are kept under one name of memory: the last ones."""

_AT_ONCE: Final = 20


def check_memory(memory: str | None) -> None:
    """Refuse a name that a store could mistake for another; None, for no memory, is fine.

    Raises:
        InvalidInput: It is not made of letters, digits, blanks and hyphens.
    """
    if memory is not None and not _NAME.fullmatch(str(memory)):
        raise InvalidInput(f"memory is a name of letters, digits, blanks and hyphens, not {memory!r}.")


async def remembered(memory: str | None, task_type: str) -> dict[str, Standing]:
    """Return the records of strategies for a type of task; none where there is no store."""
    store = store_here() if memory is not None else None
    if store is None or memory is None:
        return {}
    items = await store.asearch(_records(memory, task_type), limit=RUNS)
    return standings(item.value for item in items)


async def record_run(
    memory: str | None, task_type: str, attempts: Sequence[AttemptState], *, clock: Clock = utcnow
) -> None:
    """Write down the attempts of this run that were measured; where there is no store, nothing happens.

    It is one item, under the run's thread id, which is written anew with each attempt: however often, a run counts once.
    An engine's store takes it under the lease of the run, so a process that wakes up late cannot put back an older one. What
    is older than the last `RUNS` runs is deleted.
    """
    store, thread = store_here() if memory is not None else None, thread_here()
    if store is None or memory is None or thread is None:
        return
    told = [{"strategy": each["strategy"], "score": each["score"]} for each in attempts if each["score"] is not None]
    item = {"at": clock().astimezone(UTC).isoformat(), "task_type": short_text(task_type), "attempts": told}
    await store.aput(_records(memory, task_type), thread, item)
    if len(told) == 1:
        await _forget(store, _records(memory, task_type), RUNS)


async def keep_answer(task: Task, result: Any, *, clock: Clock = utcnow) -> None:
    """Keep a good answer for whoever asks exactly the same again; the last one counts, and the last `ANSWERS` are kept."""
    store = store_here() if task.memory is not None else None
    if store is None or task.memory is None or json_problem(result) is not None:
        return
    item = {"at": clock().astimezone(UTC).isoformat(), "result": result}
    await store.aput(_answers(task.memory), _key(task), item)
    await _forget(store, _answers(task.memory), ANSWERS)


async def kept_answer(task: Task, max_age: float | None = None, *, clock: Clock = utcnow) -> Mapping[str, Any] | None:
    """Return the good answer that is kept for a task, under `result`; None without one, or when it is too old.

    Args:
        task: The task.
        max_age: Seconds after which it is too old.
        clock: The time.
    """
    store = store_here() if task.memory is not None else None
    item = None if store is None or task.memory is None else await store.aget(_answers(task.memory), _key(task))
    if item is None:
        return None
    age = (clock() - datetime.fromisoformat(str(item.value["at"]))).total_seconds()
    return item.value if max_age is None or age <= max_age else None


async def _forget(store: BaseStore, namespace: tuple[str, ...], kept: int) -> None:
    """Delete what is older than the last so many items; a few at a time, which is enough where one is added at a time."""
    for item in await store.asearch(namespace, limit=_AT_ONCE, offset=kept):
        await store.adelete(namespace, item.key)


def _key(task: Task) -> str:
    return digest({"main_task": task.main_task, "material": task.material, "task_type": task.task_type})


def _records(memory: str, task_type: str) -> tuple[str, ...]:
    return ("adjourn", "adaptive", memory, "records", digest(task_type)[:_DIGITS])


def _answers(memory: str) -> tuple[str, ...]:
    return ("adjourn", "adaptive", memory, "answers")
