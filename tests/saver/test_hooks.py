"""What others add to a thread's commit stands or falls with it."""

import asyncio
from collections.abc import Sequence

import pytest

from adjourn.checkpoints import Added, Storage
from adjourn.checkpoints.fence import holding, take
from adjourn.checkpoints.rows import Put, Write
from adjourn.errors import InvalidInput, LeaseLost, StorageUnavailable
from support.postgres import execute
from support.saving import count_of, put

NOTE = "insert into notes (thread_id, what) select * from unnest(%s::text[], %s::text[]) on conflict do nothing"


class Notes:
    """A hook that keeps a table of its own: which checkpoints and questions were stored."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls = 0
        execute(
            url, "create table notes (thread_id text, what text check (what <> 'bad'), primary key (thread_id, what))"
        )

    def __call__(self, puts: Sequence[Put], writes: Sequence[Write]) -> list[Added]:
        self.calls += 1
        found = [(each.thread_id, str(each.checkpoint["channel_values"]["text"])) for each in puts]
        found += [(each.thread_id, str(each.value)) for each in writes if each.channel == "__interrupt__"]
        if not found:
            return []
        return [Added("notes", NOTE, ([thread_id for thread_id, _ in found], [what for _, what in found]))]

    def rows(self) -> list[tuple[object, ...]]:
        return execute(self.url, "select thread_id, what from notes order by 1, 2")


@pytest.fixture
def notes(storage: Storage) -> Notes:
    hook = Notes(storage.url.get_secret_value())
    storage.saver.add_hook(hook)
    return hook


async def test_a_hook_is_called_once_for_a_batch_and_its_rows_are_committed_with_it(
    storage: Storage, notes: Notes
) -> None:
    await asyncio.gather(*(put(storage.saver, f"t{n}", text=f"v{n}") for n in range(5)))
    assert notes.calls == 1
    assert notes.rows() == [(f"t{n}", f"v{n}") for n in range(5)]


async def test_a_hook_sees_the_value_of_a_write_as_langgraph_gave_it(storage: Storage, notes: Notes) -> None:
    head = await put(storage.saver, "t", text="v")
    await storage.saver.aput_writes(head, [("__interrupt__", ("really?",)), ("text", "x")], "task")
    assert ("t", "('really?',)") in notes.rows()


async def test_a_statement_of_a_hook_that_fails_takes_its_own_call_with_it_and_no_other(
    storage: Storage, notes: Notes
) -> None:
    outcomes = await asyncio.gather(
        *(put(storage.saver, f"t{n}", text="bad" if n == 3 else f"v{n}") for n in range(6)), return_exceptions=True
    )
    assert [isinstance(outcome, StorageUnavailable) for outcome in outcomes] == [n == 3 for n in range(6)]
    assert count_of(storage.url.get_secret_value(), ["t3"]) == 0
    assert len(notes.rows()) == 5


async def test_a_hook_that_raises_fails_the_calls_that_it_raises_for(storage: Storage) -> None:
    def refuse(puts: Sequence[Put], writes: Sequence[Write]) -> list[Added]:
        if any(each.thread_id == "t1" for each in puts):
            raise InvalidInput("no", thread_id="t1")
        return []

    storage.saver.add_hook(refuse)
    outcomes = await asyncio.gather(*(put(storage.saver, f"t{n}", text="v") for n in range(3)), return_exceptions=True)
    assert [isinstance(outcome, InvalidInput) for outcome in outcomes] == [False, True, False]


async def test_nothing_of_a_hook_is_committed_for_a_thread_that_was_taken_over(storage: Storage, notes: Notes) -> None:
    async with storage.pool.connection() as connection:
        old = await take(connection, "lost", "one", 0)
        assert old
        assert await take(connection, "lost", "two", 60)
    with holding("lost", old):
        outcomes = await asyncio.gather(
            *(put(storage.saver, thread_id, text="v") for thread_id in ("a", "lost", "b")), return_exceptions=True
        )
    assert [isinstance(outcome, LeaseLost) for outcome in outcomes] == [False, True, False]
    assert notes.rows() == [("a", "v"), ("b", "v")]


async def test_copies_of_a_saver_share_hooks_and_queue(storage: Storage, notes: Notes) -> None:
    copies = [storage.saver.with_allowlist({("some.module", f"Type{n}")}) for n in range(3)]
    await asyncio.gather(*(put(copy, f"t{n}", text=f"v{n}") for n, copy in enumerate(copies)))
    assert notes.calls == 1
    assert len(notes.rows()) == 3
