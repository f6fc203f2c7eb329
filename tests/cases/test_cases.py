"""Past cases: a run leaves one once, later runs of its tenant find it, and nobody else does."""

import asyncio
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from langgraph.graph import START, StateGraph
from langgraph.types import Send

from adjourn import AsyncEngine
from adjourn.checkpoints.queries import load_queries
from adjourn.checkpoints.retention import Policy, prune
from adjourn.errors import ConfigurationError, InvalidInput, LeaseLost, UnknownCase
from adjourn.nodes.cases import part, recall, remember
from adjourn.settings import Settings
from adjourn.state.values import canonical_json
from support.auditing import said
from support.postgres import execute
from support.remembering import ALERTS, FULL, Incident, filled, opened, remembering, steps


async def recalled(engine: AsyncEngine, alert: str = FULL) -> list[dict[str, Any]]:
    run = await engine.start("remembering", {"alert": alert, "cure": None})
    assert run.status == "completed", run.error
    found: list[dict[str, Any]] = run.state["similar"]
    return found


async def test_what_is_most_like_it_comes_first_with_its_outcome(database: str) -> None:
    async with opened(database) as engine:
        threads = await filled(engine)
        first, second = await recalled(engine)
    assert first["outcome"] == "rotated the logs"
    assert second["outcome"] == "replaced the disk"
    assert 1 > first["score"] > second["score"] > 0
    assert first["text"] == next(iter(ALERTS))
    assert (first["thread_id"], first["kind"]) == (threads["rotated the logs"], "incident")
    assert datetime.now(UTC) - datetime.fromisoformat(first["at"]) < timedelta(hours=1)


async def test_a_rare_word_counts_more_than_a_common_one_that_comes_often(database: str) -> None:
    async with opened(database) as engine:
        for text in ("server server rack", "kafka rack", "server fan", "server cable"):
            await engine.start("remembering", {"alert": text, "cure": None})
        assert (await engine.cases(about="server kafka"))[0].text == "kafka rack"


async def test_where_nothing_is_like_it_nothing_is_recalled(database: str) -> None:
    async with opened(database) as engine:
        assert await recalled(engine, "Nothing yet.") == []
        await filled(engine)
        assert await recalled(engine, "zebra") == []
        assert await recalled(engine, "!?") == []


async def test_the_number_and_the_least_score_are_kept_to(database: str) -> None:
    workflows = {"remembering": remembering(), "one": remembering(limit=1), "like": remembering(min_score=0.9)}
    async with opened(database, workflows=workflows) as engine:
        await filled(engine)
        assert (await engine.start("like", {"alert": FULL, "cure": 1})).state["similar"] == []
        assert len((await engine.start("one", {"alert": FULL, "cure": 1})).state["similar"]) == 1
        same = (await engine.start("like", {"alert": next(iter(ALERTS)), "cure": 1})).state["similar"]
        assert [case["outcome"] for case in same] == ["rotated the logs"]
        assert same[0]["score"] == pytest.approx(1)


async def test_kinds_are_apart(database: str) -> None:
    workflows = {"remembering": remembering(), "other": remembering("ticket")}
    async with opened(database, workflows=workflows) as engine:
        await filled(engine)
        assert (await engine.start("other", {"alert": FULL, "cure": 1})).state["similar"] == []
        assert [
            case["outcome"] for case in (await engine.start("other", {"alert": FULL, "cure": 2})).state["similar"]
        ] == [1]
        assert {case.kind for case in await engine.cases(about=FULL)} == {"incident", "ticket"}


async def test_a_node_that_runs_again_leaves_its_case_once_and_the_first_counts(database: str) -> None:
    times: list[int] = []

    async def fails_once(state: Incident) -> dict[str, Any]:
        times.append(1)
        done = await remember("incident", text=lambda _: f"written {len(times)}", outcome="cure")(state)
        if len(times) == 1:
            raise OSError("gone")
        return done

    async with opened(database, workflows={"flaky": steps(("remember", fails_once))}) as engine:
        run = await engine.start("flaky", {"cure": 1})
        assert run.status == "failed"
        assert (await engine.retry(run.thread_id)).status == "completed"
        assert [case.text for case in await engine.cases()] == ["written 1"]
    assert len(times) == 2


async def test_several_cases_of_one_run_need_a_key_each(database: str) -> None:
    sender: Any = StateGraph(Incident)
    sender.add_node("keyed", remember("incident", text="alert", key="alert"))
    sender.add_node("bare", remember("incident", text="alert"))
    sends = [Send(node, {"alert": each}) for node in ("keyed", "bare") for each in ("one", "two")]
    sender.add_conditional_edges(START, lambda _: sends, ["keyed", "bare"])
    async with opened(database, workflows={"sender": sender}) as engine:
        assert (await engine.start("sender", {})).status == "completed"
        texts = sorted(case.text for case in await engine.cases())
    assert len(texts) == 3  # of the node without a key the first that came
    assert set(texts) == {"one", "two"}


async def test_a_run_does_not_recall_its_own_cases(database: str) -> None:
    graph = steps(
        ("remember", remember("incident", text="alert")), ("recall", recall("incident", about="alert", into="similar"))
    )
    async with opened(database, workflows={"own": graph}) as engine:
        assert (await engine.start("own", {"alert": FULL})).state["similar"] == []
        assert len((await engine.start("own", {"alert": FULL})).state["similar"]) == 1


async def test_no_tenant_sees_or_forgets_the_cases_of_another(database: str) -> None:
    names = ["default", "a", "a%", "a_", "ä"]
    for name in names:
        async with opened(database, name) as engine:
            await filled(engine)
    for name in names:
        async with opened(database, name) as engine:
            own = await engine.cases(limit=100)
            assert len(own) == len(ALERTS)
            assert len(await engine.cases(about=FULL, limit=50)) == 2
            near = await engine._cases.store.by_words(name, None, FULL, limit=2, apart_from=None)
            assert {each for each, _ in near} < {case.id for case in own}  # nobody else's cases take up places
            found = await recalled(engine)
            assert {each["id"] for each in found} < {case.id for case in own}
    async with opened(database, "stranger") as engine:
        assert list(await engine.cases()) == []
        assert list(await engine.cases(about=FULL)) == []
        assert await recalled(engine) == []
        with pytest.raises(UnknownCase):
            await engine.forget(found[0]["id"])
    async with opened(database, "ä") as engine:
        await engine.forget(found[0]["id"])
        assert found[0]["id"] not in {case.id for case in await engine.cases()}
        with pytest.raises(UnknownCase, match="adjourn cases"):
            await engine.forget(found[0]["id"])


async def test_what_is_forgotten_stands_in_the_audit_of_its_run_without_waiting_for_anybody(database: str) -> None:
    async with opened(database) as engine:
        await filled(engine)
        first, second = await engine.cases(limit=2)
        await engine.forget(first.id, by="dana")
        entry = (await engine.audit(first.thread_id))[-1]
        assert (entry.kind, entry.by, entry.channel) == ("forgotten", "dana", "python")
        assert (entry.details, entry.number is None) == ({"case": first.id}, False)
        assert entry.text == canonical_json(json.loads(entry.text))
        async with await psycopg.AsyncConnection.connect(database) as busy:
            await busy.execute("select from adjourn.runs for update")
            await engine.forget(second.id)
        waiting = (await engine.audit(second.thread_id))[-1]
        assert (waiting.kind, waiting.number) == ("forgotten", None)
        with pytest.raises(UnknownCase):
            await engine.forget(first.id)
        assert said(await engine.audit(first.thread_id)).count("forgotten") == 1
        assert (await engine.verify_audit()).whole


async def test_cases_are_listed_newest_first_page_by_page(database: str) -> None:
    async with opened(database) as engine:
        await filled(engine)
        first = await engine.cases(limit=3)
        rest = await engine.cases(limit=3, after=first.after)
        assert [case.outcome for case in [*first, *rest]] == list(reversed(ALERTS.values()))
        assert (rest.after, first[0].score) == (None, None)
        assert len(await engine.cases(kind="incident", limit=1)) == 1
        assert len(await engine.cases(kind="ticket")) == 0
        for wrong in (
            {"limit": 0},
            {"after": "x"},
            {"kind": ""},
            {"about": "x", "limit": 51},
            {"about": "x", "after": "y"},
        ):
            with pytest.raises(InvalidInput):
                await engine.cases(**wrong)


BAD_TEXTS: list[tuple[Any, str]] = [
    ("", "is empty"),
    (" \n", "is empty"),
    ("a\x00b", "U+0000"),
    ("half \ud800", "not valid Unicode"),
    ("word " * 2_000_000, "at most 100,000"),
    (7, "must be a text"),
]


async def test_a_text_that_is_none_stores_nothing_and_finds_nothing(database: str) -> None:
    given: list[Any] = []
    writing = steps(("remember", remember("incident", text=lambda _: given[-1])))
    reading = steps(("recall", recall("incident", about=lambda _: given[-1], into="similar")))
    async with opened(database, workflows={"writing": writing, "reading": reading}) as engine:
        for text, said in BAD_TEXTS:
            given.append(text)
            for name in ("writing", "reading"):
                run = await engine.start(name, {"alert": "x"})
                assert (run.status, run.error["type"]) == ("failed", "InvalidInput")
                assert said in run.error["message"]
            if isinstance(text, str):
                with pytest.raises(InvalidInput, match=re.escape(said)):
                    await engine.cases(about=text)
        assert list(await engine.cases()) == []


async def test_an_outcome_that_is_not_json_safe_stores_nothing(database: str) -> None:
    given: list[Any] = []
    graph = steps(("remember", remember("incident", text="alert", outcome=lambda _: given[-1])))
    async with opened(database, workflows={"writing": graph}) as engine:
        for outcome in (
            {1: 2},
            {"a": object()},
            float("nan"),
            "\x00",
            "\ud800",
            "x" * 10_000_000,
            {"at": datetime.now(UTC)},
        ):
            given.append(outcome)
            run = await engine.start("writing", {"alert": "x"})
            assert run.error["type"] == "InvalidInput"
            assert len(run.error["message"]) < 300
        assert list(await engine.cases()) == []


async def test_the_longest_case_with_the_most_words_is_stored_and_found(database: str) -> None:
    for settings in (Settings(), Settings(encryption_key="A" * 43 + "=")):
        text = " ".join(f"{number:04x}"[:5] for number in range(20_000))[:99_999]
        graph = steps(("remember", remember("incident", text=lambda _, text=text: text)))
        async with opened(database, workflows={"writing": graph}, settings=settings) as engine:
            assert (await engine.start("writing", {})).status == "completed"
            assert [case.text for case in await engine.cases(about="00ff 01aa")] == [text]


def test_what_names_no_kind_and_no_number_is_refused_when_the_graph_is_built() -> None:
    for kind in ("", " ", "a\nb", "x" * 101, 7, "\ud800"):
        with pytest.raises(InvalidInput, match="kind of a case"):
            recall(kind)  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match="kind of a case"):
            remember(kind)  # type: ignore[arg-type]
    for options in (
        {"limit": 0},
        {"limit": 51},
        {"min_score": -0.1},
        {"min_score": 2},
        {"limit": "x"},
        {"limit": True},
        {"min_score": float("nan")},
    ):
        with pytest.raises(InvalidInput, match="must be between"):
            recall("x", **options)


async def test_a_state_without_the_key_is_told_what_it_has(database: str) -> None:
    graph = steps(("recall", recall("incident", about="alrt")))
    async with opened(database, workflows={"wrong": graph}) as engine:
        run = await engine.start("wrong", {"alert": "x"})
    assert "no key 'alrt' for the memory of cases; it has 'alert'" in run.error["message"]


async def test_a_graph_that_no_engine_drives_says_so() -> None:
    with pytest.raises(ConfigurationError, match="needs an engine of adjourn"):
        await remembering().compile().ainvoke({"alert": "x", "cure": 1})


async def test_a_process_that_lost_the_run_stores_no_case(database: str) -> None:
    async def late(state: Incident) -> dict[str, Any]:
        execute(database, "update adjourn.leases set token = nextval('adjourn.lease_tokens'), owner = 'other'")
        with pytest.raises(LeaseLost, match="its case was not remembered"):
            await remember("incident", text="alert")(state)
        raise OSError("gone")

    async with opened(database, workflows={"late": steps(("late", late))}) as engine:
        await engine.start("late", {"alert": "x"})
        assert list(await engine.cases()) == []


async def test_whoever_takes_a_run_over_waits_for_a_case_that_is_being_written(database: str) -> None:
    async with opened(database) as engine:
        run = await engine.start("remembering", {"alert": "x", "cure": 1})
    ((token,),) = execute(database, "select token from adjourn.leases")
    case = {"tenant": "default", "id": "1", "ids": ["1"], "kind": "k", "content": "{}", "words": "", "length": 0}
    with psycopg.connect(database) as writing, psycopg.connect(database) as taking:
        writing.execute(load_queries("adjourn.engine", "cases.sql")["add_case"],
                        {**case, "thread_id": run.thread_id, "token": token})  # fmt: skip
        taking.execute("set lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            taking.execute("update adjourn.leases set token = nextval('adjourn.lease_tokens')")


async def test_erasing_a_run_erases_its_cases_and_no_others(database: str) -> None:
    async with opened(database) as engine:
        threads = await filled(engine)
        await engine.erase(threads["rotated the logs"])
        assert [case.outcome for case in await engine.cases(about=FULL)] == ["replaced the disk"]
        storage = engine._storage
        later = datetime.now(UTC) + timedelta(days=2)
        await prune(storage.pool, storage.saver, Policy(prune_after=timedelta(days=1)), now=later)
        assert len(await engine.cases()) == 3  # a past that is dropped takes no case along
        await prune(storage.pool, storage.saver, Policy(erase_after=timedelta(days=1)), now=later)
        assert list(await engine.cases()) == []


async def test_old_cases_are_not_shown_and_are_removed_in_batches(database: str) -> None:
    async with opened(database) as engine:
        await filled(engine)
    execute(
        database,
        "update adjourn.cases set remembered_at = now() - interval '11 days' where content ->> 'text' like 'Disk%'",
    )
    async with opened(database, settings=Settings(case_days=10)) as engine:
        assert len(await engine.cases()) == 2
        assert list(await engine.cases(about=FULL)) == []
        storage, policy = engine._storage, Policy(cases_after=timedelta(days=10))
        done = await prune(storage.pool, storage.saver, policy, now=datetime.now(UTC), batch=1)
        assert (done.cases, done.erased, done.pruned) == (2, 0, 0)
        assert await prune(storage.pool, storage.saver, policy, now=datetime.now(UTC)) == type(done)()
    async with opened(database) as engine:
        assert len(await engine.cases()) == 2


async def test_many_runs_at_once_leave_a_case_each(database: str) -> None:
    async with opened(database) as engine:
        runs = [engine.start("remembering", {"alert": f"alert number {n}", "cure": n}) for n in range(12)]
        assert {run.status for run in await asyncio.gather(*runs)} == {"completed"}
        assert {case.outcome for case in await engine.cases(limit=50)} == set(range(12))


def test_any_kind_of_state_is_told_what_it_has() -> None:
    @dataclass(slots=True)
    class Slots:
        alert: str

    assert part(Slots("x"), "alert") == "x"
    for state in (Slots("x"), {"alert": "x"}):
        with pytest.raises(InvalidInput, match="no key 'alrt' .* it has 'alert'"):
            part(state, "alrt")
