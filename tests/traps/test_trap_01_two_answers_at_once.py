"""Trap 1: two processes resume one thread with different answers; both run the next node and the chain forks."""

import asyncio
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.types import Command, interrupt

from adjourn import AsyncEngine
from support.processes import child
from support.workflows import Trail, ask, chain

TESTS = str(Path(__file__).parents[1])
CONFIG: Any = {"configurable": {"thread_id": "t"}}
RACERS = 16

# Forks the racers from one process that has imported everything; before each answer they wait for each other.
RACE = """
    import asyncio, json, multiprocessing, os
    from adjourn import AsyncEngine, ReviewClosed, reject
    from adjourn.nodes.effects import once
    from support.workflows import ask, chain

    database, ledger, racers, questions = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])
    barrier = multiprocessing.get_context("fork").Barrier(racers)

    def charge(name):
        with open(ledger, "a") as file:
            file.write(name + "\\n")

    async def pay(state):
        await once("charge", charge, state["name"])
        return {"trail": ["pay"]}

    async def answer(engine, name, thread_id, review_id):
        try:
            run = await engine.resume(thread_id, reject(name), by=name, review_id=review_id)
            return [run.status, name, run.state["answer"]["decisions"][0]["message"]]
        except ReviewClosed as error:
            return ["refused", error.outcome["by"], error.outcome["answer"]["decisions"][0]["message"]]

    async def race(name):
        async with AsyncEngine.open(database, workflows={"asking": chain(("ask", ask), ("pay", pay))}) as engine:
            for thread_id, review_id in questions:
                barrier.wait()
                result = await answer(engine, name, thread_id, review_id)
                os.write(1, (json.dumps([thread_id, *result]) + "\\n").encode())

    def racer(number):
        if os.fork() == 0:
            try:
                asyncio.run(race(f"racer{number}"))
                os._exit(0)
            finally:
                barrier.abort()  # nobody waits for a racer that failed

    for number in range(racers):
        racer(number)
    codes = [os.wait()[1] for _ in range(racers)]
    assert not any(codes), codes
"""


async def test_langgraph_runs_the_next_node_for_both_and_forks_the_chain(database: str) -> None:
    paid: list[str] = []
    both_asked = asyncio.Barrier(2)

    async def ask_person(state: Trail) -> Trail:
        answer = interrupt("pay?")
        await both_asked.wait()  # both have read the question before either goes on
        return {"answer": answer}

    async def pay(state: Trail) -> Trail:
        paid.append(state["answer"])
        return {}

    async with (
        AsyncPostgresSaver.from_conn_string(database) as one,
        AsyncPostgresSaver.from_conn_string(database) as two,
    ):
        graphs = [chain(("ask", ask_person), ("pay", pay)).compile(checkpointer=saver) for saver in (one, two)]
        await graphs[0].ainvoke({"name": "x"}, CONFIG)
        answers = zip(graphs, ("approve", "reject"), strict=True)
        await asyncio.gather(*(graph.ainvoke(Command(resume=answer), CONFIG) for graph, answer in answers))
    assert sorted(paid) == ["approve", "reject"]


async def race(database: str, folder: Path, rounds: int) -> None:
    """Let sixteen processes answer one question at once, round after round; one answer counts each time."""
    asking, ledger = {"asking": chain(("ask", ask))}, folder / "ledger"
    async with AsyncEngine.open(database, workflows=asking) as engine:
        runs = [await engine.start("asking", {"name": f"r{n}"}, thread_id=f"r{n}") for n in range(rounds)]
    questions = json.dumps([(run.thread_id, run.reviews[0].id) for run in runs])
    with child(RACE, database, str(ledger), str(RACERS), questions, environment={"PYTHONPATH": TESTS}) as racing:
        lines = (await asyncio.to_thread(racing.finish, timeout=600)).splitlines()
    told = defaultdict(list)
    for thread_id, *result in map(json.loads, lines):
        told[thread_id].append(tuple(result))
    async with AsyncEngine.open(database, workflows=asking) as engine:
        for run in runs:
            results = told[run.thread_id]
            (winner,) = [result for result in results if result[0] == "completed"]
            assert [result[1:] for result in results] == [(winner[1], winner[1])] * RACERS
            steps = [step.number for step in await engine.history(run.thread_id)]
            assert steps == sorted(set(steps)), "the history has a fork"
    assert sorted(ledger.read_text().split()) == sorted(run.thread_id for run in runs)


async def test_with_adjourn_one_of_sixteen_processes_is_accepted_and_the_others_learn_its_answer(
    database: str, tmp_path: Path
) -> None:
    await race(database, tmp_path, rounds=5)


@pytest.mark.soak
async def test_with_adjourn_one_of_sixteen_processes_is_accepted_in_each_of_fifty_rounds(
    database: str, tmp_path: Path
) -> None:
    await race(database, tmp_path, rounds=50)
