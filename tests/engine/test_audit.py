"""What the audit says of a run: every entry in its order, with its fact or not at all."""

import asyncio
import base64
import hashlib
import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from adjourn import (
    AdjournError,
    AsyncEngine,
    NotPaused,
    Principal,
    Settings,
    ThreadBusy,
    ThreadExists,
    UnknownThread,
    approve,
    edit,
    errors,
)
from adjourn.checkpoints.retention import Policy, prune
from adjourn.engine.audit_chain import START, next_hash
from adjourn.nodes.effects import once
from adjourn.state.values import canonical_json
from support.auditing import agree, said
from support.postgres import dump, execute
from support.workflows import Flaky, Trail, ask, chain, mark

COLUMNS = "thread_id, review_id, tenant, workflow, checkpoint_ns, checkpoint_id, task_id, question_type, question"


async def pay(amount: int) -> str:
    return "RESULTSECRET"


async def paying(state: Trail) -> Trail:
    await once("pay", pay, 10)
    return {"trail": ["pay"]}


class Everything(Flaky):
    """Asks, pays, and fails once."""

    def __init__(self) -> None:
        super().__init__()
        self.graph = chain(("ask", ask), ("pay", paying), ("flaky", self.flaky))


@pytest.fixture
def known() -> dict[str, Any]:
    everything = Everything()
    return {"everything": everything.graph, "asking": chain(("ask", ask), ("after", mark("after"))), "it": everything}


@pytest.fixture
async def engine(database: str, known: dict[str, Any]) -> Any:
    workflows = {name: graph for name, graph in known.items() if name != "it"}
    async with AsyncEngine.open(database, workflows=workflows) as opened:
        yield opened


async def test_a_run_with_a_pause_an_effect_and_a_failure_leaves_exactly_these_entries(
    engine: AsyncEngine, database: str, known: dict[str, Any]
) -> None:
    run = await engine.start("everything", {"name": "x"}, by="kim", thread_id="t")
    review = run.reviews[0].id
    assert (await engine.resume("t", approve(), by="dana")).status == "failed"
    known["it"].broken = False
    assert (await engine.retry("t", by="lee")).status == "completed"
    entries = await engine.audit("t")
    assert said(entries) == [
        *("started", "asked", "paused"),
        *("decided", "resumed", "effect", "failed"),
        *("resumed", "completed"),
    ]
    assert [entry.by for entry in entries] == ["kim", None, "kim", *["dana"] * 2, None, "dana", *["lee"] * 2]
    assert {(entry.source, entry.channel) for entry in entries if entry.by} == {("trusted", "python")}
    details = [entry.details for entry in entries]
    assert (entries[0].by, details[0]["workflow"], len(details[0]["digest"])) == ("kim", "everything", 64)
    assert details[1]["review"] == details[3]["review"] == review
    assert details[1]["digest"] == details[3]["shown"] == run.reviews[0].digest
    assert (details[3]["decision"], len(details[3]["answer"])) == ("approve", 64)
    assert (details[4]["was"], details[7]["was"]) == ("paused", "failed")
    assert (details[5]["effect"], details[5]["outcome"], details[5]["attempts"]) == ("pay", "done", 1)
    assert (details[6]["error"], details[6]["node"]) == ("ValueError", "flaky")
    agree(database)
    assert (await engine.verify_audit()).whole


async def test_entries_are_canonical_json_and_linked_as_documented(engine: AsyncEngine) -> None:
    odd = 'a é "thread" \\ 🙂'
    await engine.start("asking", {"name": "x"}, thread_id=odd, by="d'é\n\t\x1f\x7f\u2028")
    before = START
    for number, entry in enumerate(await engine.audit(odd), start=1):
        assert entry.text == canonical_json(json.loads(entry.text))
        assert (entry.number, json.loads(entry.text)["n"]) == (number, number)
        assert entry.hash == (before := next_hash(before, entry.text))
        assert entry.at.utcoffset() == timedelta()


async def test_a_cancelled_run_says_who_and_keeps_the_reason_as_a_digest(engine: AsyncEngine, database: str) -> None:
    await engine.start("asking", {"name": "x"}, thread_id="t")
    await engine.cancel("t", by="dana", reason="REASONSECRET")
    last = (await engine.audit("t"))[-1]
    assert (last.kind, last.by, last.details["error"]) == ("cancelled", "dana", "Cancelled")
    assert last.details["digest"] == hashlib.sha256(b"REASONSECRET").hexdigest()
    assert "REASONSECRET" not in str(execute(database, "select entry from adjourn.audit"))


async def test_what_is_not_done_leaves_no_entry(engine: AsyncEngine, database: str) -> None:
    await engine.start("asking", {"name": "x"}, thread_id="t")
    before = await engine.audit("t")
    await engine.start("asking", {"name": "x"}, thread_id="t")
    with pytest.raises(ThreadExists):
        await engine.start("asking", {"name": "y"}, thread_id="t")
    assert await engine.audit("t") == before
    with pytest.raises(UnknownThread):
        await engine.audit("nowhere")


REFUSED: dict[str, Any] = {
    "InvalidDecision": lambda engine, asked: engine.resume("t", {"type": "ANSWERSECRET"}, by="dana"),
    "ReviewClosed": lambda engine, asked: engine.resume("t", approve(), review_id=asked, by="dana"),
    "NotAuthorized": lambda engine, asked: engine.resume("t", approve(), by="dana"),
}


@pytest.mark.parametrize("why", REFUSED)
async def test_what_is_refused_is_recorded_with_its_digest_and_nothing_else(
    engine: AsyncEngine, database: str, known: dict[str, Any], why: str
) -> None:
    asked = (await engine.start("asking", {"name": "x"}, thread_id="t")).reviews[0].id
    if why == "ReviewClosed":
        await engine.resume("t", approve(), by="lee")
    before = await engine.audit("t")
    proven = why == "NotAuthorized"
    principal = Principal("kim", source="authenticated" if proven else "trusted")
    async with AsyncEngine.open(database, workflows={"asking": known["asking"]}, principal=principal) as other:
        with pytest.raises(getattr(errors, why)):
            await REFUSED[why](other, asked)
    *same, last = await engine.audit("t")
    assert (tuple(same), last.kind, last.by, last.source) == (
        before, "refused", "kim" if proven else "dana", principal.source,
    )  # fmt: skip
    assert len(last.details.pop("digest")) == 64
    assert last.details == ({"why": why, "as": "dana"} if proven else {"why": why})
    assert "ANSWERSECRET" not in str(execute(database, "select entry from adjourn.audit"))


async def test_who_may_not_act_for_another_is_recorded_for_every_verb(
    engine: AsyncEngine, database: str, known: dict[str, Any]
) -> None:
    await engine.start("asking", {"name": "x"}, thread_id="t")
    principal = Principal("kim", source="authenticated")
    async with AsyncEngine.open(database, workflows={"asking": known["asking"]}, principal=principal) as other:
        for attempt in (
            other.cancel("t", by="eve", reason="x"),
            other.retry("t", by="eve"),
            other.erase("t", by="eve"),
        ):
            with pytest.raises(errors.NotAuthorized):
                await attempt
    assert [(entry.by, entry.details["as"]) for entry in (await engine.audit("t"))[-3:]] == [("kim", "eve")] * 3


@pytest.mark.parametrize(
    "what", ["update adjourn.audit set seq = 9", "delete from adjourn.audit", "truncate adjourn.audit"]
)
async def test_the_database_refuses_to_change_entries(engine: AsyncEngine, database: str, what: str) -> None:
    await engine.start("asking", {"name": "x"}, thread_id="t")
    with pytest.raises(psycopg.errors.RestrictViolation, match="takes new entries only"):
        execute(database, what)
    with pytest.raises(psycopg.errors.RestrictViolation):
        execute(database, "set session_replication_role = replica", what)


async def test_what_happens_while_a_run_is_driven_waits_and_gets_its_place_in_order(
    engine: AsyncEngine, database: str
) -> None:
    """A commit of the saver stores a question; nobody has the run's row then, and nobody waits for it."""
    await engine.start("asking", {"name": "x"}, thread_id="t")
    execute(
        database,
        f"insert into adjourn.reviews ({COLUMNS}) values ('t', 'another', 'default', 'asking', '', '', '', 'json', '1')",
    )
    waiting = (await engine.audit("t"))[-1]
    assert (waiting.kind, waiting.number, waiting.hash, waiting.details) == ("asked", None, None, {"review": "another"})
    report = await engine.verify_audit()
    assert (report.waiting, report.whole) == (1, True)
    await engine.cancel("t", reason="enough")
    assert said(await engine.audit("t"))[-2:] == ["asked", "cancelled"]
    assert (await engine.verify_audit()).waiting == 0


async def test_whoever_holds_leases_never_waits_for_the_lock_of_a_run(engine: AsyncEngine, database: str) -> None:
    """The saver's commit holds the lease; a claim holds the run and waits for the lease. Neither may wait in a circle."""
    await engine.start("asking", {"name": "x"}, thread_id="t")

    def commit_of_a_pause(claiming: asyncio.Event, loop: asyncio.AbstractEventLoop) -> None:
        with psycopg.connect(database) as commit:
            commit.execute("set lock_timeout = '5s'")
            commit.execute("select from adjourn.leases where thread_id = 't' for key share")
            loop.call_soon_threadsafe(claiming.set)
            with psycopg.connect(database, autocommit=True) as watch:
                while not watch.execute("select 1 from pg_locks where not granted").fetchall():
                    pass
            for review in ("one", "two"):
                commit.execute(
                    f"insert into adjourn.reviews ({COLUMNS}) "
                    "values ('t', %s, 'default', 'asking', '', '', '', 'json', '1')",
                    (review,),
                )
            commit.execute(
                "insert into adjourn.decisions (thread_id, review_id, decided_by, source, channel, answer_type, answer, "
                "answer_digest) values ('t', 'one', 'unknown', 'trusted', 'studio', 'json', '1', 'd')"
            )

    claiming = asyncio.Event()
    committing = asyncio.create_task(asyncio.to_thread(commit_of_a_pause, claiming, asyncio.get_running_loop()))
    await claiming.wait()
    claimed = await engine._runs.claim("t", "default", ("paused",))
    await committing
    assert claimed is not None
    # the claim had to wait for the lease, so it found what was committed meanwhile, and gave it its place before its own
    assert said(await engine.audit("t"))[-4:] == ["asked", "asked", "decided", "resumed"]
    assert (await engine.verify_audit()).waiting == 0
    agree(database)


async def test_an_answer_gets_its_place_at_once_while_a_sibling_is_still_at_work(
    engine: AsyncEngine, database: str
) -> None:
    await engine.start("asking", {"name": "x"}, thread_id="t")
    execute(
        database,
        "insert into adjourn.decisions (thread_id, review_id, decided_by, source, channel, answer_type, answer, "
        "answer_digest) select thread_id, review_id, 'kim', 'trusted', 'cli', 'json', '1', 'd' from adjourn.reviews",
    )
    last = (await engine.audit("t"))[-1]
    assert (last.kind, last.number, last.details["answer"]) == ("decided", 4, "d")


async def test_many_at_once_leave_whole_chains(engine: AsyncEngine, database: str) -> None:
    """Several engines answer, cancel and retry the same runs at once."""
    threads = [f"t{n}" for n in range(6)]
    for thread in threads:
        await engine.start("everything", {"name": "x"}, thread_id=thread)
    workflows = {"everything": Everything().graph}

    async def hammer(number: int) -> None:
        async with AsyncEngine.open(database, workflows=workflows) as other:
            for thread in threads[number:] + threads[:number]:
                for verb in (
                    lambda thread=thread: other.resume(thread, edit({"amount": number}), by=f"p{number}"),
                    lambda thread=thread: other.retry(thread, by=f"p{number}"),
                    lambda thread=thread: other.cancel(thread, by=f"p{number}", reason="enough"),
                ):
                    with suppress(AdjournError):  # whoever comes second is told so
                        await verb()

    await asyncio.gather(*(hammer(number) for number in range(3)))
    agree(database)
    assert (await engine.verify_audit()).whole
    for thread in threads:
        assert said(await engine.audit(thread)).count("decided") == 1


async def test_erasing_leaves_no_content_and_a_chain_that_holds(
    engine: AsyncEngine, database: str, known: dict[str, Any]
) -> None:
    run = await engine.start("everything", {"name": "INPUTSECRET"}, thread_id="t", context={"a": "CONTEXTSECRET"})
    with pytest.raises(ThreadBusy, match="paused and needs its content"):
        await engine.erase("t")
    await engine.resume(run.thread_id, approve(), by="dana")
    secrets = (b"INPUTSECRET", b"CONTEXTSECRET", b"RESULTSECRET", b"the service is down", b"Pay?")
    assert [secret for secret in secrets if secret not in dump(database)] == []
    erased = await engine.erase("t", by="kim")
    assert (erased.status, erased.state, erased.reviews) == ("failed", {}, ())
    assert [secret for secret in secrets if secret in dump(database)] == []
    entries = await engine.audit("t")
    assert said(entries)[-2:] == ["failed", "erased"]
    assert (entries[-1].by, entries[-1].source, entries[-1].channel) == ("kim", "trusted", "python")
    assert (await engine.verify_audit()).whole
    await engine.erase("t", by="kim")
    assert await engine.audit("t") == entries
    with pytest.raises(NotPaused, match="content of run t was erased"):
        await engine.retry("t")


async def test_an_encrypted_error_is_erased_as_well(database: str, known: dict[str, Any]) -> None:
    settings = Settings(encryption_key=SecretStr(base64.b64encode(b"1" * 32).decode()))
    async with AsyncEngine.open(database, workflows={"asking": known["asking"]}, settings=settings) as engine:
        await engine.start("asking", {"name": "x"}, thread_id="t")
        await engine.cancel("t", reason="REASONSECRET")
        assert (await engine.erase("t")).error == {}
        assert (await engine.verify_audit()).whole
    # the event of the cancelling was written when the engine was closed, after the erasing
    assert b"adjourn.sealed" not in dump(database)


async def test_pruning_and_erasing_by_policy_keep_the_audit_and_say_so(engine: AsyncEngine) -> None:
    await engine.start("asking", {"name": "x"}, thread_id="t")
    ended = (await engine.cancel("t", reason="enough")).ended_at
    assert ended is not None
    storage, day = engine._storage, timedelta(days=1)
    await prune(storage.pool, storage.saver, Policy(prune_after=day), now=ended + 2 * day)
    await prune(storage.pool, storage.saver, Policy(prune_after=day, erase_after=5 * day), now=ended + 6 * day)
    entries = await engine.audit("t")
    assert said(entries)[-3:] == ["cancelled", "pruned", "erased"]
    assert {entry.by for entry in entries[-2:]} == {"system:retention"}
    assert (await engine.verify_audit()).whole


async def test_the_chain_of_a_deleted_run_stays_and_goes_on_when_its_id_is_used_again(engine: AsyncEngine) -> None:
    await engine.start("asking", {"name": "x"}, thread_id="t")
    await engine._runs.delete("t", "default")
    assert (await engine.verify_audit()).whole
    await engine._storage.saver.adelete_thread("t")
    await engine.start("asking", {"name": "x"}, thread_id="t")
    assert said(await engine.audit("t")) == ["started", "asked", "paused", "erased", "started", "asked", "paused"]
    assert (await engine.verify_audit()).whole
