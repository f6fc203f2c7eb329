"""Measure a round of votes: `python -m benchmarks.council [--quick] [--url postgresql://…] [--out folder]`.

Agents of different speed vote through the engine, each answer remembered on its own. A round should take as long as the
slowest agent, not as long as all of them together: both are measured in the same round, and shown as ratios.
"""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import Any

from langgraph.graph import START, StateGraph

from adjourn import AsyncEngine, Settings
from adjourn.nodes.council import Procedure, consensus, member
from adjourn.state.council import ConsensusState
from benchmarks.command import options, where, write
from benchmarks.machine import describe, new_database, server

# a round ÷ its slowest agent; the rest is the database and the engine
TARGET = 1.25
SIZES = (3, 9, 32)


def council(size: int, longest: float) -> Any:
    """A council whose agents take from a quarter of the longest time up to all of it."""

    def agent(number: int) -> Any:
        async def act(request: Any) -> dict[str, Any]:
            await asyncio.sleep(longest * (1 + 3 * number / (size - 1)) / 4)
            return {"decision": "yes", "reason": "for the record"}

        return member(f"agent {number:02}", act)

    members = [agent(number) for number in range(size)]
    node = consensus(members, options=["yes", "no"], procedure=Procedure(drafts=False))
    return StateGraph(ConsensusState).add_node("vote", node).add_edge(START, "vote")


async def measure(url: str, longest: float, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Return, for each size, how long a round took as a ratio to its slowest agent and to the sum of all."""
    found: dict[str, dict[str, list[float]]] = {}
    workflows = {f"council of {size}": council(size, longest) for size in SIZES}
    async with AsyncEngine.open(url, workflows=workflows, settings=Settings(log_level="error")) as engine:
        for name in workflows:
            await engine.start(name, {"main_task": "warm up"})
        for turn in range(rounds):
            for name in workflows:
                started = time.perf_counter()
                run = await engine.start(name, {"main_task": f"round {turn}"})
                took = time.perf_counter() - started
                cost = run.state["costs"]["build_consensus"]
                each = found.setdefault(name, {"of the slowest": [], "of the sum": []})
                each["of the slowest"].append(took / cost["seconds"])
                each["of the sum"].append(took / cost["agent_seconds"])
    return found


def main() -> None:
    """Print the table, and write it as JSON and as a page."""
    given = options(__doc__).parse_args()
    longest, rounds = (0.1, 2) if given.quick else (1.0, 10)
    with server(given.url) as base:
        machine = describe(base)
        found = asyncio.run(measure(new_database(base, "bench_council"), longest, rounds))
    about = [
        f"The slowest agent takes {longest:g} s, the fastest a quarter; median of {rounds} rounds; target {TARGET:g}.",
        f"{where(machine)}.",
    ]
    table = ["| a round takes | of its slowest agent | of the sum of all |", "|---|--:|--:|"]
    for name, each in found.items():
        slowest, total = median(each["of the slowest"]), median(each["of the sum"])
        table.append(f"| {name} | {slowest:.2f}{'' if slowest <= TARGET else ' (missed)'} | {total:.2f} |")
    print("\n".join([*about, *table]))
    figures = {"machine": machine, "longest_seconds": longest, "target": TARGET, "ratios": found}
    write(given.out, "council", figures, ["# A round of votes", "", *about, "", *table])


if __name__ == "__main__":
    main()
