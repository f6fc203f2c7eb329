"""Many runs in several processes, of which one after the other is killed: none is lost, nothing is done twice."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

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
            [sys.executable, "-c", textwrap.dedent(PROGRAM), database, self.ledger, str(runs), str(pause), str(lease)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
            env={**os.environ, "PYTHONPATH": str(TESTS)},
        )  # fmt: skip

    def start(self, name: str) -> None:
        self.alive.append(self._ask(f"start {name}"))

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
    finally:
        started.close()


def kill_again_and_again(
    database: str,
    folder: Path,
    *,
    runs: int,
    processes: int,
    kills: int | None,
    every: float,
    pause: float,
    lease: float,
) -> None:
    """Kill a random driver every so often, and start another, until all runs have ended or it was done so often."""
    chance = random.Random(7)
    with drivers(database, folder, runs, pause, lease) as started:
        for n in range(processes):
            started.start(f"d{n}")
        before, since, kills_done = 0, time.monotonic(), 0
        while (ended := count_completed(database)) < runs:
            if ended > before:
                before, since = ended, time.monotonic()
            assert time.monotonic() - since < 60, (
                f"{ended} runs have ended, and none in 60 s\n{started.log.read_text()}"
            )
            time.sleep(every)
            if kills is None or kills_done < kills:
                kills_done += 1
                started.kill(chance.choice(started.alive))
                started.start(f"d{processes + kills_done}")
    again = started.ledger.read_text().count(" charged ") - runs
    assert_all_ended_right(database, started.ledger, [f"r{n}" for n in range(runs)], started.killed)
    assert "a lease was lost" not in started.log.read_text(), started.log.read_text()
    print(f"{runs} runs, {kills_done} kills, {again} effects in doubt, done again by their key")


def count_completed(database: str) -> int:
    with psycopg.connect(database) as connection:
        row = connection.execute("select count(*) from adjourn.runs where status = 'completed'").fetchone()
    return row[0] if row else 0


def test_of_runs_whose_processes_are_killed_none_is_lost_and_nothing_is_done_twice(
    database: str, tmp_path: Path
) -> None:
    kill_again_and_again(database, tmp_path, runs=24, processes=2, kills=3, every=0.4, pause=0.2, lease=1.0)


@pytest.mark.soak
def test_of_five_hundred_runs_whose_processes_are_killed_none_is_lost_and_nothing_is_done_twice(
    database: str, tmp_path: Path
) -> None:
    kill_again_and_again(database, tmp_path, runs=500, processes=4, kills=None, every=1.0, pause=1.0, lease=3.0)
