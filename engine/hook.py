"""What the engine adds to the commits of the saver: reviews are opened and answers consumed with the rows they go with.

Works on sets, does no I/O, and adds nothing to a commit without questions or answers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.types import Interrupt
from pydantic_core import to_jsonable_python

from ..checkpoints.arrays import bigints, byteas, texts
from ..checkpoints.queries import load_queries
from ..checkpoints.rows import Put, Write
from ..checkpoints.statement import Added, Hook
from ..state.values import digest
from .child_waits import is_wait
from .opening import opening
from .policy_book import PolicyBook

__all__ = ["review_hook"]

_SQL: Final = load_queries(__package__, "reviews.sql")
_ASKED, _ANSWERED = "__interrupt__", "__resume__"
# the task under which LangGraph keeps answers that were given by position, before any node has them
_NO_TASK = "00000000-0000-0000-0000-000000000000"


def review_hook(
    serde: SerializerProtocol, policies: PolicyBook, is_fed: Callable[[str, str], bool] = lambda *_: False
) -> Hook:
    """Make the hook.

    Args:
        serde: Serialises questions and answers; with an encryption key they are encrypted like channel values.
        policies: Says under which policy a question is asked.
        is_fed: Says of a thread and a task whether a drive of this process gave it a recorded decision, so that there is
            no question to be closed with what LangGraph was given.
    """

    def hook(puts: Sequence[Put], writes: Sequence[Write]) -> list[Added]:
        asked = [write for write in writes if write.channel == _ASKED]
        answered = [write for write in writes if write.channel == _ANSWERED and write.task_id != _NO_TASK]
        if not asked and not answered:
            return []
        questions = _questions(asked)
        items: list[Added] = []
        if questions:
            items.append(Added("open_reviews", _SQL["open_reviews"], _question_columns(serde, policies, questions)))
        opened = [texts(write.thread_id for write, _ in questions), texts(each.id for _, each in questions)]
        if answered:
            tasks = [texts(write.thread_id for write in answered), texts(write.task_id for write in answered)]
            items.append(Added("consume_answers", _SQL["consume_answers"], [*tasks, *opened]))
        elsewhere = [write for write in answered if not is_fed(write.thread_id, write.task_id)]
        if elsewhere:
            tasks = [texts(write.thread_id for write in elsewhere), texts(write.task_id for write in elsewhere)]
            closed = [*tasks, *_answer_columns(serde, elsewhere), *opened]
            items.append(Added("close_answered_elsewhere", _SQL["close_answered_elsewhere"], closed))
            items.append(Added("record_answered_elsewhere", _SQL["record_answered_elsewhere"], ()))
        return items

    return hook


def _questions(writes: Sequence[Write]) -> list[tuple[Write, Interrupt]]:
    return [
        (write, interrupt)
        for write in writes
        for interrupt in (write.value if isinstance(write.value, list | tuple) else [write.value])
        if not is_wait(interrupt)
    ]


def _question_columns(
    serde: SerializerProtocol, policies: PolicyBook, questions: Sequence[tuple[Write, Interrupt]]
) -> list[Any]:
    opened = [
        opening(serde, asked.value, asked.response_schema, policies.policy(write.thread_id, write.token, asked.value))
        for write, asked in questions
    ]
    return [
        texts(write.thread_id for write, _ in questions),
        texts(interrupt.id for _, interrupt in questions),
        texts(write.checkpoint_ns for write, _ in questions),
        texts(write.checkpoint_id for write, _ in questions),
        texts(write.task_id for write, _ in questions),
        texts(each.question_type for each in opened),
        byteas(each.question for each in opened),
        texts(each.digest for each in opened),
        texts(each.roles for each in opened),
        bigints(each.priority for each in opened),
        bigints(each.deadline for each in opened),
        bigints(each.remind_after for each in opened),
        bigints(int(each.fails_closed) for each in opened),
    ]


def _answer_columns(serde: SerializerProtocol, writes: Sequence[Write]) -> list[Any]:
    last = [write.value[-1] if isinstance(write.value, list) and write.value else write.value for write in writes]
    safe = [to_jsonable_python(value, fallback=repr) for value in last]
    stored = [serde.dumps_typed(value) for value in safe]
    return [
        texts(kind for kind, _ in stored),
        byteas(data for _, data in stored),
        texts(digest(value) for value in safe),
    ]
