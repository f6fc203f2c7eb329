"""Memory: LangGraph's store on the engine's pool, one compartment for each tenant; and what a council keeps there."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from langgraph.config import get_store
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.memory import InMemoryStore
from pydantic import SecretStr

from adjourn import AsyncEngine, Principal, edit
from adjourn.checkpoints.fence import holding
from adjourn.checkpoints.memory import Memory
from adjourn.checkpoints.sealing import Seal
from adjourn.checkpoints.storage import open_storage
from adjourn.errors import InvalidInput, LeaseLost, StorageUnavailable
from adjourn.graphs.council import build
from adjourn.nodes.council import Procedure, member, remembrance
from adjourn.nodes.council.memory import outcomes, recalled, standing
from adjourn.settings import Settings
from adjourn.state.roster import Agent
from support.councils import Voter
from support.workflows import Trail


def using(node: Any) -> Any:
    return StateGraph(Trail).add_node("use", node).add_edge(START, "use")


def opened(database: str, tenant: str = "default", **options: Any) -> Any:
    return AsyncEngine.open(database, principal=Principal("kim", tenant=tenant), **options)


async def test_nodes_reach_the_store_and_what_they_put_there_survives_the_engine(council_database: str) -> None:
    async def keep(state: Trail, runtime: Runtime[Any]) -> Trail:
        assert runtime.store is not None
        await runtime.store.aput(("cases", "a.b"[:1]), "1", {"name": state["name"]})
        return {}

    def find(state: Trail) -> Trail:  # a plain function runs in a thread
        item = get_store().get(("cases", "a"), "1")
        return {"answer": item and item.value}

    async with opened(council_database, workflows={"keep": using(keep)}) as engine:
        assert (await engine.start("keep", {"name": "x"})).status == "completed"
    async with opened(council_database, workflows={"find": using(find)}) as engine:
        assert (await engine.start("find", {"name": "x"})).state["answer"] == {"name": "x"}


async def test_a_node_writes_under_the_lease_of_its_run_and_of_no_other(database: str) -> None:
    """Those of the run's family that this process drives as well, and has lost, do not count."""
    told: list[str] = []

    def use(state: Trail) -> Trail:  # a plain function runs in a thread
        get_store().put(("x",), "1", {"by": state["name"]})
        with psycopg.connect(database) as other:
            other.execute("update adjourn.leases set token = nextval('adjourn.lease_tokens')")
        with pytest.raises(LeaseLost, match="Run late is driven by another process now"):
            get_store().put(("x",), "1", {"by": "late"})
        assert get_store().get(("x",), "1").value == {"by": "kim"}  # type: ignore[union-attr]
        told.append("all of it")
        return {}

    async with opened(database, workflows={"use": using(use)}) as engine:
        with holding("early", 1), pytest.raises(LeaseLost):
            await engine.start("use", {"name": "kim"}, thread_id="late")
    assert told


async def test_a_graph_that_brings_a_store_of_its_own_keeps_it(council_database: str) -> None:
    own = InMemoryStore()

    async def use(state: Trail, runtime: Runtime[Any]) -> Trail:
        assert runtime.store is not None
        await runtime.store.aput(("x",), "1", {})
        return {}

    graph = using(use).compile(name="own", store=own)
    async with opened(council_database) as engine:
        await engine.start(graph, {"name": "x"})
    assert own.get(("x",), "1") is not None


@asynccontextmanager
async def stores_of(database: str, *tenants: str, key: str | None = None) -> AsyncIterator[list[Memory]]:
    settings = Settings(encryption_key=SecretStr(key) if key else None)
    async with open_storage(settings, database) as storage:
        yield [Memory(storage.pool, Seal(storage.saver.serde), tenant) for tenant in tenants]


async def test_no_tenant_reaches_the_items_of_another_whatever_it_asks_for(database: str) -> None:
    names = ["a", "ab", "a_b", "axb", "a.b", "a%", "=61", "a|b", "ä"]
    async with stores_of(database, *names) as stores:
        for name, store in zip(names, stores, strict=True):
            await store.aput(("of",), "who", {"tenant": name})
            await store.aput(("of", name.replace(".", "-") + "x"), "deep", {"tenant": name})
        for name, store in zip(names, stores, strict=True):
            assert (await store.aget(("of",), "who")).value == {"tenant": name}
            assert {item.value["tenant"] for item in await store.asearch((), limit=100)} == {name}
            assert {item.value["tenant"] for item in await store.asearch(("of",), limit=100)} == {name}
            assert len(await store.asearch((), limit=2)) == 2  # nobody else's items take up places
            spaces = await store.alist_namespaces(limit=100)
            assert spaces == [("of",), ("of", name.replace(".", "-") + "x")]
            assert await store.alist_namespaces(suffix=("of",)) == [("of",)]
            assert await store.alist_namespaces(max_depth=1) == [("of",)]
            assert await store.alist_namespaces(prefix=("of", "*")) == spaces[1:]
        await stores[0].adelete(("of",), "who")
        assert await stores[0].aget(("of",), "who") is None
        assert await stores[1].aget(("of",), "who") is not None


async def test_with_a_key_nothing_of_a_value_can_be_read_in_the_database(database: str) -> None:
    key = base64.b64encode(bytes(32)).decode()
    async with stores_of(database, "default", key=key) as (store,):
        await store.aput(("cases",), "1", {"name": "SECRET"})
        assert (await store.aget(("cases",), "1")).value == {"name": "SECRET"}
        assert [item.value for item in await store.asearch(("cases",))] == [{"name": "SECRET"}]
        with psycopg.connect(database) as connection:
            assert "SECRET" not in str(connection.execute("select * from store").fetchall())


async def test_errors_of_the_database_are_ours_and_the_loop_is_not_blocked(database: str) -> None:
    async with stores_of(database, "default") as (store,):
        with pytest.raises(RuntimeError, match="would block the event loop"):
            store.get(("a",), "1")
        with pytest.raises(InvalidInput, match="cannot use the memory"):
            await store.aput(("a",), "1", {"text": "\x00"})
        with psycopg.connect(database) as connection:
            connection.execute("drop table store")
        with pytest.raises(StorageUnavailable, match="cannot use the memory"):
            await store.aget(("a",), "1")


PLAN = [{"id": "read", "capabilities": ["reading"]}]


def pair(first: Any, second: Any, **votes: Any) -> list[Any]:
    return [
        member("good", Voter(work=first, vote=votes.get("good", "yes")), capabilities=["reading"]),
        member("other", Voter(work=second, vote=votes.get("other", "no")), capabilities=["reading"]),
    ]


async def test_a_run_remembers_who_failed_and_the_next_one_knows(database: str) -> None:
    broken = pair(OSError("gone"), "Read.")
    async with opened(database, workflows={"council": build(broken)}) as engine:
        run = await engine.start("council", {"main_task": "Read.", "subtasks": PLAN})
    assert run.state["execution_results"]["read"]["agent"] == "other"
    mended = pair("Read.", "Read.")
    async with opened(database, workflows={"council": build(mended)}) as engine:
        run = await engine.start("council", {"main_task": "Read.", "subtasks": PLAN})
        scores = run.state["agent_assignments"]["read"]["scores"]
        assert run.state["agent_assignments"]["read"]["agent"] == "other"
        assert scores == {"good": 0.0, "other": 1.0}
    for other in ({"tenant": "another"}, {}):
        workflow = build(mended, memory="another" if not other else "council")
        async with opened(database, **other, workflows={"council": workflow}) as engine:
            run = await engine.start("council", {"main_task": "Read.", "subtasks": PLAN})
            assert run.state["agent_assignments"]["read"]["scores"] == {"good": 0.5, "other": 0.5}


async def test_it_is_written_once_for_a_run_even_when_the_node_runs_again(database: str) -> None:
    failed: list[int] = []

    times = iter([datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)])
    remember = remembrance(clock=lambda: next(times))

    async def fails_once(state: Any) -> Any:
        done = await remember(state)
        if not failed:
            failed.append(1)
            raise OSError("gone")
        return done

    workflow = build(pair("Read.", "Read."))
    workflow.nodes["remember"].runnable.afunc = fails_once  # type: ignore[union-attr]
    async with opened(database, workflows={"council": workflow}) as engine:
        run = await engine.start("council", {"main_task": "Read.", "subtasks": PLAN})
        assert run.status == "failed"
        assert (await engine.retry(run.thread_id)).status == "completed"
    with psycopg.connect(database) as connection:
        ((prefix, key, value),) = connection.execute("select prefix, key, value from store").fetchall()
    assert (prefix, key) == ("default.adjourn.council.council", run.thread_id)
    assert (value["agents"], value["trust"]) == ({"good": [1.0]}, [])
    assert value["at"].startswith("2026-01-01")  # its place among the runs is that of the first time


async def test_the_last_runs_count_oldest_first(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adjourn.nodes.council.memory.RUNS", 2)

    async def recall(state: Trail, runtime: Runtime[Any]) -> Trail:
        assert runtime.store is not None
        for day, mark in ((1, 1.0), (2, 0.0), (3, 1.0)):
            item = {"at": f"2026-01-0{day}", "agents": {"a": [mark]}, "trust": []}
            await runtime.store.aput(("adjourn", "council", "x"), f"run {day}", item)
        (one,) = await recalled("x", [Agent(name="a")])
        return {"answer": [one.reputation, one.performance]}

    async with opened(database, workflows={"recall": using(recall)}) as engine:
        run = await engine.start("recall", {"name": "x"})
    assert run.state["answer"] == pytest.approx([0.5 * 0.8 * 0.8 + 0.2, 0.5])


async def test_votes_count_only_where_a_person_decided(database: str) -> None:
    members = pair("Read.", "Read.")
    async with opened(database, workflows={"council": build(members, procedure=Procedure(rule="unanimous"))}) as engine:
        run = await engine.start("council", {"main_task": "?", "subtasks": PLAN, "options": ["yes", "no"]})
        run = await engine.resume(run.thread_id, edit({"decision": "no"}), by="dana")
    assert outcomes(run.state) == {"agents": {"good": [1.0, 0.0], "other": [1.0]}, "trust": []}
    for by in ("vote", "agreement"):
        voted = {**run.state, "consensus_results": {**run.state["consensus_results"], "decided_by": by}}
        assert outcomes(voted) == {"agents": {"good": [1.0]}, "trust": []}


def test_what_is_remembered_makes_reputation_performance_and_trust() -> None:
    agents = [Agent(name="a"), Agent(name="b", reputation=0.8, performance=0.5)]
    runs = [
        {"agents": {"a": [1.0], "b": [0.0], "gone": [1.0]}, "trust": [["a", "b", True], ["a", "gone", True]]},
        {"agents": {"b": [1.0]}, "trust": [["a", "b", False]]},
    ]
    one, other = standing(agents, runs)
    assert (one.reputation, one.performance, one.trust) == (0.6, 1.0, {"b": pytest.approx(0.44)})
    assert (other.reputation, other.performance) == (pytest.approx(0.712), 0.625)


def test_a_name_that_a_store_could_mistake_for_another_is_refused() -> None:
    for name in ("", "a.b", "a_b", "a%"):
        with pytest.raises(InvalidInput, match="memory is a name of"):
            build(pair("", ""), memory=name)
