"""kill -9 of clients and of the server under load: what was acknowledged is there, and each run goes on to its end."""

import asyncio
import os
import random
import signal
import subprocess
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from adjourn.checkpoints import open_saver
from adjourn.checkpoints.migrate import migrate
from adjourn.settings import load_settings
from support.forking import fork_server
from support.saving import config, four_steps
from support.servers import Server, own_server

RUNS_AT_ONCE = 32

# Forks a driver for each name that it reads, and says its process id. Forking saves the imports, not the crash.
PROGRAM = """
    import asyncio, itertools, os, sys
    from adjourn.checkpoints import open_saver
    from support.saving import config, four_steps

    async def drive(url, acknowledged, part, at_once):
        ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
        async with open_saver(url) as saver:
            aput = saver.aput
            async def noting(named, checkpoint, *rest):
                done = await aput(named, checkpoint, *rest)
                os.write(acknowledged, f"{named['configurable']['thread_id']} {checkpoint['id']}\\n".encode())
                return done
            saver.aput = noting
            graph = four_steps(saver)
            async def one_after_the_other(n):
                for k in itertools.count():
                    if ended.is_set():
                        return
                    final = await graph.ainvoke({"log": [], "text": ""}, config(f"{part}-{n}-{k}"), durability="sync")
                    assert final["log"] == ["a", "b", "c", "d"], final
            await asyncio.gather(*(one_after_the_other(n) for n in range(at_once)))

    url, file, at_once = sys.argv[1], sys.argv[2], int(sys.argv[3])
    for line in iter(sys.stdin.readline, ""):
        driver = os.fork()
        if driver == 0:
            acknowledged = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            asyncio.run(drive(url, acknowledged, line.strip(), at_once))
            os._exit(0)
        print(driver, flush=True)
        print("ended", os.waitpid(driver, 0)[1], flush=True)
"""


class Drivers:
    """Starts drivers, one after the other; knows what they acknowledged."""

    def __init__(self, url: str, acknowledged: Path) -> None:
        self.acknowledged = acknowledged
        acknowledged.touch()
        self._process = subprocess.Popen(
            [fork_server() / "python", "-c", textwrap.dedent(PROGRAM), url, str(acknowledged), str(RUNS_AT_ONCE)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "ADJOURN_STORAGE_PATIENCE": "90"},
        )  # fmt: skip

    def start(self, part: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(part + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def end(self) -> int:
        """Wait until the driver has ended; returns its wait status."""
        assert self._process.stdout is not None
        word, status = self._process.stdout.readline().split()
        assert word == "ended"
        return int(status)

    def stop_asking(self) -> None:
        """Let the driver end after its present runs."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def acknowledgements(self, since: int = 0) -> list[tuple[str, str]]:
        lines = self.acknowledged.read_bytes()[since:].decode().splitlines()
        return [(thread_id, checkpoint_id) for thread_id, checkpoint_id in (line.split() for line in lines)]

    def wait_for_more_than(self, size: int) -> None:
        """Wait until the driver has acknowledged something."""
        deadline = time.monotonic() + 100
        while self.acknowledged.stat().st_size == size:
            assert time.monotonic() < deadline, "nothing was acknowledged for 100 s"
            time.sleep(0.005)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def drivers(url: str, acknowledged: Path) -> Iterator[Drivers]:
    started = Drivers(url, acknowledged)
    try:
        yield started
    finally:
        started.close()


def missing(url: str, acknowledged: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Which acknowledged checkpoints are not stored."""
    with psycopg.connect(url) as connection:
        stored = set(connection.execute("select thread_id, checkpoint_id from checkpoints").fetchall())
    return [each for each in acknowledged if each not in stored]


async def all_end_right(url: str, part: str) -> int:
    """Continue every run of a driver that is not at its end; return how many runs there were."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("select distinct thread_id from checkpoints where thread_id like %s", (f"{part}-%",))
        thread_ids = [row[0] for row in rows.fetchall()]
    async with open_saver(url) as saver:
        graph = four_steps(saver)

        async def to_the_end(thread_id: str) -> list[str]:
            state = await graph.aget_state(config(thread_id))
            if state.tasks:
                return list((await graph.ainvoke(None, config(thread_id), durability="sync"))["log"])
            return list(state.values["log"])

        logs = await asyncio.gather(*(to_the_end(each) for each in thread_ids))
    assert all(log == ["a", "b", "c", "d"] for log in logs)
    return len(thread_ids)


def kill_and_continue(url: str, folder: Path, kills: int) -> None:
    chance = random.Random(4)
    with drivers(url, folder / "acknowledged") as started:
        for n in range(kills):
            begun = started.acknowledged.stat().st_size
            driver = started.start(f"k{n}")
            started.wait_for_more_than(begun)
            time.sleep(chance.uniform(0, 0.5))
            os.kill(driver, signal.SIGKILL)
            assert started.end() == signal.SIGKILL
            acknowledged = started.acknowledgements(begun)
            assert acknowledged
            assert missing(url, acknowledged) == []
            # how many had begun by then is up to the machine
            assert asyncio.run(all_end_right(url, f"k{n}")) > 0
        print(f"{kills} kills, {len(started.acknowledgements())} acknowledged checkpoints, none missing")


def restart_and_continue(server: Server, folder: Path, restarts: int) -> None:
    chance, part = random.Random(5), f"r{restarts}"
    asyncio.run(migrate(SecretStr(server.url), load_settings()))
    with drivers(server.url, folder / "acknowledged") as started:
        started.start(part)
        for _ in range(restarts):
            begun = started.acknowledged.stat().st_size
            started.wait_for_more_than(begun)
            time.sleep(chance.uniform(0, 0.5))
            server.stop()
            acknowledged = started.acknowledgements()
            server.start()
            assert missing(server.url, acknowledged) == []
        started.stop_asking()
        # no run of the driver noticed anything
        assert started.end() == 0
        assert missing(server.url, started.acknowledgements()) == []
        assert asyncio.run(all_end_right(server.url, part)) >= RUNS_AT_ONCE
        print(f"{restarts} restarts, {len(started.acknowledgements())} acknowledged checkpoints, none missing")


@pytest.fixture(scope="module")
def server_of_my_own() -> Iterator[Server]:
    with own_server() as server:
        yield server


def test_a_client_killed_in_the_middle_of_batches_loses_nothing_acknowledged(database: str, tmp_path: Path) -> None:
    kill_and_continue(database, tmp_path, 3)


def test_a_server_that_crashes_under_load_loses_nothing_acknowledged(server_of_my_own: Server, tmp_path: Path) -> None:
    restart_and_continue(server_of_my_own, tmp_path, 1)


@pytest.mark.soak
def test_two_hundred_killed_clients_lose_nothing_acknowledged(database: str, tmp_path: Path) -> None:
    kill_and_continue(database, tmp_path, 200)


@pytest.mark.soak
def test_twenty_crashes_of_the_server_lose_nothing_acknowledged(server_of_my_own: Server, tmp_path: Path) -> None:
    restart_and_continue(server_of_my_own, tmp_path, 20)
