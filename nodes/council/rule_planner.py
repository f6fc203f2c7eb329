"""Splitting a task with rules: its items or sentences, the capabilities that their words name, their order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from ...state.assignments import Subtask
from ..analysts.lexicon import load_words, stem
from ..analysts.text import Sentence, cut
from .decomposition import Plan

__all__ = ["rule_planner"]

_FOLLOWS: Final = re.compile(
    r"\b(then|afterwards?|finally|based on (?:this|that|these|it)|with (?:the|these) results|from these)\b",
    re.IGNORECASE,
)
_URGENT: Final = re.compile(r"\b(first|urgent(?:ly)?|immediately|at once|critical)\b", re.IGNORECASE)
_CRITERION: Final = re.compile(r"\b(so that|until|must|should|at least|at most|no later than)\b.*", re.IGNORECASE)
_MOST: Final = 20
_NAME_WORDS: Final = 4


def rule_planner(task: str, *, material: Any = None, capabilities: Sequence[str]) -> Plan:
    """Split a task by its text.

    Each list item, or else each sentence, is a subtask. It requires the capability whose words stand first in it (compared
    by stem), waits for the one before it when it says so ("then", "based on this"), comes first when it is urgent, and is
    done well when what it demands ("so that …", "at least …") is so. A task of one sentence that names no capability is
    looked at once for each capability.

    Args:
        task: What is to be done, in words.
        material: Not read: what there is to do stands in the task.
        capabilities: What the agents can do.
    """
    sentences = [each for each in cut(task) if not each.heading] or cut(task)
    if len(sentences) <= 1 and not (sentences and _required(sentences[0], capabilities)):
        return _by_capability(task, capabilities)
    subtasks: list[Subtask] = []
    for sentence in sentences[:_MOST]:
        before = [subtasks[-1].id] if subtasks and _FOLLOWS.search(sentence.text) else []
        criterion = _CRITERION.search(sentence.text)
        subtasks.append(
            Subtask(
                id=_id(sentence, {each.id for each in subtasks}),
                description=sentence.text,
                capabilities=tuple(_required(sentence, capabilities)),
                dependencies=tuple(before),
                priority=1 if _URGENT.search(sentence.text) else 0,
                success_criteria=(criterion[0].rstrip("."),) if criterion else (),
            )
        )
    left = f" The first {_MOST} of {len(sentences)} were taken." if len(sentences) > _MOST else ""
    return subtasks, f"Rules: each of the {len(subtasks)} sentences of the task is a subtask.{left}"


def _by_capability(task: str, capabilities: Sequence[str]) -> Plan:
    if not capabilities:
        return [
            Subtask(id="whole task", description=task)
        ], "Rules: the task is one sentence, and no agent names a skill."
    subtasks = [
        Subtask(id=name, description=f"{task} Look at it as far as {name} is concerned.", capabilities=(name,))
        for name in capabilities
    ]
    return subtasks, "Rules: the task is one sentence, so it is looked at once for each capability."


def _required(sentence: Sentence, capabilities: Sequence[str]) -> list[str]:
    stems = [stem(word) for word in sentence.words]
    places = {name: [stem(word) for word in name.lower().split()] for name in capabilities}
    named = {name: stems.index(words[0]) for name, words in places.items() if words and set(words) <= set(stems)}
    # one each: of two, nobody might have both
    return [min(named, key=lambda name: (named[name], name))] if named else []


def _id(sentence: Sentence, taken: set[str]) -> str:
    """Return a short name from the sentence's own words, unique in the plan."""
    stop = load_words("stopwords")
    words = [word for word in sentence.words if word not in stop and len(word) > 2][:_NAME_WORDS]
    name = " ".join(words) or "step"
    number = 2
    while name in taken:
        name, number = f"{' '.join(words) or 'step'} {number}", number + 1
    return name
