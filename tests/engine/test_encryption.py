"""With a key, nothing that went through the engine can be read in the database, by whatever way it came there."""

import base64
from typing import Any

import psycopg
import pytest

from adjourn import AsyncEngine
from adjourn.errors import ConfigurationError
from support.hidden_words import KEY, NEVER_KEPT, OTHER, SECRETS, WORKFLOWS, runs_with_secrets, settings
from support.postgres import dump


async def test_without_a_key_the_dump_shows_what_is_kept(database: str) -> None:
    await runs_with_secrets(database, None)
    found = dump(database)
    assert tuple(secret for secret in SECRETS if secret not in found) == NEVER_KEPT


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
        assert [case.outcome for case in await engine.cases(about="casesecret")] == ["OUTCOMESECRET"] * 2
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
