"""Measure the checkpoint store: `python -m benchmarks.store [--quick] [--url postgresql://…] [--out folder]`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from adjourn.checkpoints import open_saver
from adjourn.checkpoints.migrate import migrate
from adjourn.settings import load_settings
from benchmarks.command import options
from benchmarks.machine import bytes_on_disk, describe, new_database, server, server_seconds
from benchmarks.report import Cell, report
from benchmarks.workloads import Clock, langgraph_run

ROOT = Path(__file__).parents[1]


class Contender:
    """A contender's process."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.contender", name, url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip

    def wait_until_ready(self) -> None:
        """Wait until it has imported and opened everything; several start side by side."""
        self._read()

    def close(self) -> None:
        """Let it end."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def run(self, durability: str, at_once: int, seconds: float) -> dict[str, Any]:
        """Run one cell; return what was measured, the server's processor time included."""
        assert self.process.stdin is not None
        before = server_seconds(self.url)
        cell = {"durability": durability, "at_once": at_once, "seconds": seconds}
        self.process.stdin.write(json.dumps(cell) + "\n")
        self.process.stdin.flush()
        return self._read() | {"server_cpu": server_seconds(self.url) - before}

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the contender {self.name} ended; see above")
        found: dict[str, Any] = json.loads(line)
        return found


@contextmanager
def contenders(url: str, names: list[str]) -> Iterator[list[Contender]]:
    """Start the contenders, each with a database of its own on the server."""
    started: list[Contender] = []
    try:
        for name in names:
            of_its_own = new_database(url, f"bench_{name}")
            asyncio.run(migrate(SecretStr(of_its_own), load_settings()))
            started.append(Contender(name, of_its_own))
        for each in started:
            each.wait_until_ready()
        yield started
    finally:
        for each in started:
            each.close()


def measure(url: str, names: list[str], rounds: int, seconds: float, at_once: list[int]) -> list[Cell]:
    """Run all cells in turns."""
    cells: list[Cell] = []
    with contenders(url, names) as started:
        for each in started:
            each.run("sync", max(at_once), seconds)  # warm up
        for number in range(rounds):
            for runs in at_once:
                for durability in ("sync", "async", "exit"):
                    for each in started:
                        if each.name == "dbos" and durability != "sync":
                            continue
                        cells.append(Cell(each.name, durability, runs, **each.run(durability, runs, seconds)))
            print(f"round {number + 1} of {rounds} done", file=sys.stderr, flush=True)
    return cells


async def sizes(url: str, names: list[str], runs: int) -> dict[str, float]:
    """Return bytes on disk per run of four steps, of each contender, and of ours after the policy has pruned."""
    found: dict[str, float] = {}
    for name in names:
        if name == "memory":
            continue
        of_its_own = new_database(url, f"size_{name}")
        await migrate(SecretStr(of_its_own), load_settings())
        empty = bytes_on_disk(of_its_own)
        contender, done = Contender(name, of_its_own), 0
        with closing(contender):
            contender.wait_until_ready()
            while done < runs:
                done += contender.run("sync", 8, 0.5)["runs"]
        found[name] = (bytes_on_disk(of_its_own) - empty) / done
    url = new_database(url, "size_pruned")
    async with open_saver(url) as saver:
        empty = bytes_on_disk(url)
        run = langgraph_run(saver, Clock())
        for _ in range(runs):
            await run("sync")
        threads = {each.config["configurable"]["thread_id"] async for each in saver.alist(None)}
        await saver.aprune(sorted(threads))
    found["ours, pruned"] = (bytes_on_disk(url) - empty) / len(threads)
    return found


def main() -> None:
    """Parse the arguments, measure, report."""
    arguments = options(__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    names = ["ours", "stock", "memory", *(["dbos"] if find_spec("dbos") and not given.quick else [])]
    at_once = [1, 4] if given.quick else [1, 16, 32, 64]
    rounds, seconds = (1, 0.05) if given.quick else (given.rounds, 1.5)
    with server(given.url) as url:
        machine = describe(url) | {"began": datetime.now(UTC).isoformat(timespec="seconds"), "rounds": rounds}
        cells = measure(url, names, rounds, seconds, at_once)
        on_disk = asyncio.run(sizes(url, ["ours"] if given.quick else names, 10 if given.quick else 200))
    took = datetime.now(UTC) - datetime.fromisoformat(machine["began"])
    report(cells, on_disk, machine | {"took": str(timedelta(seconds=round(took.total_seconds())))}, given.out)


if __name__ == "__main__":
    main()
