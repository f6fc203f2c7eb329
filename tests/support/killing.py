"""A run whose process is killed at one moment after the other; another process goes on with it each time."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Any

import adjourn.engine.recovery
from adjourn import AsyncEngine, Run
from adjourn.settings import Settings
from support.crashing import Moments
from support.eventually import eventually
from support.processes import child
from support.recovering import leases_run_out

QUICK = Settings(lease_seconds=0.8)


def drive_until_killed(
    reach: Callable[[str], None], known: Callable[[Moments], Any], workflow: str, given: Any, thread_id: str
) -> None:
    """Be a child that `kill_at` kills: start the run, or answer its child runs, and recover from then on.

    Args:
        reach: Reports the moment; see `support.processes`.
        known: Makes the workflows that stop there.
        workflow: Which of them is started.
        given: Its input.
        thread_id: The run's.
    """
    database, moment, verb, *answered = sys.argv[1:]
    adjourn.engine.recovery._FIRST_PAUSE = 0.0

    async def drive() -> None:
        async with AsyncEngine.open(database, workflows=known(Moments(moment, reach)), settings=QUICK) as engine:
            if verb == "start":
                await engine.start(workflow, given, thread_id=thread_id)
            for waiting in answered:
                await engine.resume(waiting, "It is lawful.", by="dana")
            while True:
                await engine.recover()
                await asyncio.sleep(0.05)

    asyncio.run(drive())


async def kill_at(program: str, database: str, moment: str, *verb: str) -> None:
    """Run a program that calls `drive_until_killed`, and kill it at a moment.

    Args:
        program: Its source.
        database: The database.
        moment: Where it dies.
        *verb: `start`, `recover`, or `answer` and the child runs that are answered.
    """

    def killed() -> None:
        with child(program, database, moment, *verb) as process:
            process.wait_for(moment)
            process.kill()
        leases_run_out(database)

    await asyncio.to_thread(killed)


async def kill_at_each(program: str, database: str, moments: Sequence[str]) -> None:
    """Kill it at one moment after the other; the first process starts the run, the others recover it."""
    for moment in moments:
        await kill_at(program, database, moment, "start" if moment == moments[0] else "recover")


async def recovered(engine: AsyncEngine, thread_id: str, status: str = "completed") -> Run:
    """Recover until the run stands so; return it."""

    async def stands() -> bool:
        await engine.recover()
        return (await engine.get(thread_id)).status == status

    await eventually(stands, timeout=20)
    return await engine.get(thread_id)
