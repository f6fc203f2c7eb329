"""Families of three levels in several processes, of which a random one is killed again and again: none is lost."""

import random
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from support.auditing import agree
from support.crashing import ledger
from support.crashing_families import EFFECTS
from support.processes import Child, child

# starts the families, answers what is asked, recovers what others left, until all have completed
DRIVER = """
    import asyncio
    import random
    from adjourn import AdjournError, AsyncEngine, approve
    from adjourn.settings import Settings
    from support.crashing import Moments
    from support.crashing_families import family

    async def main(database, seed, count):
        chance, names = random.Random(seed), [f"f{n}" for n in range(int(count))]
        workflows = family(Moments("never", None), pause=0.1)
        async with AsyncEngine.open(database, workflows=workflows, settings=Settings(lease_seconds=1.0)) as engine:
            async def one(call):
                try:
                    return await call
                except AdjournError:
                    return None

            while True:
                await asyncio.gather(*(
                    one(engine.start("top", {"name": name}, thread_id=name)) for name in chance.sample(names, len(names))
                ))
                for review in await engine.reviews(limit=100):
                    await one(engine.resume(review.thread_id, approve(), by="dana", review_id=review.id))
                await one(engine.recover())
                if len(await engine.runs(status="completed", workflow="top", limit=1000)) == len(names):
                    return
                await asyncio.sleep(0.05)

    asyncio.run(main(*sys.argv[1:]))
"""


def completed(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("select count(*) from adjourn.runs where status = 'completed'").fetchone()
    return row[0] if row else 0


def kill_again_and_again(database: str, path: Path, *, families: int, processes: int, kills: int, every: float) -> None:
    chance, started = random.Random(11), 0
    with ExitStack() as stack:

        def start() -> Child:
            nonlocal started
            started += 1
            return stack.enter_context(child(DRIVER, database, str(started), str(families)))

        alive, done, before, since = [start() for _ in range(processes)], 0, 0, time.monotonic()
        while (ended := completed(database)) < families * 3:
            if ended > before:
                before, since = ended, time.monotonic()
            assert time.monotonic() - since < 60, f"{ended} runs have ended, and none in 60 s\n{alive[0].output}"
            time.sleep(every)
            if done < kills:
                done += 1
                alive.pop(chance.randrange(len(alive))).kill()
                alive.append(start())
    agree(database)
    with psycopg.connect(database) as connection:
        statuses = connection.execute("select workflow, status, count(*) from adjourn.runs group by 1, 2").fetchall()
    assert sorted(statuses) == [(level, "completed", families) for level in ("bottom", "middle", "top")]
    lines = ledger(path)
    # `on_uncertain="retry"`: an effect in whose midst a process was killed is done again
    for name in (f"f{n}" for n in range(families)):
        mine = [line for line in lines if line.endswith(f" {name}")]
        assert list(dict.fromkeys(mine)) == [f"effect of {level} {name}" for level in EFFECTS]
    assert len(lines) - families * 3 <= kills


def test_of_families_whose_processes_are_killed_none_is_lost(database: str, ledger_file: Path) -> None:
    kill_again_and_again(database, ledger_file, families=4, processes=2, kills=2, every=0.5)


@pytest.mark.soak
def test_of_a_hundred_families_whose_processes_are_killed_none_is_lost(database: str, ledger_file: Path) -> None:
    kill_again_and_again(database, ledger_file, families=100, processes=3, kills=40, every=1.0)
