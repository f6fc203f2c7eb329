"""The budget stops a run at the first call beyond it: the server counts the calls that it got."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langgraph.types import interrupt

from adjourn import AsyncEngine, Budget, Coping, Price, Principal, ReviewPolicy, approve, edit, reject
from adjourn.errors import InvalidDecision, NotAuthorized
from adjourn.settings import Settings
from adjourn.testing import ModelServer, replies
from support.coping import QUICK, coping_engine, model_of, one, talking
from support.eventually import eventually
from support.processes import child
from support.recovering import leases_run_out

TEN = replies.text("hello", usage=replies.Usage(7, 3))


def steps(model: Any, count: int) -> Any:
    """A graph of some nodes that each ask a model once."""
    from langgraph.graph import END, START, StateGraph

    from support.coping import Talk

    graph = StateGraph(Talk)
    for number in range(count):

        async def step(state: Any, number: int = number) -> Any:
            return {"said": [f"{number} {(await model.ainvoke('hi')).text}"]}

        graph.add_node(f"step{number}", step)
        graph.add_edge(f"step{number - 1}" if number else START, f"step{number}")
    graph.add_edge(f"step{count - 1}", END)
    return graph


async def test_the_first_call_beyond_it_is_not_made_by_any_engine_until_it_is_raised(database: str) -> None:
    with ModelServer(lambda _: TEN) as server:
        graph = steps(model_of(server), 5)
        coping = Coping(budget=Budget(tokens=25), retry=QUICK)
        async with coping_engine(database, graph, coping) as engine:
            run = await engine.start("talk", {"prompt": "hi"}, thread_id="t")
            assert (run.status, run.error and run.error["type"]) == ("failed", "BudgetExceeded")
            assert "30 of 25 tokens in 3 calls" in str(run.error)
            assert len(server.requests) == 3
        async with coping_engine(database, graph, coping) as other:
            assert (await other.retry("t")).status == "failed"
            assert len(server.requests) == 3
        async with coping_engine(database, graph, Coping(budget=Budget(tokens=1000))) as third:
            run = await third.retry("t")
            assert run.status == "completed"
            assert [each[0] for each in run.state["said"]] == list("01234")
            assert len(server.requests) == 5


async def test_it_counts_across_the_answers_of_people(database: str) -> None:
    async def talk(state: Any) -> Any:
        first = (await model_of(server).ainvoke("hi")).text
        interrupt("go on?")
        return {"said": [first, (await model_of(server).ainvoke("hi")).text]}

    with ModelServer(lambda _: TEN) as server:
        coping = Coping(budget=Budget(tokens=15))
        async with coping_engine(database, one(talk), coping) as engine:
            await engine.start("talk", {"prompt": "hi"}, thread_id="t")
        async with coping_engine(database, one(talk), coping) as other:
            run = await other.resume("t", "yes")  # the node runs again, and asks the model again
            assert run.error is not None
            assert run.error["type"] == "BudgetExceeded"
            assert len(server.requests) == 2


async def test_a_node_that_catches_the_error_is_stopped_all_the_same(database: str) -> None:
    async def talk(state: Any) -> Any:
        for _ in range(3):
            try:
                await model_of(server).ainvoke("hi")
            except Exception:
                return {"said": ["never mind"]}
        return {}

    with ModelServer(lambda _: TEN) as server:
        async with coping_engine(database, one(talk), Coping(budget=Budget(tokens=10))) as engine:
            run = await engine.start("talk", {"prompt": "hi"})
    assert run.error is not None
    assert run.error["type"] == "BudgetExceeded"
    assert "said" not in run.state


async def test_money_is_counted_by_the_prices_that_were_given(database: str) -> None:
    with ModelServer(lambda _: replies.text("hello", usage=replies.Usage(1_000_000, 500_000))) as server:
        prices = {"gpt-5-mini": Price(input=0.25, output=2.0)}  # 1.25 a call
        async with coping_engine(
            database, talking(model_of(server), 5), Coping(budget=Budget(cost=3, prices=prices))
        ) as engine:
            run = await engine.start("talk", {"prompt": "hi"})
            assert "3.7500 of 3.0000 in 3 calls" in str(run.error)
        async with coping_engine(
            database, talking(model_of(server, "unpriced")), Coping(budget=Budget(cost=3, prices=prices))
        ) as engine:
            run = await engine.start("talk", {"prompt": "hi"})
            assert "openai:unpriced" in str(run.error)
            assert len(server.requests) == 3


async def test_answers_in_pieces_count_too(database: str) -> None:
    async def talk(state: Any) -> Any:
        for _ in range(9):
            async for _chunk in model_of(server).astream("hello " * 40):
                pass
        return {}

    with ModelServer(lambda _: replies.text("one two three " * 30)) as server:
        async with coping_engine(database, one(talk), Coping(budget=Budget(tokens=250))) as engine:
            run = await engine.start("talk", {"prompt": "hi"})
    assert run.error is not None
    assert run.error["type"] == "BudgetExceeded"
    assert 2 <= len(server.requests) <= 3  # the server reports no tokens; they are estimated


async def test_an_answer_that_nobody_hears_to_its_end_is_counted(database: str) -> None:
    async def talk(state: Any) -> Any:
        for _ in range(9):
            async for _chunk in model_of(server).astream("hello " * 40):
                break
        return {}

    def plain(state: Any) -> Any:
        for _ in range(9):
            for _chunk in model_of(server).stream("hello " * 40):
                break
        return {}

    with ModelServer(lambda _: replies.text("one two three " * 30)) as server:
        for node in (talk, plain):
            async with coping_engine(database, one(node), Coping(budget=Budget(tokens=150))) as engine:
                run = await engine.start("talk", {"prompt": "hi"})
            assert run.error is not None
            assert run.error["type"] == "BudgetExceeded"


async def test_a_person_is_asked_and_grants_more(database: str) -> None:
    with ModelServer(lambda _: TEN) as server:
        policy = ReviewPolicy(roles=("finance",))
        coping = Coping(budget=Budget(tokens=20, exceeded="ask", policy=policy))
        graph = steps(model_of(server), 9)
        dana = Principal("dana", frozenset({"finance"}))
        async with coping_engine(database, graph, coping) as engine:
            run = await engine.start("talk", {"prompt": "hi"}, thread_id="t")
            assert (run.status, len(server.requests)) == ("paused", 2)
            (review,) = run.reviews
            assert (review.action, review.args, review.context["tokens"]) == ("raise_budget", {"tokens": 20}, 20)
            await engine.rebuild("t")
            assert (await engine.get("t")).reviews == run.reviews
            with pytest.raises(NotAuthorized):
                await engine.resume("t", approve())
            with pytest.raises(InvalidDecision):
                await engine.resume("t", edit({"tokens": -1}), by=dana)
            run = await engine.resume("t", approve(), by=dana)
            assert (run.status, len(server.requests)) == ("paused", 4)
        async with coping_engine(database, graph, coping) as other:
            run = await other.resume("t", edit({"tokens": 5}), by=dana)
            assert (run.status, len(server.requests)) == ("paused", 5)
            run = await other.resume("t", reject("enough"), by=dana)
            assert (run.status, len(server.requests)) == ("failed", 5)
            assert "dana refused" in str(run.error)
            run = await other.retry("t")
            assert (run.status, len(server.requests)) == ("paused", 5)
            assert [len(run.reviews), run.reviews[0].missing] == [1, 1]
            await other.resume("t", edit({"tokens": 1000}), by=dana)
            run = await other.get("t")
            assert (run.status, len(server.requests)) == ("completed", 9)


async def test_a_sibling_may_ask_a_person_at_the_same_time(database: str) -> None:
    from langgraph.graph import START, StateGraph

    from support.coping import Talk

    asked = asyncio.Event()

    async def spend(state: Any) -> Any:
        await asked.wait()
        return {"said": [(await model_of(server).ainvoke("hi")).text for _ in range(2)]}

    async def ask(state: Any) -> Any:
        asked.set()
        return {"said": [interrupt("go on?")]}

    graph = StateGraph(Talk)
    graph.add_node("spend", spend)
    graph.add_node("ask", ask)
    graph.add_edge(START, "spend")
    graph.add_edge(START, "ask")
    with ModelServer(lambda _: TEN) as server:
        coping = Coping(budget=Budget(tokens=10, exceeded="ask"))
        async with coping_engine(database, graph, coping) as engine:
            run = await engine.start("talk", {"prompt": "hi"}, thread_id="t")
            more = {each.action or "ask": each for each in run.reviews}
            assert set(more) == {"raise_budget", "ask"}
            run = await engine.resume("t", "yes", review_id=more["ask"].id)
            assert [each.action for each in run.reviews] == ["raise_budget"]
            assert run.reviews[0].id == more["raise_budget"].id
            run = await engine.resume("t", edit({"tokens": 100}), review_id=more["raise_budget"].id)
            assert (run.status, sorted(run.state["said"])) == ("completed", ["hello", "hello", "yes"])


DRIVER = """
    import asyncio, os
    from adjourn import AsyncEngine, Budget, Coping
    from adjourn.settings import Settings
    from support.coping import model_of, one

    class Server:
        url = os.environ["MODEL_URL"]

    async def talk(state):
        model = model_of(Server)
        for number in range(9):
            await model.ainvoke("hi")
            if number == 1:
                reach("two-calls-made")

    async def main(database):
        coping = {"talk": Coping(budget=Budget(tokens=25))}
        async with AsyncEngine.open(
            database, workflows={"talk": one(talk)}, coping=coping, settings=Settings(lease_seconds=0.5)
        ) as engine:
            await engine.start("talk", {"prompt": "hi"}, thread_id="t")

    asyncio.run(main(sys.argv[1]))
"""


async def test_it_counts_what_a_killed_process_has_spent(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    with ModelServer(lambda _: TEN) as server:
        monkeypatch.setenv("MODEL_URL", server.url)
        with child(DRIVER, database) as driver:
            await asyncio.to_thread(driver.wait_for, "two-calls-made")
            driver.kill()
        leases_run_out(database)
        coping = Coping(budget=Budget(tokens=25))
        settings = Settings(lease_seconds=0.5)
        async with coping_engine(database, talking(model_of(server), 9), coping, settings=settings) as engine:

            async def recovered() -> Any:
                return await engine.recover()

            (run,) = await eventually(recovered)
        assert run.error is not None
        assert run.error["type"] == "BudgetExceeded"
        assert len(server.requests) == 3  # two by the process that was killed, one more, and none beyond


async def test_a_run_without_rules_touches_no_table_of_coping(database: str) -> None:
    import psycopg

    with ModelServer(lambda _: TEN) as server:
        async with AsyncEngine.open(database, workflows={"talk": talking(model_of(server))}) as engine:
            assert (await engine.start("talk", {"prompt": "hi"})).status == "completed"
    with psycopg.connect(database) as connection:
        found = connection.execute(
            "select (select count(*) from adjourn.spending) + (select count(*) from adjourn.cached) "
            "+ (select count(*) from adjourn.call_turns)"
        ).fetchone()
    assert found == (0,)


@pytest.mark.parametrize("kind", ["model", "agent", "function"])
async def test_agents_of_a_delegation_spend_the_budget_of_its_run(database: str, kind: str) -> None:
    from langchain.agents import create_agent

    from adjourn.graphs.delegation import build

    async def function(brief: Any) -> str:
        return (await model_of(server).ainvoke(brief.task_id)).text

    with ModelServer(lambda _: TEN) as server:
        agents = {"model": model_of(server), "agent": create_agent(model_of(server), []), "function": function}
        subtasks = [
            {"id": each, "capabilities": ["ask"], "dependencies": before} for each, before in (("a", []), ("b", ["a"]))
        ]
        graph = build(agents={"ask": agents[kind]}, backoff_seconds=0)
        coping = Coping(budget=Budget(tokens=10, exceeded="ask"))
        async with coping_engine(database, graph, coping) as engine:
            run = await engine.start("talk", {"plan": {"subtasks": subtasks}, "main_task": "all of it"})
            assert ([each.action for each in run.reviews], len(server.requests)) == (["raise_budget"], 1)
            run = await engine.resume(run.thread_id, approve())
        assert (run.status, len(server.requests)) == ("completed", 2)
        assert {each["attempts"] for each in run.state["subtasks"].values()} == {1}
