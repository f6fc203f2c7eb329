"""Nothing of what a run was about is left in the database after its content was erased, however that came about."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from adjourn import AsyncEngine
from adjourn.checkpoints.retention import Policy, prune
from support.hidden_words import KEY, NEVER_KEPT, SECRETS, WORKFLOWS, runs_with_secrets, settings
from support.postgres import dump, execute


async def erase_by_verb(engine: AsyncEngine) -> None:
    for run in (await engine.runs()).items:
        erased = await engine.erase(run.thread_id)
        assert (erased.state, erased.reviews) == ({}, ())


async def erase_by_age(engine: AsyncEngine) -> None:
    storage = engine._storage
    later = datetime.now(UTC) + timedelta(days=2)
    done = await prune(storage.pool, storage.saver, Policy(erase_after=timedelta(days=1)), now=later)
    assert done.erased == len((await engine.runs()).items)


@pytest.mark.parametrize("erase", [erase_by_verb, erase_by_age])
async def test_erasing_leaves_not_one_word_of_any_kind_of_content(
    database: str, erase: Callable[[AsyncEngine], Awaitable[None]]
) -> None:
    await runs_with_secrets(database, None)
    before = dump(database)
    assert tuple(secret for secret in SECRETS if secret not in before) == NEVER_KEPT
    async with AsyncEngine.open(database, workflows=WORKFLOWS) as engine:
        for run in (await engine.runs(status="paused")).items:
            await engine.cancel(run.thread_id, reason="REASONSECRET")
        await erase(engine)
        assert (await engine.verify_audit()).whole
    after = dump(database)
    assert [secret for secret in SECRETS if secret in after] == []


async def test_of_encrypted_runs_no_ciphertext_is_left(database: str) -> None:
    await runs_with_secrets(database, KEY)
    marks = (b"aes256gcm-", b"+aes", b"adjourn.sealed")
    found = dump(database)
    assert all(mark in found for mark in marks)
    async with AsyncEngine.open(database, workflows=WORKFLOWS, settings=settings(KEY)) as engine:
        for run in (await engine.runs(status="paused")).items:
            await engine.cancel(run.thread_id, reason="REASONSECRET")
        await erase_by_verb(engine)
    found = dump(database)
    assert [mark for mark in marks if mark in found] == []


async def test_of_an_error_only_what_is_no_content_stays(database: str) -> None:
    """Whatever else somebody writes into an error some day is erased, unless it is known to hold no content."""
    failed, cancelled = await runs_with_secrets(database, None)
    execute(database, 'update adjourn.runs set error = error || \'{"hint": "NEWSECRET"}\' where error is not null')
    async with AsyncEngine.open(database, workflows=WORKFLOWS) as engine:
        assert (await engine.erase(failed)).error == {"type": "RuntimeError", "node": "act"}
        erased = (await engine.erase(cancelled)).error or {}
        assert set(erased) == {"type", "by"}
