"""One contender in a process of its own: reads cells from standard input, runs them, writes what it measured.

python -m benchmarks.contender ours postgresql://…
{"durability": "sync", "at_once": 32, "seconds": 1.5}
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from pydantic import SecretStr

from adjourn.checkpoints import open_saver
from adjourn.checkpoints.pool import open_pool
from adjourn.settings import load_settings
from benchmarks.workloads import Clock, Run, dbos_run, langgraph_run

POOL_SIZE = 10
Begin = Callable[[Clock], Run]


@asynccontextmanager
async def contender(name: str, url: str) -> AsyncIterator[Begin]:
    """Open a contender; yields what makes a run for a cell."""
    if name == "ours":
        async with open_saver(url) as saver:
            yield lambda clock: langgraph_run(saver, clock)
    elif name == "stock":
        # the same pool as ours, so that the savers alone differ
        async with open_pool(SecretStr(url), load_settings(pool_size=POOL_SIZE)) as pool:
            stock = AsyncPostgresSaver(pool)
            yield lambda clock: langgraph_run(stock, clock)
    elif name == "memory":
        yield lambda clock: langgraph_run(InMemorySaver(), clock)
    else:
        clock = Clock()
        run, shut_down = dbos_run(url, clock, POOL_SIZE)

        def begin(of_cell: Clock) -> Run:
            clock.gaps = of_cell.gaps
            return run

        try:
            yield begin
        finally:
            await asyncio.to_thread(shut_down)


async def measure(begin: Begin, durability: str, at_once: int, seconds: float) -> dict[str, Any]:
    """Run one cell: so many runs at once for so long."""
    clock = Clock()
    run, finished = begin(clock), 0
    gc.collect()
    started, computed = time.perf_counter(), time.process_time()

    async def one_after_the_other() -> None:
        nonlocal finished
        while time.perf_counter() - started < seconds:
            await run(durability)
            finished += 1

    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    return {
        "runs": finished,
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - computed,
        "gaps": clock.gaps,
    }


async def main(name: str, url: str) -> None:
    """Serve cells until standard input ends."""
    async with contender(name, url) as begin:
        print(json.dumps({"ready": name}), flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps(await measure(begin, **json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
