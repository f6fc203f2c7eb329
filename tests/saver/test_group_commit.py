"""Everything that waits at one moment is stored by one statement, and each caller gets its own outcome."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import pytest

from adjourn.checkpoints import Storage, commits
from adjourn.checkpoints.backlog import Backlog, Waiting
from adjourn.checkpoints.rows import Call
from adjourn.errors import InvalidInput, StorageUnavailable
from support.eventually import eventually
from support.postgres import execute
from support.saving import config, count_of, four_steps, id_of, put, rows_of


class Gate:
    """Holds every commit until it is opened, and notes which calls went together."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened = asyncio.Event()
        self.batches: list[list[Call]] = []
        self._store = commits.store
        monkeypatch.setattr(commits, "store", self._hold)

    async def _hold(self, connection: Any, calls: Sequence[Call], **options: Any) -> dict[int, str]:
        self.batches.append(list(calls))
        await self.opened.wait()
        return await self._store(connection, calls, **options)

    async def holds(self, batches: int) -> None:
        """Wait until that many commits are held, and every other caller waits."""
        await eventually(lambda: len(self.batches) == batches)
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


async def test_a_hundred_callers_need_a_handful_of_commits(storage: Storage, gate: Gate) -> None:
    callers = asyncio.gather(*(put(storage.saver, f"t{n}", list=[n]) for n in range(100)))
    await gate.holds(3)
    gate.opened.set()
    await callers
    assert sorted(len(batch) for batch in gate.batches) == [33, 33, 34], (
        "they are shared, so that no lane waits for the others"
    )
    assert count_of(storage.url.get_secret_value(), [f"t{n}" for n in range(100)]) == 200


async def test_what_waited_behind_other_commits_is_shared_as_well(storage: Storage, gate: Gate) -> None:
    committer = storage.saver._committer
    threads = [f"t{n}" for n in range(30)]
    committer._free_lanes = committer._lanes = 1
    first = [asyncio.create_task(put(storage.saver, thread, list=[1])) for thread in threads]
    await gate.holds(1)
    second = [asyncio.create_task(put(storage.saver, thread, list=[2])) for thread in threads]
    await asyncio.sleep(0)
    committer._free_lanes, committer._lanes = 2, 3
    held, gate.opened = gate.opened, asyncio.Event()
    held.set()
    await gate.holds(4)
    assert [len(batch) for batch in gate.batches] == [30, 10, 10, 10]
    gate.opened.set()
    await asyncio.gather(*first, *second)


async def test_a_few_callers_need_one_commit(storage: Storage, gate: Gate) -> None:
    callers = asyncio.gather(*(put(storage.saver, f"t{n}", list=[n]) for n in range(8)))
    await gate.holds(1)
    gate.opened.set()
    await callers
    assert [len(batch) for batch in gate.batches] == [8]


async def test_threads_that_somebody_has_for_themselves_do_not_keep_a_lane_from_others() -> None:
    backlog = Backlog(limit=1_000_000, batch=1_000_000)
    ended = asyncio.Event()

    async def have(thread_id: str) -> None:
        async with backlog.alone(thread_id):
            await ended.wait()

    names = [f"t{n}" for n in range(20)]
    for name in names:
        backlog.add(Waiting(Call(name, None)))
    taken = backlog.take()
    having = [asyncio.create_task(have(name)) for name in names]
    await asyncio.sleep(0)
    backlog.settle(taken)
    backlog.add(Waiting(Call("other", None)))
    assert [waiting.call.thread_id for waiting in backlog.take(3)] == ["other"]
    ended.set()
    await asyncio.gather(*having)


async def test_a_caller_returns_only_when_its_rows_are_committed(storage: Storage, gate: Gate) -> None:
    caller = asyncio.create_task(put(storage.saver, "t", list=[1]))
    await gate.holds(1)
    assert not caller.done()
    gate.opened.set()
    await caller
    assert count_of(storage.url.get_secret_value(), ["t"]) == 2


async def test_the_writes_of_a_step_and_the_next_checkpoint_are_one_commit(storage: Storage, gate: Gate) -> None:
    gate.opened.set()
    await four_steps(storage.saver).ainvoke({"log": [], "text": ""}, config("t"), durability="sync")
    # the input, the start, and one for each step: eleven calls
    assert len(gate.batches) == 6
    assert sum(len(batch) for batch in gate.batches) == 11


async def test_the_order_within_a_thread_is_kept_whatever_is_on_its_way(storage: Storage, gate: Gate) -> None:
    first = asyncio.create_task(put(storage.saver, "t", text="1"))
    await gate.holds(1)
    later = [asyncio.create_task(put(storage.saver, "t", text=str(n))) for n in range(2, 5)]
    others = [asyncio.create_task(put(storage.saver, f"other{n}", text="1")) for n in range(3)]
    await gate.holds(2)
    # the second lane stores the other threads and leaves t alone while the first one has it
    assert [{call.thread_id for call in batch} for batch in gate.batches] == [{"t"}, {"other0", "other1", "other2"}]
    gate.opened.set()
    await asyncio.gather(first, *later, *others)
    values = [
        call.puts[0].checkpoint["channel_values"]["text"]
        for batch in gate.batches
        for call in batch
        if call.thread_id == "t"
    ]
    assert values == ["1", "2", "3", "4"]


@pytest.mark.parametrize("poison", ["constraint", "serial form", "zero byte in an id", "a lone surrogate", "too large"])
async def test_one_poisoned_call_among_a_hundred_fails_its_own_caller_only(poison: str, storage: Storage) -> None:
    url = storage.url.get_secret_value()
    thread_ids = [f"t{n}" for n in range(100)]
    values: dict[str, Any] = {"list": ["x"]}
    if poison == "constraint":
        execute(url, "alter table checkpoints add check (thread_id <> 't42')")
    elif poison == "serial form":
        values = {"list": [2**70]}
    elif poison == "zero byte in an id":
        thread_ids[42] = "t\x0042"
    elif poison == "a lone surrogate":
        values = {"text": "\ud800"}
    else:
        # a B-tree entry of PostgreSQL holds no more than 2,704 bytes; random ones, so that they do not compress
        thread_ids[42] = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9000))
    poisoned = thread_ids[42]
    calls = [put(storage.saver, each, **(values if each == poisoned else {"list": ["x"]})) for each in thread_ids]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    failed = {thread_ids[n]: outcome for n, outcome in enumerate(outcomes) if isinstance(outcome, BaseException)}
    assert list(failed) == [poisoned]
    error = failed[poisoned]
    assert isinstance(error, InvalidInput | StorageUnavailable)
    assert error.thread_id == poisoned
    assert count_of(url, [each for each in thread_ids if each != poisoned]) == 198


async def test_a_bad_call_does_not_hold_up_the_next_ones_of_its_thread(storage: Storage) -> None:
    url = storage.url.get_secret_value()
    execute(url, "alter table checkpoint_writes add check (channel <> 'bad')")
    head = await put(storage.saver, "t", text="1")
    outcomes = await asyncio.gather(
        storage.saver.aput_writes(head, [("good", 1)], "task-1"),
        storage.saver.aput_writes(head, [("bad", 1)], "task-2"),
        storage.saver.aput_writes(head, [("good", 1)], "task-3"),
        put(storage.saver, "t", parent=id_of(head), text="2"),
        return_exceptions=True,
    )
    assert [isinstance(outcome, StorageUnavailable) for outcome in outcomes] == [False, True, False, False]
    assert len(rows_of(url, "t")["checkpoint_writes"]) == 2


async def test_a_cancelled_caller_harms_no_neighbour(storage: Storage, gate: Gate) -> None:
    callers = [asyncio.create_task(put(storage.saver, f"t{n}", list=[n])) for n in range(10)]
    await gate.holds(2)
    callers[3].cancel()
    gate.opened.set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, asyncio.CancelledError)] == [3]
    assert count_of(storage.url.get_secret_value(), [f"t{n}" for n in range(10) if n != 3]) == 18


async def test_callers_wait_when_the_backlog_is_full_and_none_starves(storage: Storage, gate: Gate) -> None:
    committer = storage.saver._committer
    committer._backlog = Backlog(limit=3_000, batch=2_000)
    callers = [asyncio.create_task(put(storage.saver, f"t{n % 7}", text="x" * 500)) for n in range(40)]
    await gate.holds(2)
    waiting = sum(call.size for batch in gate.batches for call in batch) + committer._backlog._bytes
    assert waiting < 10_000
    assert not any(caller.done() for caller in callers)
    gate.opened.set()
    await asyncio.gather(*callers)
    # in order of arrival for each thread, although nearly all of them had to wait for room
    stored = [call for batch in gate.batches for call in batch]
    assert len(stored) == 40
    for thread in range(7):
        ids = [call.puts[0].checkpoint_id for call in stored if call.thread_id == f"t{thread}"]
        assert ids == sorted(ids)


async def test_a_caller_that_gives_up_while_it_waits_for_room_lets_the_next_one_in(
    storage: Storage, gate: Gate
) -> None:
    storage.saver._committer._backlog = Backlog(limit=1_000, batch=2_000)
    callers = [asyncio.create_task(put(storage.saver, f"t{n}", text="x" * 2_000)) for n in range(6)]
    await gate.holds(1)
    for n in (1, 2, 4):
        callers[n].cancel()
    gate.opened.set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes] == [
        False,
        True,
        True,
        False,
        True,
        False,
    ]
    assert count_of(storage.url.get_secret_value(), ["t1", "t2", "t4"]) == 0


async def test_a_value_larger_than_the_whole_backlog_is_stored(storage: Storage) -> None:
    storage.saver._committer._backlog = Backlog(limit=1_000, batch=500)
    await asyncio.gather(*(put(storage.saver, f"t{n}", list=["x" * 50_000]) for n in range(5)))
    assert count_of(storage.url.get_secret_value(), [f"t{n}" for n in range(5)]) == 10


async def test_calls_from_another_thread_work_and_calls_that_would_block_for_ever_are_refused(storage: Storage) -> None:
    def elsewhere() -> list[str]:
        graph = four_steps(storage.saver)
        ended = graph.invoke({"log": [], "text": ""}, config("t"), durability="sync")
        assert len(list(storage.saver.list(config("t")))) == 6
        storage.saver.copy_thread("t", "u")
        found = storage.saver.get_tuple(config("u"))
        assert found is not None
        storage.saver.delete_thread("u")
        storage.saver.delete_for_runs(["none"])
        storage.saver.prune(["t"])
        assert len(list(storage.saver.list(config("t")))) == 1
        return list(ended["log"])

    assert await asyncio.to_thread(elsewhere) == ["a", "b", "c", "d"]
    with pytest.raises(asyncio.InvalidStateError, match="from its own event loop"):
        storage.saver.put_writes(config("t", "1"), [("text", "x")], "task")
