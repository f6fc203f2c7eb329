"""Many runs under load while processes or the database die: the workflow, its clients, and what must hold at the end.

Every node and effect appends a line to a file, which survives a kill. Pauses are drawn from the run's name, so that a
node takes the same time wherever it runs.
"""

import asyncio
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from langgraph.graph import StateGraph

from adjourn import AsyncEngine, LeaseLost, NotPaused, ReviewClosed, StorageUnavailable, ThreadBusy, approve
from adjourn.nodes.effects import once
from support.workflows import Trail, ask, chain

STEPS = ["first", "pay", "ask", "last"]
# what a client may be told in passing; it tries again
PASSING = (StorageUnavailable, LeaseLost, NotPaused, ReviewClosed, ThreadBusy)


@dataclass(frozen=True)
class Line:
    """What a process noted: when, who, what, for which run."""

    at: float
    pid: int
    what: str
    run: str
    key: str


def load_workflow(ledger: Path, pause: float) -> StateGraph[Trail]:
    """first → pay (an effect) → ask → last; nodes take up to `pause` seconds."""

    def note(what: str, run: str, key: str = "-") -> None:
        with ledger.open("ab", buffering=0) as file:
            file.write(f"{time.time()} {os.getpid()} {what} {run} {key}\n".encode())

    async def work(name: str, run: str) -> None:
        note(name, run)
        await asyncio.sleep(random.Random(f"{name} {run}").uniform(0, pause))

    async def charge(run: str, idempotency_key: str) -> str:
        note("charged", run, idempotency_key)
        await asyncio.sleep(0.01)
        return "receipt"

    async def first(state: Trail) -> Trail:
        await work("first", state["name"])
        return {"trail": ["first"]}

    async def pay(state: Trail) -> Trail:
        await work("pay", state["name"])
        await once("charge", charge, state["name"], on_uncertain="retry")
        return {"trail": ["pay"]}

    async def last(state: Trail) -> Trail:
        await work("last", state["name"])
        return {"trail": ["last"]}

    return chain(("first", first), ("pay", pay), ("ask", ask), ("last", last))


async def work_off(engine: AsyncEngine, names: Sequence[str], seed: str, at_once: int) -> Counter[str]:
    """Start and answer runs, in an order of the seed's, until all have completed; recover what others left meanwhile.

    Any number of clients may work off the same names: starting is idempotent by thread id, answering by answer.

    Returns:
        What the calls were told in passing, by error, and how many runs were recovered.
    """
    told: Counter[str] = Counter()
    chance = random.Random(seed)
    slots = asyncio.Semaphore(at_once)

    async def advance(name: str) -> None:
        async with slots:
            with _passing(told):
                run = await engine.start("load", {"name": name}, thread_id=name)
                if run.status == "paused":
                    run = await engine.resume(name, approve(), by="dana")
                assert run.status != "failed", (name, run.error)

    async def recover() -> None:
        while True:
            with _passing(told):
                told["recovered"] += len(await engine.recover())
            await asyncio.sleep(0.1)

    recovering = asyncio.create_task(recover())
    left = list(names)
    while left:
        await asyncio.gather(*(advance(name) for name in chance.sample(left, len(left))))
        assert not recovering.done(), recovering.result()
        await asyncio.sleep(0.05)
        with _passing(told):
            ended = {run.thread_id for run in await engine.runs(status="completed", limit=1000)}
            left = [name for name in left if name not in ended]
    recovering.cancel()
    await asyncio.gather(recovering, return_exceptions=True)
    return told


@contextmanager
def _passing(told: Counter[str]) -> Iterator[None]:
    try:
        yield
    except PASSING as error:
        told[type(error).__name__] += 1


def assert_all_ended_right(
    database: str, ledger: Path, names: Sequence[str], killed: Collection[int] = ()
) -> Counter[str]:
    """Assert that no run was lost or completed twice, and that nodes and effects ran as often as they may.

    A node never begins after the checkpoint that finished it; it runs again only if the process that ran it was killed
    or lost the database before that. An effect is done again only if the process that did it was killed.

    Returns:
        How many runs ended how.
    """
    lines = [_line(text) for text in ledger.read_text().splitlines()]
    with psycopg.connect(database) as connection:
        statuses = dict(connection.execute("select thread_id, status from adjourn.runs").fetchall())
        checkpoints = connection.execute(_FINISHED).fetchall()
        forks = connection.execute(_FORKS).fetchall()
        twice = connection.execute(_COMPLETED_TWICE).fetchall()
    assert statuses == dict.fromkeys(names, "completed")
    assert (forks, twice) == ([], []), f"forks: {forks}, completed twice: {twice}"
    # one checkpoint for the input, one for the start, one for each node: nothing was finished twice
    assert len(checkpoints) == len(names) * (len(STEPS) + 2)
    finished = {(run, step): at for run, step, at in checkpoints}
    begun = [line for line in lines if line.what in STEPS]
    assert [line for line in begun if line.at > finished[line.run, STEPS.index(line.what) + 1]] == []
    assert {(line.run, line.what) for line in begun} == {
        (run, what) for run in names for what in ("first", "pay", "last")
    }
    charges = defaultdict(list)
    for line in lines:
        if line.what == "charged":
            charges[line.run].append(line)
    assert set(charges) == set(names)
    for done in charges.values():
        assert len({line.key for line in done}) == 1, done
        assert {line.pid for line in done[:-1]} <= set(killed), done
    return Counter(statuses.values())


def _line(text: str) -> Line:
    at, pid, what, run, key = text.split()
    return Line(float(at), int(pid), what, run, key)


_FINISHED = """
    select thread_id, (metadata ->> 'step')::int, extract(epoch from (checkpoint ->> 'ts')::timestamptz)::float
    from checkpoints"""
_FORKS = """
    select thread_id, parent_checkpoint_id from checkpoints
    group by thread_id, checkpoint_ns, parent_checkpoint_id having count(*) > 1"""
_COMPLETED_TWICE = """
    select thread_id from adjourn.events where kind = 'completed' group by thread_id having count(*) > 1"""
