"""Trap 1: two processes resume one thread with different answers; both run the next node and the chain forks."""

import asyncio
from pathlib import Path
from typing import Any

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.types import Command, interrupt

from adjourn import AsyncEngine, ReviewClosed, reject
from support.processes import child
from support.workflows import Trail, ask, chain

TESTS = str(Path(__file__).parents[1])
CONFIG: Any = {"configurable": {"thread_id": "t"}}
RACERS = 16

ANSWER = """
    import asyncio, os
    from pathlib import Path
    from adjourn import AsyncEngine, ReviewClosed, reject
    from adjourn.nodes.effects import once
    from support.workflows import ask, chain

    def charge():
        with open(os.environ["LEDGER"], "a") as file:
            file.write("charged\\n")

    async def pay(state):
        await once("charge", charge)
        return {"trail": ["pay"]}

    async def main(database, name, review_id):
        workflows = {"asking": chain(("ask", ask), ("pay", pay))}
        async with AsyncEngine.open(database, workflows=workflows) as engine:
            reach("ready")
            try:
                run = await engine.resume("t", reject(name), by=name, review_id=review_id)
                print("ACCEPTED", run.state["answer"]["decisions"][0]["message"])
            except ReviewClosed as error:
                print("CLOSED", error.outcome["answer"]["decisions"][0]["message"], error.outcome["by"])

    asyncio.run(main(*sys.argv[1:]))
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


async def test_with_adjourn_one_of_sixteen_processes_is_accepted_and_the_others_learn_its_answer(
    database: str, tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    async with AsyncEngine.open(database, workflows={"asking": chain(("ask", ask))}) as engine:
        run = await engine.start("asking", {"name": "x"}, thread_id="t")
    outputs = await asyncio.to_thread(race, database, ledger, run.reviews[0].id)
    accepted = [line.split()[1] for line in outputs if line.startswith("ACCEPTED")]
    closed = [line.split() for line in outputs if line.startswith("CLOSED")]
    assert (len(accepted), len(closed)) == (1, RACERS - 1)
    assert {(word[1], word[2]) for word in closed} == {(accepted[0], accepted[0])}
    assert ledger.read_text().splitlines() == ["charged"]
    async with AsyncEngine.open(database, workflows={"asking": chain(("ask", ask))}) as engine:
        steps = [step.number for step in await engine.history("t")]
        assert steps == sorted(set(steps)), "the history has a fork"


def race(database: str, ledger: Path, review_id: str) -> list[str]:
    from contextlib import ExitStack

    environment = {"PYTHONPATH": TESTS, "LEDGER": str(ledger)}
    with ExitStack() as stack:
        racers = [
            stack.enter_context(child(ANSWER, database, f"racer{number}", review_id, environment=environment))
            for number in range(RACERS)
        ]
        for racer in racers:
            racer.wait_for("ready", timeout=60)
        for racer in racers:
            racer.go_on()
        return [line for racer in racers for line in racer.finish().splitlines() if not line.startswith("@")]


async def test_round_after_round_one_answer_is_accepted(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"asking": chain(("ask", ask))}) as engine:
        for number in range(10):
            run = await engine.start("asking", {"name": str(number)})
            asked = run.reviews[0].id
            answers = (engine.resume(run.thread_id, reject(str(each)), review_id=asked) for each in range(16))
            results = await asyncio.gather(*answers, return_exceptions=True)
            won = [result for result in results if not isinstance(result, BaseException)]
            assert len(won) == 1
            assert all(isinstance(result, ReviewClosed) for result in results if isinstance(result, BaseException))
