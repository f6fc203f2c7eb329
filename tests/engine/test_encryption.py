"""With a key, nothing that went through the engine can be read in the database, by whatever way it came there."""

import base64
from typing import Any

import psycopg
import pytest
from langgraph.config import get_stream_writer
from langgraph.types import interrupt
from pydantic import SecretStr

from adjourn import AsyncEngine, ReviewPolicy, Settings, approve, edit, reject
from adjourn.errors import ConfigurationError
from adjourn.nodes.effects import once
from adjourn.state.questions import question
from support.postgres import dump
from support.workflows import Trail, chain

KEY, OTHER = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
SECRETS = (
    b"INPUTSECRET", b"CONTEXTSECRET", b"STATESECRET", b"EVENTSECRET", b"QUESTIONSECRET", b"ANSWERSECRET",
    b"ARGUMENTSECRET", b"RESULTSECRET", b"EFFECTSECRET", b"ERRORSECRET", b"REASONSECRET",
    b"PROPOSALSECRET", b"EDITSECRET", b"COMMENTSECRET", b"SCHEMASECRET", b"DEFAULTSECRET",
)  # fmt: skip


async def say(state: Trail) -> Trail:
    get_stream_writer()({"heard": "EVENTSECRET"})
    return {"answer": "STATESECRET"}


async def ask(state: Trail) -> Trail:
    return {"answer": interrupt({"question": "QUESTIONSECRET"})}


async def act(state: Trail) -> Trail:
    async def works(order: str) -> str:
        return "RESULTSECRET"

    async def breaks(order: str) -> None:
        raise ValueError("EFFECTSECRET")

    await once("works", works, "ARGUMENTSECRET")
    try:
        await once("breaks", breaks, "ARGUMENTSECRET", max_attempts=1)
    except ValueError:
        raise RuntimeError("ERRORSECRET") from None
    return {}


async def propose(state: Trail) -> Trail:
    kinds: Any = ("approve", "edit", "reject")
    return {"answer": interrupt(question("pay", {"note": "PROPOSALSECRET"}, "Pay?", allowed=kinds))}


POLICY = ReviewPolicy(
    approvals=2,
    deadline=3600,
    on_deadline=reject("DEFAULTSECRET"),
    edit_schema={"type": "object", "description": "SCHEMASECRET"},
)
WORKFLOWS = {"proposing": chain(("propose", propose)), "secretive": chain(("say", say), ("ask", ask), ("act", act))}


def settings(key: str | None) -> Settings:
    return Settings(encryption_key=SecretStr(key) if key else None)


async def runs_with_secrets(url: str, key: str | None) -> tuple[str, str]:
    """One run that is asked, answered and fails, and one that is cancelled."""
    async with AsyncEngine.open(url, workflows=WORKFLOWS, settings=settings(key)) as engine:
        run = await engine.start("secretive", {"name": "INPUTSECRET"}, context={"of": "CONTEXTSECRET"})
        failed = await engine.resume(run.thread_id, "ANSWERSECRET")
        assert failed.status == "failed"
        other = await engine.start("secretive", {"name": "INPUTSECRET"})
        await engine.cancel(other.thread_id, reason="REASONSECRET")
        await proposal_of_two(engine)
        return failed.thread_id, other.thread_id


async def proposal_of_two(engine: AsyncEngine) -> None:
    run = await engine.start("proposing", {}, policies=POLICY)
    run = await engine.resume(run.thread_id, edit({"note": "EDITSECRET"}), by="ann")
    shown = run.reviews[0].digest
    run = await engine.resume(run.thread_id, approve("COMMENTSECRET"), by="bob", shown=shown)
    assert run.status == "completed"
    waiting = await engine.start("proposing", {}, policies=POLICY)
    await engine.resume(waiting.thread_id, reject("COMMENTSECRET"), by="ann")


async def test_without_a_key_the_dump_shows_what_is_kept(database: str) -> None:
    await runs_with_secrets(database, None)
    found = dump(database)
    hidden = [secret for secret in SECRETS if secret not in found]
    assert hidden == [b"ARGUMENTSECRET"], "of an effect's arguments only a digest is kept"


async def test_with_a_key_the_dump_shows_nothing_and_another_engine_with_the_key_reads_it_all(database: str) -> None:
    failed, cancelled = await runs_with_secrets(database, KEY)
    found = dump(database)
    assert b"aes256gcm-" in found
    assert b"secretive" in found, "names of workflows stay clear"
    assert not [secret for secret in SECRETS if secret in found]
    # an event's ciphertext is base64 in JSON, and must not be the plaintext in another dress
    assert not [secret for secret in SECRETS if base64.b64encode(secret)[:8] in found]
    async with AsyncEngine.open(database, workflows=WORKFLOWS, settings=settings(KEY)) as engine:
        run, other = await engine.get(failed), await engine.get(cancelled)
        assert run.error is not None
        assert run.error["message"] == "ERRORSECRET"
        assert other.error is not None
        assert other.error["message"] == "REASONSECRET"
        assert {each.error["message"] for each in (await engine.runs()).items if each.error} == {
            "ERRORSECRET", "REASONSECRET",
        }  # fmt: skip
        events = [event async for event in engine.follow(failed)]
        assert "EVENTSECRET" in str(events)
        assert "ERRORSECRET" in str(events)
        with psycopg.connect(database) as connection:
            (kept,) = connection.execute("select error from adjourn.effects where name = 'breaks'").fetchone() or ("",)
        assert engine._seal.open_text(kept) == "ValueError: EFFECTSECRET"


async def test_errors_from_before_there_was_a_key_are_read_and_a_lost_key_is_named(database: str) -> None:
    before, _ = await runs_with_secrets(database, None)
    async with AsyncEngine.open(database, workflows=WORKFLOWS, settings=settings(KEY)) as engine:
        assert "ERRORSECRET" in str((await engine.get(before)).error)
        assert "EVENTSECRET" in str([event async for event in engine.follow(before)])
    after, _ = await runs_with_secrets(database, KEY)
    for key, said in ((OTHER, "was encrypted with the key aes256gcm-"), (None, "ADJOURN_ENCRYPTION_KEY")):
        async with AsyncEngine.open(database, workflows=WORKFLOWS, settings=settings(key)) as engine:
            with pytest.raises(ConfigurationError, match=said):
                await engine.get(after)


def test_the_seal_leaves_what_nobody_sealed() -> None:
    from adjourn.checkpoints.sealing import Seal
    from adjourn.checkpoints.serde import serializer

    plain: Any = Seal(serializer())
    assert plain.open({"adjourn.sealed": 1, "more": 2}) == {"adjourn.sealed": 1, "more": 2}
    assert plain.close_text("x") == "x"
    assert plain.open_text("x") == "x"
    assert plain.open_text(None) is None
