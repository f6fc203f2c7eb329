"""A program's own notifiers are told like those of the settings."""

from datetime import timedelta
from typing import Any

import pytest

from adjourn import AsyncEngine, ConfigurationError, Engine, ReviewPolicy, approve
from adjourn.engine.notices import Notice
from adjourn.engine.notifiers import NotDelivered
from support import workflows
from support.telling import rows

KNOWN = {"asking": workflows.asking}
DUE = "select attempts, next_at is null, refused from adjourn.notices"


class Chat:
    """Takes what it is told; before that it fails as often as it is asked to."""

    def __init__(self, *failures: Exception) -> None:
        self.told: list[Notice] = []
        self._failures = list(failures)

    async def notify(self, notice: Notice) -> None:
        if self._failures:
            raise self._failures.pop(0)
        self.told.append(notice)


async def test_it_is_told_once_what_happens_to_reviews(database: str) -> None:
    chat, policy = Chat(), ReviewPolicy(roles=("legal",), deadline=0.05)
    for _ in range(2):
        async with AsyncEngine.open(database, workflows=KNOWN, notifiers={"chat": chat}) as engine:
            await engine.start("asking", {"name": "x"}, thread_id="t", policies=policy)
    assert [(notice.kind, notice.thread_id, notice.roles) for notice in chat.told] == [("asked", "t", ("legal",))]


async def test_whatever_it_raises_the_run_goes_on_and_it_is_told_later(database: str) -> None:
    chat = Chat(ValueError("no such channel"), NotDelivered("slow down", retry_after=timedelta(hours=1)))
    async with AsyncEngine.open(database, workflows=KNOWN, notifiers={"chat": chat}) as engine:
        assert (await engine.start("asking", {"name": "x"}, thread_id="t")).status == "paused"
    assert await rows(database, DUE) == [(1, False, [])]
    for left in (False, True):
        await rows(database, "update adjourn.notices set next_at = now() returning 1")
        async with AsyncEngine.open(database, workflows=KNOWN, notifiers={"chat": chat}) as engine:
            await engine._notifications.deliver()
            assert (bool(chat.told), (await engine.get("t")).status) == (left, "paused")
    async with AsyncEngine.open(database, workflows=KNOWN, notifiers={"chat": chat}) as engine:
        assert (await engine.resume("t", approve())).status == "completed"


async def test_what_it_refuses_for_good_is_given_up(database: str) -> None:
    refusing = Chat(NotDelivered("no such team", for_good=True))
    async with AsyncEngine.open(database, workflows=KNOWN, notifiers={"chat": refusing}) as engine:
        await engine.start("asking", {"name": "x"}, thread_id="t")
    assert await rows(database, DUE) == [(1, True, ["chat"])]


class Blocking:
    def notify(self, notice: Notice) -> None:
        """Not a coroutine."""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"log": Chat()}, "cannot be called 'log'"),
        ({"mail:me": Chat()}, "cannot be called 'mail:me'"),
        ({"": Chat()}, "cannot be called ''"),
        ({"a\x00b": Chat()}, "cannot be called"),
        ({"chat": Blocking()}, "is a Blocking; it must have a method `async def notify"),
        ({"chat": None}, "is a NoneType"),
    ],
)
def test_one_that_does_not_fit_is_refused_at_once(database: str, given: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said), Engine.open(database, notifiers=given):
        pass
