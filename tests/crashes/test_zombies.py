"""A driver that is stopped past its lease and continued later commits nothing any more."""

import asyncio
import os
import signal
from pathlib import Path

from adjourn import AsyncEngine
from adjourn.settings import Settings
from support.crashing import Moments, crashing, ledger
from support.eventually import eventually
from support.processes import Child, child
from support.recovering import leases_run_out

QUICK = Settings(lease_seconds=0.8)

ZOMBIE = """
    import asyncio
    from adjourn import AsyncEngine, LeaseLost
    from adjourn.settings import Settings
    from support.crashing import Moments, crashing

    async def main(database, moment):
        at = Moments(moment, reach)
        async with AsyncEngine.open(
            database, workflows={"crashing": crashing(at)}, settings=Settings(lease_seconds=0.8)
        ) as engine:
            try:
                await engine.start("crashing", {"name": "x"}, thread_id="t")
            except LeaseLost as error:
                print("LOST", error.thread_id)

    asyncio.run(main(*sys.argv[1:]))
"""


async def taken_over(database: str) -> None:
    leases_run_out(database)
    workflows = {"crashing": crashing(Moments("never", None))}
    async with AsyncEngine.open(database, workflows=workflows, settings=QUICK) as engine:
        await eventually(lambda: engine.recover(), timeout=20)
        assert (await engine.get("t")).status == "paused"


async def test_a_zombie_inside_a_node_ends_with_lease_lost_and_stores_nothing(database: str, ledger_file: Path) -> None:
    with child(ZOMBIE, database, "inside-a-node") as zombie:
        await asyncio.to_thread(zombie.wait_for, "inside-a-node")
        os.kill(zombie.pid, signal.SIGSTOP)
        await taken_over(database)
        before = await history(database)
        os.kill(zombie.pid, signal.SIGCONT)
        zombie.go_on()
        assert "LOST t" in await asyncio.to_thread(zombie.finish)
    assert await history(database) == before
    # "pay" and its effect stand behind the node in which the zombie slept
    assert ledger(ledger_file).count("charged") == 1
    assert ledger(ledger_file).count("pay") == 1


async def test_a_zombie_before_an_effect_does_not_begin_it(database: str, ledger_file: Path) -> None:
    """It sleeps in the step before; when it wakes, its commit is refused, so it never comes to the effect."""
    with child(ZOMBIE, database, "inside-a-node") as zombie:
        await asyncio.to_thread(zombie.wait_for, "inside-a-node")
        await stop_and_finish(zombie, database)
    assert ledger(ledger_file).count("charged") == 1


async def stop_and_finish(zombie: Child, database: str) -> None:
    os.kill(zombie.pid, signal.SIGSTOP)
    await taken_over(database)
    os.kill(zombie.pid, signal.SIGCONT)
    zombie.go_on()
    await asyncio.to_thread(zombie.finish)


async def history(database: str) -> list[str]:
    async with AsyncEngine.open(database) as engine:
        return [step.checkpoint_id for step in await engine.history("t")]
