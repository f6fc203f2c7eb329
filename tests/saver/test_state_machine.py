"""Random calls over several threads, many at once, against LangGraph's in-memory saver as the model."""

import asyncio
import copy
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from langgraph.checkpoint.memory import InMemorySaver

from adjourn.checkpoints import Saver, open_storage
from adjourn.settings import load_settings
from support.saving import config

THREADS = ("t1", "t2", "t3")
SPACES = ("", "child:1")
values = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["x", 7, None, ["list"], {"deep": [1]}]), max_size=3)
written = st.one_of(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["v", ["w"]])), min_size=1, max_size=3),
    st.lists(st.tuples(st.sampled_from(["__interrupt__", "__resume__"]), st.integers(0, 9)), min_size=1, max_size=1),
)
operation = st.one_of(
    st.tuples(st.just("put"), st.sampled_from(THREADS), st.sampled_from(SPACES), values),
    st.tuples(st.just("put"), st.sampled_from(THREADS), st.sampled_from(SPACES), values),
    st.tuples(st.just("writes"), st.sampled_from(THREADS), st.sampled_from(SPACES), st.sampled_from("12"), written),
    st.tuples(st.just("read"), st.sampled_from(THREADS), st.sampled_from(SPACES)),
    st.tuples(st.just("delete"), st.sampled_from(THREADS)),
    st.tuples(st.just("prune"), st.sampled_from(THREADS)),
)


class Loop:
    """An event loop in a thread, with a saver in it."""

    def __init__(self, url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self._storage = open_storage(load_settings(), url)
        self.saver: Saver = self.run(self._storage.__aenter__()).saver

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        done: Future[Any] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return done.result(60)

    def close(self) -> None:
        self.run(self._storage.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@contextmanager
def running(url: str) -> Iterator[Loop]:
    loop = Loop(url)
    try:
        yield loop
    finally:
        loop.close()


class Machine(RuleBasedStateMachine):
    loop: Loop

    def __init__(self) -> None:
        super().__init__()
        self.model = InMemorySaver()
        self.states: dict[tuple[str, str], dict[str, Any]] = {}
        self.copies = self.clock = 0
        self.loop.run(self._clear())

    async def _clear(self) -> None:
        await self.loop.saver.aprune([*THREADS, *(f"copy{n}" for n in range(60))], strategy="delete")
        async with self.loop.saver._lender.lend() as connection:
            await connection.execute("truncate adjourn.leases")

    @rule(operations=st.lists(operation, min_size=1, max_size=8))
    def at_once(self, operations: list[Any]) -> None:
        """All are begun in this order before any has ended; those of one thread take effect in this order."""
        calls = [getattr(self, f"_{name}")(*rest) for name, *rest in operations]

        async def all_of_them() -> None:
            await asyncio.gather(*calls)

        self.loop.run(all_of_them())

    @precondition(lambda self: self.states)
    @rule(source=st.sampled_from(THREADS))
    def copy(self, source: str) -> None:
        self.copies += 1
        target = f"copy{self.copies}"
        self.loop.run(self.loop.saver.acopy_thread(source, target))
        for (thread_id, space), entries in [((s, n), e) for s, ns in self.model.storage.items() for n, e in ns.items()]:
            if thread_id == source:
                self.model.storage[target][space] = dict(entries)
        self.model.blobs |= {(target, *key[1:]): blob for key, blob in self.model.blobs.items() if key[0] == source}
        for key, stored in list(self.model.writes.items()):
            if key[0] == source:
                self.model.writes[(target, *key[1:])] = dict(stored)  # type: ignore[index]

    @invariant()
    def the_same_is_stored(self) -> None:
        for thread_id in [*THREADS, *(f"copy{n + 1}" for n in range(self.copies))]:
            assert self.loop.run(self._listed(thread_id)) == _sorted(self.model.list(_anywhere(thread_id)))
            for space in SPACES:
                named = config(thread_id, checkpoint_ns=space)
                assert _plain(self.loop.run(self.loop.saver.aget_tuple(named))) == _plain(self.model.get_tuple(named))

    async def _listed(self, thread_id: str) -> list[Any]:
        return _sorted([each async for each in self.loop.saver.alist(_anywhere(thread_id))])

    def _put(self, thread_id: str, space: str, changed: dict[str, Any]) -> Coroutine[Any, Any, Any]:
        state = self.states.setdefault((thread_id, space), {"values": {}, "versions": {}, "head": None})
        self.clock += 1
        state["values"] |= changed
        new = dict.fromkeys(changed, f"{self.clock:08}.0")
        state["versions"] |= new
        named, state["head"] = config(thread_id, state["head"], space), f"{self.clock:08}"
        checkpoint: Any = {
            "v": 4, "id": state["head"], "ts": "", "channel_values": dict(state["values"]),
            "channel_versions": dict(state["versions"]), "versions_seen": {}, "updated_channels": None,
        }  # fmt: skip
        self.model.put(named, copy.deepcopy(checkpoint), {"step": self.clock}, new)
        return self.loop.saver.aput(named, checkpoint, {"step": self.clock}, new)

    def _writes(self, thread_id: str, space: str, task: str, writes: list[Any]) -> Coroutine[Any, Any, Any]:
        state = self.states.get((thread_id, space))
        if state is None or state["head"] is None:
            return _nothing()
        named = config(thread_id, state["head"], space)
        self.model.put_writes(named, writes, task)
        return self.loop.saver.aput_writes(named, writes, task)

    def _read(self, thread_id: str, space: str) -> Coroutine[Any, Any, Any]:
        return self.loop.saver.aget_tuple(config(thread_id, checkpoint_ns=space))

    def _delete(self, thread_id: str) -> Coroutine[Any, Any, Any]:
        self.model.delete_thread(thread_id)
        for space in SPACES:
            if state := self.states.get((thread_id, space)):
                state.update(values={}, versions={}, head=None)
        return self.loop.saver.adelete_thread(thread_id)

    def _prune(self, thread_id: str) -> Coroutine[Any, Any, Any]:
        for space, entries in self.model.storage[thread_id].items():
            if entries:
                head = max(entries)
                checkpoint, metadata, _ = entries[head]
                self.model.storage[thread_id][space] = {head: (checkpoint, metadata, None)}
        return self.loop.saver.aprune([thread_id])


async def _nothing() -> None:
    return None


def _anywhere(thread_id: str) -> Any:
    return {"configurable": {"thread_id": thread_id}}


def _sorted(tuples: Any) -> list[Any]:
    return sorted(
        (_plain(each) for each in tuples), key=lambda each: (each[0]["checkpoint_ns"], each[0]["checkpoint_id"])
    )


def _plain(saved: Any) -> Any:
    if saved is None:
        return None
    parent = saved.parent_config and saved.parent_config["configurable"]["checkpoint_id"]
    names = {
        name: saved.config["configurable"].get(name, "") for name in ("thread_id", "checkpoint_ns", "checkpoint_id")
    }
    names["checkpoint_id"] = saved.checkpoint["id"]
    return (names, saved.checkpoint, saved.metadata, parent, list(saved.pending_writes or []))


# The pool, in another thread, may call `random` while Hypothesis watches whether a strategy does.
pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")


def check(url: str, examples: int) -> None:
    with running(url) as loop:
        run_state_machine_as_test(
            type("MachineOnLoop", (Machine,), {"loop": loop}),
            settings=settings(
                max_examples=examples,
                stateful_step_count=8,
                derandomize=True,
                phases=[Phase.generate],
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )


def test_random_calls_leave_what_the_in_memory_saver_holds(database: str) -> None:
    check(database, 12)


@pytest.mark.soak
def test_a_great_many_random_calls_leave_what_the_in_memory_saver_holds(any_database: str) -> None:
    check(any_database, 400)
