"""Retries, time-outs and kept results of nodes, put on a copy of the graph."""

import asyncio
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy, interrupt

from adjourn import AsyncEngine, Cache, Coping, Principal, Retry
from adjourn.errors import ConfigurationError
from adjourn.settings import Settings
from adjourn.testing import ModelServer, replies
from support.coping import QUICK, Talk, coping_engine, model_of, one, talking

KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


class Failing:
    """A node that fails some times, then works."""

    def __init__(self, error: Exception, times: int = 2) -> None:
        self.error, self.times, self.ran = error, times, 0

    async def node(self, state: Any) -> Any:
        self.ran += 1
        if self.ran <= self.times:
            raise self.error
        return {"said": [f"{self.ran}"]}

    def plain(self, state: Any) -> Any:
        return asyncio.run(self.node(state))


def http_error(status: int, **headers: str) -> httpx.HTTPStatusError:
    request = httpx.Request("GET", "http://x")
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(status, headers=headers))


async def test_nodes_that_fail_with_what_may_pass_run_again_and_others_do_not(database: str) -> None:
    kinds = {
        "503": (Failing(http_error(503)), 3),
        "reset": (Failing(ConnectionResetError("gone")), 3),
        "400": (Failing(http_error(400)), 1),
        "value": (Failing(ValueError("no")), 1),
        "an-hour": (Failing(http_error(429, **{"retry-after": "3600"})), 1),
        "named": (Failing(RuntimeError("flaky")), 3),
    }
    graphs = {name: one(failing.node if name != "503" else failing.plain) for name, (failing, _) in kinds.items()}
    named = Coping(retry=Retry(attempts=3, wait=0.01, also=("RuntimeError",)))
    async with AsyncEngine.open(
        database, workflows=graphs, coping={"*": Coping(retry=QUICK), "named": named}
    ) as engine:
        runs = {name: await engine.start(name, {"prompt": "hi"}) for name in graphs}
    assert {name: failing.ran for name, (failing, _) in kinds.items()} == {
        name: ran for name, (_, ran) in kinds.items()
    }
    assert {name for name, run in runs.items() if run.status == "completed"} == {"503", "reset", "named"}


async def test_the_policy_of_the_author_stays_unless_the_node_is_named(database: str) -> None:
    def graph(failing: Failing) -> Any:
        made = StateGraph(Talk)
        policy = RetryPolicy(max_attempts=2, initial_interval=0.01, jitter=False, retry_on=Exception)
        made.add_node("talk", failing.node, retry_policy=policy)
        made.add_edge(START, "talk")
        return made

    unnamed, named = Failing(http_error(503), 5), Failing(http_error(503), 5)
    graphs = {"unnamed": graph(unnamed), "named": graph(named)}
    coping = {"unnamed": Coping(retry=QUICK), "named": Coping(nodes={"talk": Coping(retry=QUICK)})}
    async with AsyncEngine.open(database, workflows=graphs, coping=coping) as engine:
        for name in graphs:
            await engine.start(name, {"prompt": "hi"})
    assert (unnamed.ran, named.ran) == (2, 3)


async def test_a_node_whose_time_is_over_is_stopped_and_tried_again(database: str) -> None:
    ran: list[str] = []

    async def slow(state: Any) -> Any:
        ran.append("begun")
        await asyncio.sleep(0 if len(ran) == 3 else 30)
        return {"said": ["done"]}

    def plain(state: Any) -> Any:
        return {"said": ["plain"]}

    graph = StateGraph(Talk)
    inner = StateGraph(Talk)
    inner.add_node("slow", slow)
    inner.add_edge(START, "slow")
    graph.add_node("plain", plain)
    graph.add_node("inner", inner.compile())
    graph.add_edge(START, "plain")
    graph.add_edge("plain", "inner")
    graph.add_edge("inner", END)
    coping = Coping(retry=QUICK, nodes={"inner/slow": Coping(timeout=0.2)}, timeout=20)
    async with coping_engine(database, graph, coping) as engine:
        run = await engine.start("talk", {"prompt": "hi"})
    assert run.error is None
    assert run.state["said"][-1] == "done"
    assert len(ran) == 3


@pytest.mark.parametrize(
    ("coping", "says"),
    [
        (Coping(nodes={"tlak": Coping()}), "has no node 'tlak'"),
        (Coping(nodes={"talk": Coping(timeout=3)}), "cannot be stopped"),
        (Coping(cache=Cache(results=5)), "of nodes that are named"),
    ],
)
async def test_rules_that_cannot_hold_are_refused_before_anything_is_stored(
    database: str, coping: Coping, says: str
) -> None:
    async with coping_engine(database, one(lambda state: {}), coping) as engine:
        with pytest.raises(ConfigurationError, match=says):
            await engine.start("talk", {"prompt": "hi"}, thread_id="t")
        assert len(await engine.runs()) == 0


async def test_results_of_a_node_are_kept_for_all_engines_of_a_tenant_until_their_time_is_over(database: str) -> None:
    ran: list[str] = []

    async def fetch(state: Any) -> Any:
        ran.append(state["prompt"])
        return {"said": ["fetched"], "messages": [AIMessage("fetched")]}

    async def ask(state: Any) -> Any:
        return {"said": [interrupt("really?")]}

    def graph() -> Any:
        made = StateGraph(Talk)
        made.add_node("fetch", fetch)
        made.add_node("ask", ask)
        made.add_edge(START, "ask")
        made.add_edge("ask", "fetch")
        return made

    kept = Coping(cache=Cache(results=600))
    coping = Coping(nodes={"fetch": kept, "ask": kept})
    settings = Settings(encryption_key=KEY)
    other = Principal("eve", tenant="other")
    async with (
        coping_engine(database, graph(), coping, settings=settings) as first,
        coping_engine(database, graph(), coping, settings=settings) as second,
        coping_engine(database, graph(), coping, settings=settings, principal=other) as third,
    ):
        for engine, prompt in ((first, "a"), (second, "a"), (third, "a"), (first, "b")):
            run = await engine.start("talk", {"prompt": prompt})
            assert run.status == "paused"  # nobody's answer counts for another run
            run = await engine.resume(run.thread_id, "yes")
            assert run.state["said"] == ["yes", "fetched"]
            assert run.state["messages"][0].text == "fetched"
        assert ran == ["a", "a", "b"]
        await forget_in_time(database)
        run = await first.start("talk", {"prompt": "a"})
        await first.resume(run.thread_id, "yes")
        assert ran == ["a", "a", "b", "a"]
        assert b"fetched" not in await everything_kept(database)


async def test_answers_of_models_are_kept_for_all_engines_of_a_tenant_until_their_time_is_over(database: str) -> None:
    coping = Coping(cache=Cache(answers=600))
    with ModelServer(lambda request: replies.text(f"you said {request.last_text}")) as server:
        settings = Settings(encryption_key=KEY)
        other = Principal("eve", tenant="other")
        async with (
            coping_engine(database, talking(model_of(server)), coping, settings=settings) as first,
            coping_engine(database, talking(model_of(server)), coping, settings=settings) as second,
            coping_engine(database, talking(model_of(server)), coping, settings=settings, principal=other) as third,
            coping_engine(database, talking(model_of(server, temperature=1.0)), coping, settings=settings) as hotter,
        ):
            for engine, calls in ((first, 1), (second, 1), (third, 2), (hotter, 3), (first, 3)):
                run = await engine.start("talk", {"prompt": "hi"})
                assert run.state["said"] == ["you said hi"]
                assert len(server.requests) == calls
            await forget_in_time(database)
            await first.start("talk", {"prompt": "hi"})
            assert len(server.requests) == 4
            assert b"you said" not in await everything_kept(database)
        # without the key what is kept cannot be read: as if it were not there
        async with coping_engine(database, talking(model_of(server)), coping) as without:
            assert (await without.start("talk", {"prompt": "hi"})).status == "completed"
            assert len(server.requests) == 5


async def forget_in_time(database: str) -> None:
    import psycopg

    async with await psycopg.AsyncConnection.connect(database) as connection:
        await connection.execute("update adjourn.cached set expires_at = now()")


async def everything_kept(database: str) -> bytes:
    import psycopg

    async with await psycopg.AsyncConnection.connect(database) as connection:
        rows = await (await connection.execute("select data from adjourn.cached")).fetchall()
    return b"".join(row[0] for row in rows)
