"""Many runs in several processes, of which one after the other is killed: none is lost, nothing is done twice."""

import os
import random
import signal
import subprocess
import textwrap
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from support.eventually import wait_for
from support.forking import fork_server
from support.load import assert_all_ended_right

TESTS = Path(__file__).parents[1]

# Forks a driver for each name that it reads and says its process id; ends one with its status when told its id.
# Forking saves the imports, not the crash.
PROGRAM = """
    import asyncio, os, signal, sys
    from pathlib import Path
    from adjourn import AsyncEngine
    from adjourn.settings import Settings
    from support.load import load_workflow, work_off

    database, ledger, runs, pause, lease = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), *map(float, sys.argv[4:])

    async def drive(name):
        settings, workflows = Settings(lease_seconds=lease), {"load": load_workflow(ledger, pause)}
        async with AsyncEngine.open(database, workflows=workflows, settings=settings) as engine:
            await work_off(engine, [f"r{n}" for n in range(runs)], name, at_once=4)

    for line in iter(sys.stdin.readline, ""):
        word, name = line.split()
        if word == "start":
            driver = os.fork()
            if driver == 0:
                asyncio.run(drive(name))
                os._exit(0)
            print(driver, flush=True)
        else:
            os.kill(int(name), signal.SIGKILL)
            print(os.waitpid(int(name), 0)[1], flush=True)
"""


class Drivers:
    """Processes that work off the same runs."""

    def __init__(self, database: str, folder: Path, runs: int, pause: float, lease: float) -> None:
        self.ledger, self.log = folder / "ledger", folder / "log"
        self.ledger.touch()
        self.killed: list[int] = []
        self.alive: list[int] = []
        self._log = self.log.open("w")
        self._process = subprocess.Popen(
            [fork_server() / "python", "-c", textwrap.dedent(PROGRAM),
             database, self.ledger, str(runs), str(pause), str(lease)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
        )  # fmt: skip

    def start(self, name: str) -> None:
        self.alive.append(self._ask(f"start {name}"))

    def noted(self) -> int:
        """How many lines they have written down."""
        return self.ledger.read_bytes().count(b"\n")

    def kill(self, driver: int) -> None:
        """kill -9; a driver that has ended because there was nothing left to do is as good."""
        self.alive.remove(driver)
        status = self._ask(f"kill {driver}")
        assert status in (0, signal.SIGKILL), self.log.read_text()
        if status == signal.SIGKILL:
            self.killed.append(driver)

    def close(self) -> None:
        for driver in list(self.alive):
            self.kill(driver)
        self._process.communicate()
        self._log.close()

    def _ask(self, line: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def drivers(database: str, folder: Path, runs: int, pause: float, lease: float) -> Iterator[Drivers]:
    started = Drivers(database, folder, runs, pause, lease)
    try:
        yield started
    except AssertionError as error:
        error.add_note(started.log.read_text())
        raise
    finally:
        started.close()


def kill_again_and_again(
    database: str,
    folder: Path,
    *,
    runs: int,
    processes: int,
    kills: int | None,
    every: int,
    pause: float,
    lease: float,
) -> tuple[Counter[str], int]:
    """Kill a random driver, and start another, whenever about so many more lines were written down, at most so often.

    Returns:
        How many runs ended how, and how many drivers were told to die before all had.
    """
    chance, kills_done = random.Random(7), 0
    with drivers(database, folder, runs, pause, lease) as started:
        for n in range(processes):
            started.start(f"d{n}")
        while count_completed(database) < runs:
            mark = started.noted() + chance.randint(every // 2, every * 3 // 2)
            wait_for(lambda mark=mark: started.noted() >= mark or count_completed(database) == runs, timeout=60)
            if kills is None or kills_done < kills:
                kills_done += 1
                started.kill(chance.choice(started.alive))
                started.start(f"d{processes + kills_done}")
    again = started.ledger.read_text().count(" charged ") - runs
    ended = assert_all_ended_right(database, started.ledger, [f"r{n}" for n in range(runs)], started.killed)
    assert "a lease was lost" not in started.log.read_text(), started.log.read_text()
    print(f"{runs} runs, {kills_done} kills, {again} effects in doubt, done again by their key")
    return ended, kills_done


def count_completed(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("select count(*) from adjourn.runs where status = 'completed'").fetchone()
    return row[0] if row else 0


def test_of_runs_whose_processes_are_killed_none_is_lost_and_nothing_is_done_twice(
    database: str, tmp_path: Path
) -> None:
    done = kill_again_and_again(database, tmp_path, runs=24, processes=2, kills=3, every=12, pause=0.2, lease=1.0)
    assert done == ({"completed": 24}, 3)


@pytest.mark.soak
def test_of_five_hundred_runs_whose_processes_are_killed_none_is_lost_and_nothing_is_done_twice(
    database: str, tmp_path: Path
) -> None:
    ended, killed = kill_again_and_again(
        database, tmp_path, runs=500, processes=4, kills=None, every=32, pause=1.0, lease=3.0
    )
    assert ended == {"completed": 500}
    assert killed > 20
