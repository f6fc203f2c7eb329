"""What the engine adds to the commits of the saver: reviews are opened and answers consumed with the rows they go with.

Works on sets, does no I/O, and adds nothing to a commit without questions or answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.types import Interrupt
from pydantic_core import to_jsonable_python

from ..checkpoints.queries import load_queries
from ..checkpoints.rows import Put, Write
from ..checkpoints.statement import Hook
from ..state.schemas import json_schema
from ..state.values import digest

__all__ = ["review_hook", "stored_question"]

_SQL: Final = load_queries(__package__, "reviews.sql")
_ASKED, _ANSWERED = "__interrupt__", "__resume__"
# the task under which LangGraph keeps answers that were given by position, before any node has them
_NO_TASK = "00000000-0000-0000-0000-000000000000"


def review_hook(serde: SerializerProtocol) -> Hook:
    """Make the hook.

    Args:
        serde: Serialises questions and answers; with an encryption key they are encrypted like channel values.
    """

    def hook(puts: Sequence[Put], writes: Sequence[Write]) -> list[tuple[str, Sequence[Any]]]:
        asked = [write for write in writes if write.channel == _ASKED]
        answered = [write for write in writes if write.channel == _ANSWERED and write.task_id != _NO_TASK]
        if not asked and not answered:
            return []
        questions = _questions(asked)
        statements: list[tuple[str, Sequence[Any]]] = []
        if questions:
            statements.append((_SQL["open_reviews"], _question_columns(serde, questions)))
        if answered:
            opened = [[write.thread_id for write, _ in questions], [interrupt.id for _, interrupt in questions]]
            tasks = [[write.thread_id for write in answered], [write.task_id for write in answered]]
            statements.append((_SQL["consume_answers"], [*tasks, *opened]))
            statements.append((_SQL["close_answered_elsewhere"], [*tasks, *_answer_columns(serde, answered), *opened]))
        return statements

    return hook


def stored_question(serde: SerializerProtocol, value: Any, response_schema: Any = None) -> tuple[str, bytes]:
    """Serialise a question for its row: JSON-safe whatever the workflow asked with, since people are shown it.

    Args:
        serde: The serializer.
        value: What the workflow asked with.
        response_schema: JSON Schema, or a type to take it from; None without one.
    """
    if response_schema is not None and not isinstance(response_schema, dict):
        response_schema = json_schema(response_schema)
    return serde.dumps_typed({"value": to_jsonable_python(value, fallback=repr), "response_schema": response_schema})


def _questions(writes: Sequence[Write]) -> list[tuple[Write, Interrupt]]:
    return [
        (write, interrupt)
        for write in writes
        for interrupt in (write.value if isinstance(write.value, list | tuple) else [write.value])
    ]


def _question_columns(serde: SerializerProtocol, questions: Sequence[tuple[Write, Interrupt]]) -> list[list[Any]]:
    stored = [stored_question(serde, interrupt.value, interrupt.response_schema) for _, interrupt in questions]
    return [
        [write.thread_id for write, _ in questions],
        [interrupt.id for _, interrupt in questions],
        [write.checkpoint_ns for write, _ in questions],
        [write.checkpoint_id for write, _ in questions],
        [write.task_id for write, _ in questions],
        [kind for kind, _ in stored],
        [data for _, data in stored],
    ]


def _answer_columns(serde: SerializerProtocol, writes: Sequence[Write]) -> list[list[Any]]:
    last = [write.value[-1] if isinstance(write.value, list) and write.value else write.value for write in writes]
    safe = [to_jsonable_python(value, fallback=repr) for value in last]
    stored = [serde.dumps_typed(value) for value in safe]
    return [[kind for kind, _ in stored], [data for _, data in stored], [digest(value) for value in safe]]
