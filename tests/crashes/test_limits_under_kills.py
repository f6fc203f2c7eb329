"""Workers are killed while limits hold back what they drive: guards inside the nodes measure how many run at once."""

import asyncio
import random
import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from adjourn import AsyncEngine, NotPaused, Principal, ReviewClosed, approve
from adjourn.settings import Settings
from support.fleet import Fleet, fleet
from support.guarding import FLOWS, guarded, most_at_once, most_within, stays
from support.postgres import execute

TAKEN = """
    select min(extract(epoch from (entry::json ->> 'at')::timestamptz))::float from adjourn.audit
    where entry::json ->> 'kind' = 'resumed' group by thread_id"""
TENANTS = ("acme", "beta", "cora")


async def submit_and_answer(database: str, each: int, submitted: asyncio.Event) -> None:
    """Submit as many runs of each tenant, answer what they ask, and return when all have completed."""
    async with AsyncExitStack() as stack:
        engines = {
            tenant: await stack.enter_async_context(
                AsyncEngine.open(
                    database,
                    workflows={"load": guarded(Path("/dev/null"), 0)},
                    principal=Principal("kim", tenant=tenant),
                    settings=Settings(lease_seconds=3.0, pool_size=3),
                )
            )
            for tenant in TENANTS
        }
        for tenant, engine in engines.items():
            for number in range(each):
                await engine.submit("load", {"name": f"{tenant}/{number}"}, thread_id=f"{tenant}/{number}")
        submitted.set()
        left = set(TENANTS)
        while left:
            for tenant in list(left):
                for run in await engines[tenant].runs(status="paused", limit=1000):
                    try:
                        await engines[tenant].resume(run.thread_id, approve(), by="dana", wait=False)
                    except (NotPaused, ReviewClosed):
                        continue
                failed = await engines[tenant].runs(status="failed")
                assert not failed, failed[0].error
                if len(await engines[tenant].runs(status="completed", limit=1000)) == each:
                    left.discard(tenant)
            await asyncio.sleep(0.1)


async def hold_under_kills(
    database: str, workers: Fleet, folder: Path, *, each: int, kills: int, every: float, per_minute: int
) -> None:
    (folder / "flows.py").write_text(FLOWS)
    async with AsyncEngine.open(database) as operator:
        await operator.set_limit("load", at_once=4, per_minute=per_minute)
        await operator.set_limit(tenant="*", at_once=2)
    submitted = asyncio.Event()
    working = asyncio.create_task(submit_and_answer(database, each, submitted))
    await submitted.wait()
    chance, dead = random.Random(7), {}
    for _ in range(kills):
        await asyncio.wait({working}, timeout=every)
        victim = chance.choice(workers.alive)
        await asyncio.to_thread(workers.kill, victim)
        dead[victim.pid] = time.monotonic()
        await asyncio.to_thread(workers.start)
    await working
    found = stays(workers.ledger, dead)
    assert {stay.run for stay in found} == {f"{tenant}/{number}" for tenant in TENANTS for number in range(each)}
    assert 2 <= most_at_once(found) <= 4
    for tenant in TENANTS:
        assert most_at_once([stay for stay in found if stay.tenant == tenant]) <= 2
    # a node begins a little after its run was taken; when that was stands in the audit
    starts = most_within((float(at) for (at,) in execute(database, TAKEN)), 60)
    assert starts <= per_minute
    print(f"{len(found)} nodes, {len(dead)} kills, {starts} starts in a minute")


async def test_limits_hold_while_a_worker_is_killed(database: str, tmp_path: Path) -> None:
    with fleet(database, tmp_path, pause=0.3, lease=1.5) as workers:
        workers.start()
        workers.start()
        await hold_under_kills(database, workers, tmp_path, each=4, kills=1, every=0.7, per_minute=1000)


@pytest.mark.soak
async def test_limits_hold_while_four_workers_are_killed_one_after_the_other(database: str, tmp_path: Path) -> None:
    with fleet(database, tmp_path, pause=0.8, lease=3.0) as workers:
        for _ in range(4):
            workers.start()
        await hold_under_kills(database, workers, tmp_path, each=50, kills=25, every=1.5, per_minute=90)
