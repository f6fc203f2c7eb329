"""Measure the engine: `python -m benchmarks.engine [--quick] [--url postgresql://…] [--out folder]`.

Everything is a ratio of two things that take turns in one process, on one saver and one server: what the engine adds to
bare LangGraph, and what a hundred thousand waiting runs add to a hundred.
"""

from __future__ import annotations

import asyncio
import operator
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Annotated, Any, TypedDict
from uuid import uuid4

from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt
from psycopg import AsyncConnection

from adjourn import AsyncEngine, Settings
from benchmarks.command import options, where, write
from benchmarks.machine import describe, new_database, server
from benchmarks.workloads import STEPS, TEXT

TARGETS = {
    "start, 1 at once": 1.4,
    "start, 32 at once": 1.25,
    "answer, 1 at once": 1.5,
    "answer to what another asked": 1.5,
    "get with many waiting": 1.5,
    "answer with many waiting": 1.5,
}
Work = Callable[[], Awaitable[None]]
# copies that are looked at and answered in each round: of a hundred there must be enough for all rounds
_LOOKED_AT = 9
_ROUNDS_OF_LOOKING = 11


class State(TypedDict):
    """A log that grows and a text that is replaced."""

    log: Annotated[list[str], operator.add]
    text: str


def steps() -> StateGraph[State]:
    """Four steps that do nothing but write."""

    def step(name: str) -> Any:
        async def run(state: State) -> dict[str, Any]:
            return {"log": [name], "text": TEXT + name}

        return run

    return chained({name: step(name) for name in STEPS})


def asking() -> StateGraph[State]:
    """One question, and one step after it."""

    async def ask(state: State) -> dict[str, Any]:
        return {"log": [str(interrupt("May it go on?"))]}

    async def after(state: State) -> dict[str, Any]:
        return {"log": ["after"]}

    return chained({"ask": ask, "after": after})


def chained(nodes: dict[str, Any]) -> StateGraph[State]:
    """Nodes, one after the other."""
    builder = StateGraph(State)
    for name, node in nodes.items():
        builder.add_node(name, node)
    for before, behind in zip((START, *nodes), (*nodes, END), strict=True):
        builder.add_edge(before, behind)
    return builder


async def rate(work: Work, at_once: int, seconds: float) -> float:
    """Return how often work is done in a second, so many at once."""
    done, until = 0, time.perf_counter() + seconds

    async def loop() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await work()
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(loop() for _ in range(at_once)))
    return done / (time.perf_counter() - began)


async def compared(ours: Work, theirs: Work, *, at_once: int, seconds: float, rounds: int) -> list[float]:
    """Return how many times longer ours takes, round by round, the two taking turns."""
    ratios = []
    for _ in range(rounds):
        # ours before and after theirs, so that what else the machine does hits both
        first = await rate(ours, at_once, seconds / 2)
        b = await rate(theirs, at_once, seconds)
        last = await rate(ours, at_once, seconds / 2)
        ratios.append(2 * b / (first + last))
    return ratios


async def overhead(engine: AsyncEngine, other: AsyncEngine, seconds: float, rounds: int) -> dict[str, list[float]]:
    """What the engine adds to a run, and to an answer: of the engine that asked, and of another, as in another process."""
    saver = engine._storage.saver
    plain, plain_asking = steps().compile(checkpointer=saver), asking().compile(checkpointer=saver)
    given = {"log": ["in"], "text": TEXT}

    async def started() -> None:
        assert (await engine.start("steps", given)).status == "completed"

    async def invoked() -> None:
        await plain.ainvoke(given, {"configurable": {"thread_id": str(uuid4())}}, durability="sync")

    for work in (started, invoked):
        await work()
    found = {
        f"start, {at_once} at once": await compared(started, invoked, at_once=at_once, seconds=seconds, rounds=rounds)
        for at_once in (1, 32)
    }
    count = int(40 * seconds)
    found["answer, 1 at once"] = await answering(engine, engine, plain_asking, given, rounds, count)
    found["answer to what another asked"] = await answering(engine, other, plain_asking, given, rounds, count)
    return found


async def answering(
    asks: AsyncEngine, answers: AsyncEngine, plain: Any, given: Any, rounds: int, count: int
) -> list[float]:
    """From an answer to the finished run, against `Command(resume=…)`; the runs are made before the clock starts."""

    async def answer(threads: list[str]) -> float:
        began = time.perf_counter()
        for thread_id in threads:
            await answers.resume(thread_id, "yes")
        return time.perf_counter() - began

    ratios = []
    for _ in range(rounds):
        ours = [(await asks.start("asking", given)).thread_id for _ in range(count)]
        theirs = []
        for _ in range(count):
            config = {"configurable": {"thread_id": str(uuid4())}}
            await plain.ainvoke(given, config, durability="sync")
            theirs.append((config, (await plain.aget_state(config)).interrupts[0].id))
        # as in `compared`
        first = await answer(ours[: count // 2])
        began = time.perf_counter()
        for config, asked in theirs:
            await plain.ainvoke(Command(resume={asked: "yes"}), config, durability="sync")
        b = time.perf_counter() - began
        ratios.append((first + await answer(ours[count // 2 :])) / b)
    return ratios


COPY = """
with copies as (select 'copy-' || n as id from generate_series(%(first)s::int, %(last)s::int) n),
runs as (
    insert into adjourn.runs (thread_id, tenant, workflow, version, source, status, requested_by, input_digest)
    select id, tenant, workflow, version, source, status, requested_by, input_digest
    from adjourn.runs, copies where thread_id = %(thread)s returning 1),
leases as (
    insert into adjourn.leases (thread_id, token, owner, expires_at)
    select id, 1, owner, '-infinity' from adjourn.leases, copies where thread_id = %(thread)s returning 1),
heads as (
    insert into checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata)
    select id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata
    from checkpoints, copies where thread_id = %(thread)s returning 1),
blobs as (
    insert into checkpoint_blobs (thread_id, checkpoint_ns, channel, version, type, blob)
    select id, checkpoint_ns, channel, version, type, blob
    from checkpoint_blobs, copies where thread_id = %(thread)s returning 1)
insert into checkpoint_writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob)
select id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob
from checkpoint_writes, copies where thread_id = %(thread)s
"""
COPY_REVIEWS = """
insert into adjourn.reviews (
    thread_id, review_id, checkpoint_ns, checkpoint_id, task_id, question_type, question, digest, tenant, workflow)
select 'copy-' || n, review_id, checkpoint_ns, checkpoint_id, task_id, question_type, question, digest, tenant, workflow
from adjourn.reviews, generate_series(%(first)s::int, %(last)s::int) n where thread_id = %(thread)s
"""


async def waiting(engine: AsyncEngine, url: str, many: int, rounds: int) -> dict[str, list[float]]:
    """What many waiting runs add to looking at one and to answering one, against a hundred."""
    thread = (await engine.start("asking", {"log": ["in"], "text": TEXT})).thread_id
    few = await timed(engine, url, thread, 1, 100, rounds)
    full = await timed(engine, url, thread, 101, many, rounds)
    pairs = list(zip(few, full, strict=True))
    return {
        "get with many waiting": [b[0] / a[0] for a, b in pairs],
        "answer with many waiting": [b[1] / a[1] for a, b in pairs],
    }


async def timed(
    engine: AsyncEngine, url: str, thread: str, first: int, last: int, rounds: int
) -> list[tuple[float, float]]:
    """Copy the thread so often, then return the seconds of looking at some copies and of answering them, by round."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        for query in (COPY, COPY_REVIEWS):
            await connection.execute(query, {"first": first, "last": last, "thread": thread})
        await connection.execute("analyze")
    found, at_hand = [], iter(range(first, last + 1))
    for _ in range(rounds):
        chosen = [f"copy-{next(at_hand)}" for _ in range(_LOOKED_AT)]
        began = time.perf_counter()
        for thread_id in chosen:
            assert (await engine.get(thread_id)).reviews
        middle = time.perf_counter()
        for thread_id in chosen:
            assert (await engine.resume(thread_id, "yes")).status == "completed"
        found.append((middle - began, time.perf_counter() - middle))
    return found


async def measure(url: str, *, quick: bool) -> dict[str, list[float]]:
    """Run everything once; return the ratios of each round."""
    workflows = {"steps": steps(), "asking": asking()}
    seconds, rounds, many = (0.1, 1, 1_000) if quick else (1.0, 31, 100_000)
    settings = Settings(log_level="error")
    async with (
        AsyncEngine.open(url, workflows=workflows, settings=settings) as engine,
        AsyncEngine.open(url, workflows=workflows, settings=settings) as other,
    ):
        found = await overhead(engine, other, seconds, rounds)
        print({name: round(median(ratios), 2) for name, ratios in found.items()}, flush=True)
        return found | await waiting(engine, url, many, min(rounds, _ROUNDS_OF_LOOKING))


def main() -> None:
    """Print the table, and write it as JSON."""
    given = options(__doc__).parse_args()
    with server(given.url) as base:
        url = new_database(base, "bench_engine")
        machine = describe(base)
        found = asyncio.run(measure(url, quick=given.quick))
    print(where(machine))
    print(f"{'how many times longer':28} {'median':>7} {'lowest':>7} {'highest':>8}  target")
    for name, ratios in found.items():
        print(
            f"{name:28} {median(ratios):7.2f} {min(ratios):7.2f} {max(ratios):8.2f}  {TARGETS[name]:.2f} {met(name, ratios)}"
        )
    figures = {"machine": machine, "ratios": found, "targets": TARGETS}
    write(given.out, "engine", figures, page_of(where(machine), found))


def met(name: str, ratios: list[float]) -> str:
    """Say whether a target was met."""
    return "met" if median(ratios) <= TARGETS[name] else "missed"


def page_of(where: str, found: dict[str, list[float]]) -> list[str]:
    """Return the table as a page."""
    rows = []
    for name, ratios in found.items():
        spread = f"{min(ratios):.2f} … {max(ratios):.2f}"
        rows.append(f"| {name} | {median(ratios):.2f} | {spread} | ≤ {TARGETS[name]:.2f} | {met(name, ratios)} |")
    head = ["# What the engine costs", "", "How many times longer; medians of all rounds.", ""]
    table = ["| | median | lowest … highest | target | |", "|---|--:|--:|--:|---|", *rows]
    return [*head, *table, "", f"{where}."]


if __name__ == "__main__":
    main()
