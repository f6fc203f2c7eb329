"""The work that the shipped strategies do: how a task is split, who does a part, and how the results are put together.

The strategies differ in how they go about the same work: one part after the other, at the same time, in a simpler way, more
thoroughly, by several workers that vote. A worker is a function of a `Part`, a chat model, or the name of one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from langchain_core.language_models import BaseChatModel

from ...errors import InvalidInput
from ..arguments import is_number
from .strategies import Task

__all__ = [
    "Part",
    "Work",
    "Worker",
    "combined",
    "parts_of",
    "pieces",
    "split_material",
]

_MOST_CHARACTERS: Final = 4000
_HEADING: Final = re.compile(r"(?m)^(?=#{1,6} )")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a task, as a worker is given it.

    Args:
        task: The whole.
        name: Which part it is.
        content: What it consists of.
        draft: What was found before, for a worker that is to check and improve that; otherwise None.
    """

    task: Task
    name: str
    content: Any
    draft: Any = None


Worker: TypeAlias = "Callable[[Part], Any] | BaseChatModel | str"
"""Does a part: a function, plain (in a thread) or async; a chat model, or the name of one. The result is JSON-safe.

A result that is a mapping may say how sure it is under `confidence`, 0-1; `accuracy` is measured by that.
"""


def split_material(task: Task) -> dict[str, Any]:
    """Return the parts of a task's material: the items of a list, the values of a mapping, the pieces of a text.

    A task without material has one part: the task itself.
    """
    material = task.material
    if isinstance(material, Mapping) and material:
        return {str(name): each for name, each in material.items()}
    if isinstance(material, list) and material:
        return {str(number): each for number, each in enumerate(material, 1)}
    if isinstance(material, str) and material.strip():
        return {str(number): each for number, each in enumerate(pieces(material), 1)}
    return {"1": task.main_task if material in (None, "", [], {}) else material}


def pieces(text: str, most: int = _MOST_CHARACTERS) -> list[str]:
    """Cut a text before its Markdown headings, and where a section is long between its paragraphs.

    Args:
        text: The text.
        most: Paragraphs are put together up to this many characters; a longer one stays whole.
    """
    found: list[str] = []
    for section in _HEADING.split(text):
        held = ""
        for paragraph in re.split(r"\n\s*\n", section.strip()):
            if held and len(held) + len(paragraph) > most:
                found.append(held)
                held = ""
            held = f"{held}\n\n{paragraph}" if held else paragraph
        if held.strip():
            found.append(held)
    return found or [text]


def combined(task: Task, results: Mapping[str, Any]) -> Any:
    """Put results together: the only one by itself; otherwise `parts` by name, with the `answer`s joined where all have one.

    `confidence` is the mean of those that say how sure they are.
    """
    if len(results) == 1:
        return next(iter(results.values()))
    found: dict[str, Any] = {}
    answers = [each.get("answer") if isinstance(each, Mapping) else each for each in results.values()]
    if all(isinstance(each, str) for each in answers):
        found["answer"] = "\n\n".join(map(str, answers))  # first, since it is what was asked for
    found["parts"] = dict(results)
    sure = [each["confidence"] for each in results.values() if isinstance(each, Mapping) and "confidence" in each]
    if sure and all(is_number(each) for each in sure):
        found["confidence"] = sum(sure) / len(sure)
    return found


@dataclass(frozen=True, slots=True)
class Work:
    """The work of a workflow, for the strategies that ship.

    Args:
        do: Does a part, the usual way.
        split: Splits a task into parts, by name; a pure function.
        combine: Puts the results of the parts together; a pure function.
        simple: Does a part in a simpler and faster way; without one there is no `simplified_processing`.
        thorough: Does a part more thoroughly; by default a chat model checks what `do` found, and anything else cannot.
        voters: Name → worker; at least two make the `multi_model_ensemble`.
        keep_parts: Whether each part is recorded when it is done (`once`), so that an attempt that a process died in
            does only the others again. It costs two commits for each part: for parts that take long, or cost money.

    Raises:
        InvalidInput: A worker is neither a function nor a chat model nor the name of one.
    """

    do: Worker
    split: Callable[[Task], Mapping[str, Any]] = split_material
    combine: Callable[[Task, Mapping[str, Any]], Any] = combined
    simple: Worker | None = None
    thorough: Worker | None = None
    voters: Mapping[str, Worker] = field(default_factory=dict)
    keep_parts: bool = False

    def __post_init__(self) -> None:
        workers = {"do": self.do, "simple": self.simple, "thorough": self.thorough, **self.voters}
        for name, worker in workers.items():
            if worker is None and name in ("simple", "thorough"):
                continue
            if not callable(worker) and not isinstance(worker, BaseChatModel | str):
                raise InvalidInput(
                    f"The worker {name!r} must be a function of a Part, a chat model or the name of one, not {worker!r:.60}."
                )


def parts_of(work: Work, task: Task) -> list[Part]:
    """Return the parts of a task.

    Raises:
        InvalidInput: It splits into nothing, or two parts have one name.
    """
    found: Any = work.split(task)
    if not isinstance(found, Mapping) or not found:
        raise InvalidInput(f"Work.split must return at least one part: {{name: content}}, not {found!r:.60}.")
    named: dict[str, Part] = {}
    for name, content in found.items():
        if str(name) in named:
            raise InvalidInput(f"Work.split returned two parts of the name {str(name)!r:.60}.")
        named[str(name)] = Part(task, str(name), content)
    return list(named.values())
