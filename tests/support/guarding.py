"""A workflow whose nodes write down when they are entered and left, and what that says about how many run at once."""

import asyncio
import os
import random
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from langgraph.graph import StateGraph

from support.workflows import Trail, ask, chain

FLOWS = """
import os
from pathlib import Path
from support.guarding import guarded

load = guarded(Path(os.environ["LEDGER"]), float(os.environ["PAUSE"]))
"""


def guarded(ledger: Path, pause: float) -> StateGraph[Trail]:
    """first → ask → last; the name of a run is tenant/number, and its nodes take up to `pause` seconds."""

    def note(what: str, node: str, name: str) -> None:
        with ledger.open("ab", buffering=0) as file:
            file.write(f"{time.monotonic()} {what} {os.getpid()} {node} {name}\n".encode())

    @contextmanager
    def inside(node: str, name: str) -> Iterator[None]:
        note("in", node, name)
        yield
        note("out", node, name)

    async def first(state: Trail) -> Trail:
        with inside("first", state["name"]):
            await asyncio.sleep(random.Random(state["name"]).uniform(0, pause))
        return {"trail": ["first"]}

    async def last(state: Trail) -> Trail:
        with inside("last", state["name"]):
            await asyncio.sleep(random.Random(state["name"]).uniform(0, pause))
        return {"trail": ["last"]}

    return chain(("first", first), ("ask", ask), ("last", last))


@dataclass(frozen=True)
class Stay:
    """A node that was entered and left, or whose process was killed in it."""

    since: float
    until: float
    node: str
    run: str

    @property
    def tenant(self) -> str:
        return self.run.partition("/")[0]


def stays(ledger: Path, killed: Mapping[int, float]) -> list[Stay]:
    """What the nodes wrote down.

    Args:
        ledger: Where.
        killed: When processes were dead.
    """
    open_since: dict[tuple[int, str, str], float] = {}
    found = []
    for line in ledger.read_text().splitlines():
        at, what, pid, node, run = line.split()
        key = (int(pid), node, run)
        if what == "in":
            open_since[key] = float(at)
        else:
            found.append(Stay(open_since.pop(key), float(at), node, run))
    return [*found, *(Stay(since, killed[pid], node, run) for (pid, node, run), since in open_since.items())]


def most_at_once(found: Iterable[Stay]) -> int:
    """The most that were inside at any moment."""
    moments = [(stay.since, 1) for stay in found] + [(stay.until, -1) for stay in found]
    inside = most = 0
    for _, change in sorted(moments):
        inside += change
        most = max(most, inside)
    return most


def most_within(times: Iterable[float], seconds: float) -> int:
    """The most of some times that lie in any span of so many seconds."""
    ordered = sorted(times)
    return max(sum(at <= other < at + seconds for other in ordered) for at in ordered)
