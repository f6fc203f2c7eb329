"""Strategies: ways to attempt a task, each a function; and the registry from which a workflow takes them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from ...errors import InvalidInput
from ...state.adaptive import AdaptiveState, ResourceConstraints
from ..arguments import check_count, check_name, check_seconds, one_of
from ..calling import called
from .failing import FAILS, GIVES_WAY, in_words

__all__ = [
    "MAX_WORKERS",
    "Act",
    "Available",
    "Output",
    "Strategies",
    "Strategy",
    "StrategyLike",
    "Task",
    "check_order",
    "first_available",
    "read_strategies",
    "task_of",
]

MAX_WORKERS: Final = 8
"""How many parts are worked on at the same time, where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a strategy is given.

    Args:
        main_task: What is to be done, in words.
        material: What it is to be done with, as it was given.
        task_type: The type of task.
        attempt: 1 for the first.
        reason: Why the strategy was changed to this one; None for the first.
        best_result: The best result so far; None without one.
        resource_constraints: What may be used.
        idempotency_key: The same each time this attempt is made, also by other processes.
        memory: The name under which the workflow remembers; None without a memory.
    """

    main_task: str
    material: Any = None
    task_type: str = "general"
    attempt: int = 1
    reason: str | None = None
    best_result: Any = None
    resource_constraints: ResourceConstraints = field(default_factory=ResourceConstraints)
    idempotency_key: str = ""
    memory: str | None = None

    @property
    def max_workers(self) -> int:
        """How many parts may be worked on at the same time."""
        return self.resource_constraints.get("max_workers", MAX_WORKERS)


@dataclass(frozen=True, slots=True)
class Output:
    """What a strategy may return instead of a plain result: the result, and how many of its parts have none.

    Args:
        result: What came out (JSON-safe).
        parts: How many parts the work had.
        failures: Part → why it has no result.
        seconds_before: How much of the time was spent in a process that died meanwhile.
        kept: Whether the result was kept from an earlier run; then it is not kept anew, as if it had been found today.

    Raises:
        InvalidInput: There is no part, more failures than parts, or a time that is none.
    """

    result: Any
    parts: int = 1
    failures: Mapping[str, str] = field(default_factory=dict)
    seconds_before: float = 0.0
    kept: bool = False

    def __post_init__(self) -> None:
        check_count("Output.parts", self.parts, 1)
        if not isinstance(self.failures, Mapping):
            raise InvalidInput(f"Output.failures must be a mapping of parts to reasons, not {self.failures!r:.60}.")
        if len(self.failures) > self.parts:
            raise InvalidInput(f"An Output says that {len(self.failures)} of {self.parts} parts failed.")
        if self.seconds_before:
            check_seconds("Output.seconds_before", self.seconds_before)


Act: TypeAlias = "Callable[[Task], Any]"
"""Attempts a task; plain (it runs in a thread) or async. It returns a JSON-safe result, or an `Output`."""
Available: TypeAlias = "Callable[[Task], Awaitable[str | None] | str | None]"
"""Says why a strategy is of no use for a task now, or None when it can be tried; plain or async. It changes
nothing and answers at once: no time-out holds for it. What it raises is why not."""


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to attempt a task.

    Args:
        act: What it does; None for one that asks a person.
        available: Whether it can be tried; by default always.
    """

    act: Act | None
    available: Available | None = None

    @property
    def asks(self) -> bool:
        """Whether it asks a person, instead of doing something."""
        return self.act is None

    async def refuses(self, task: Task) -> str | None:
        """Say why it is of no use for a task now, or None.

        Raises:
            BudgetExceeded, LeaseLost, StorageUnavailable: The run's own trouble.
        """
        try:
            why = None if self.available is None else await called(self.available, task)
        except GIVES_WAY:
            raise
        except FAILS as problem:  # it is the user's, and so are its errors
            return in_words(problem)
        if why is None or isinstance(why, str):
            return why
        return f"Strategy.available must return None or why not, not {why!r:.60}"

    async def attempt(self, task: Task) -> Output:
        """Do it."""
        assert self.act is not None, "a person does it"  # noqa: S101
        found = await called(self.act, task)
        return found if isinstance(found, Output) else Output(found)


StrategyLike: TypeAlias = "Strategy | Act"
Strategies: TypeAlias = "Mapping[str, Strategy]"
"""The strategies of a workflow by name, in the order in which they are tried where nothing speaks for another."""


def read_strategies(given: Mapping[str, StrategyLike]) -> dict[str, Strategy]:
    """Make a registry of strategies.

    Args:
        given: Name → a `Strategy`, or a function of a `Task`. The first one is begun with where nothing is remembered.

    Raises:
        InvalidInput: There are none, a name is no printable text, or something is no strategy.
    """
    if not given:
        raise InvalidInput(
            "There are no strategies; give at least one, such as strategies={'careful': function_of_a_task}, or leave them "
            "out for those that ship."
        )
    found: dict[str, Strategy] = {}
    for name, each in given.items():
        check_name("A strategy", name)
        if not isinstance(each, Strategy) and not callable(each):
            raise InvalidInput(
                f"The strategy {name!r} is a {type(each).__name__}; it must be a function of a Task, or a Strategy."
            )
        found[name] = each if isinstance(each, Strategy) else Strategy(each)
    return found


def check_order(names: Any, known: Iterable[str]) -> list[str]:
    """Return the names of strategies, each once.

    Raises:
        InvalidInput: It is no list of names, it is empty, or a strategy does not exist; the message names the known ones.
    """
    known = list(known)
    if not isinstance(names, list | tuple):
        raise InvalidInput(
            f"fallback_strategies must be a list of names, not {names!r:.60}; known: {', '.join(known)}."
        )
    if not names:
        raise InvalidInput(
            f"fallback_strategies is an empty list, so nothing could be tried. Name at least one, or leave it out for all: "
            f"{', '.join(known)}."
        )
    for name in names:
        one_of("strategy", name, known)
    return list(dict.fromkeys(names))


def task_of(state: AdaptiveState, attempt: int, *, memory: str | None, idempotency_key: str = "") -> Task:
    """Return what a strategy is given; a pure function of the state."""
    history, best = state.get("adaptation_history") or [], state.get("best")
    return Task(
        main_task=state.get("main_task", ""),
        material=state.get("material"),
        task_type=state.get("task_type") or "general",
        attempt=attempt,
        reason=history[-1]["reason"] if history else None,
        best_result=best["result"] if best else None,
        resource_constraints=state.get("resource_constraints") or {},
        idempotency_key=idempotency_key,
        memory=memory,
    )


async def first_available(
    names: Iterable[str], strategies: Strategies, task: Task
) -> tuple[str | None, dict[str, str]]:
    """Return the first strategy that can be tried, and why those before it cannot.

    Args:
        names: The strategies that come into question, in this order.
        strategies: What they are.
        task: What they would be given.
    """
    refused: dict[str, str] = {}
    for name in names:
        why = await strategies[name].refuses(task)
        if why is None:
            return name, refused
        refused[name] = why
    return None, refused


def tried_in(attempts: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the strategies of attempts, in order."""
    return [str(each["strategy"]) for each in attempts]
