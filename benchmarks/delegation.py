"""Measure `delegation`: `python -m benchmarks.delegation [--quick] [--url postgresql://…] [--out folder]`.

On paper: how long random plans take by the scheduler alone, against what no schedule can beat. Really: such plans through
the engine and PostgreSQL, with agents that wait as long as the plan says, against the critical path; a plan of many
subtasks without work, for what a subtask costs; and the transactions that a subtask and a nested plan write.
"""

from __future__ import annotations

import asyncio
from statistics import median
from typing import Any

from psycopg import AsyncConnection

from adjourn import AsyncEngine, Settings
from adjourn.graphs.delegation import build
from adjourn.nodes.delegation.agenda import simulated
from adjourn.nodes.delegation.agents import Brief
from adjourn.nodes.delegation.network import Network, graham_bound, lower_bound
from benchmarks.command import options, where, write
from benchmarks.machine import describe, new_database, server
from benchmarks.plans import random_network

CAPACITIES = (1, 2, 4, 8, 16)
TARGETS = {"against the critical path": 1.10, "median against the lower bound": 1.15, "against Graham's bound": 1.0}


def on_paper(graphs: int) -> dict[str, dict[str, float]]:
    """Return the ratios of simulated plans, by capacity."""
    networks = [random_network(seed) for seed in range(graphs)]
    found = {}
    for capacity in (*CAPACITIES, 0):
        ratios, bounds = [], []
        for network in networks:
            room = capacity or len(network.order)
            makespan = simulated(network, room)[0]
            ratios.append(makespan / lower_bound(network, room))
            bounds.append(makespan / graham_bound(network, room))
        name = str(capacity) if capacity else "enough"
        found[name] = {"median": median(ratios), "highest": max(ratios), "of_grahams_bound": max(bounds)}
    return found


async def really(url: str, seeds: list[int], seconds: float, many: int) -> dict[str, Any]:
    """Return the ratios of plans that were carried out, and how many subtasks without work are done in a second."""

    async def wait(brief: Brief) -> None:
        await asyncio.sleep(float(brief.input_data.get("seconds", 0)))

    graph = build(agents={"wait": wait}, capacity=300)
    narrow = build(agents={"wait": wait}, capacity=8)
    settings = Settings(log_level="error")
    async with AsyncEngine.open(url, workflows={"wide": graph, "narrow": narrow}, settings=settings) as engine:
        runs = []
        for seed in seeds:
            network = random_network(seed)
            scale = seconds / network.length
            wide = await makespan_of(engine, "wide", network, scale)
            # as long as the others, whatever the work: it is what is waited for
            least = lower_bound(network, 8)
            through = await makespan_of(engine, "narrow", network, seconds / 2 / least)
            runs.append(
                {
                    "seed": seed,
                    "subtasks": len(network.order),
                    "critical_path_seconds": seconds,
                    "makespan_seconds": wide,
                    "ratio": wide / seconds,
                    "ratio_with_8": through / (seconds / 2),
                }
            )
        plan = {
            "subtasks": [{"id": f"t{n}", "dependencies": [f"t{n // 2}"] if n > 1 else []} for n in range(1, many + 1)]
        }
        run = await engine.start("narrow", {"plan": plan})
        assert run.status == "completed", run.error
        took = run.state["final_result"]["makespan_seconds"]
        written = await costs(engine, url)
    return {"runs": runs, "many": {"subtasks": many, "seconds": took, "per_second": many / took}, "written": written}


async def costs(engine: AsyncEngine, url: str) -> dict[str, float]:
    """Return how many transactions a run writes, each subtask of it, and each plan that is nested in it."""

    async def written(subtasks: list[dict[str, Any]]) -> int:
        before = await transactions(url)
        run = await engine.start("narrow", {"plan": {"subtasks": subtasks}})
        assert run.status == "completed", run.error
        return await transactions(url) - before

    count = 50
    alone = await written([{"id": "t"}])
    flat = await written([{"id": f"t{n}"} for n in range(count + 1)])
    nested = await written([{"id": f"t{n}", "plan": {"subtasks": [{"id": "t"}]}} for n in range(count)])
    subtask = (flat - alone) / count
    return {"a_run": alone - subtask, "a_subtask": subtask, "a_nested_plan": nested / count - subtask}


async def transactions(url: str) -> int:
    """Return how many transactions have written on a server of our own."""
    async with await AsyncConnection.connect(url) as connection:
        row = await (
            await connection.execute("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        ).fetchone()
    assert row is not None
    return int(row[0])


async def makespan_of(engine: AsyncEngine, workflow: str, network: Network, scale: float) -> float:
    """Carry a plan out; return the seconds from its first beginning to its last end."""
    subtasks = [
        {
            "id": each,
            "dependencies": list(network.dependencies[each]),
            "expected_seconds": network.seconds[each] * scale,
            "input_data": {"seconds": network.seconds[each] * scale},
        }
        for each in network.order
    ]
    run = await engine.start(workflow, {"plan": {"subtasks": subtasks}})
    assert run.status == "completed", run.error
    return float(run.state["final_result"]["makespan_seconds"])


def main() -> None:
    """Print the figures, and write them as JSON and as a page."""
    given = options(__doc__).parse_args()
    paper = on_paper(20 if given.quick else 200)
    with server(given.url) as base:
        url = new_database(base, "bench_delegation")
        machine = describe(base)
        seeds, seconds, many = ([1], 0.5, 100) if given.quick else (list(range(10)), 20.0, 10_000)
        found = asyncio.run(really(url, seeds, seconds, many))
    lines = [*table(paper), "", *carried_out(found)]
    print("\n".join([where(machine), *lines]))
    figures = {"machine": machine, "targets": TARGETS, "on_paper": paper, **found}
    write(given.out, "delegation", figures, ["# Delegation", "", f"{where(machine)}.", "", *lines])


def table(paper: dict[str, dict[str, float]]) -> list[str]:
    """Return the figures on paper."""
    rows = [
        f"| {name} | {each['median']:.3f} | {each['highest']:.3f} | {each['of_grahams_bound']:.3f} |"
        for name, each in paper.items()
    ]
    head = "| at once | median against the lower bound | highest | highest against Graham's bound |"
    return [head, "|---|--:|--:|--:|", *rows]


def carried_out(found: dict[str, Any]) -> list[str]:
    """Return the figures of what really ran."""
    ratios, narrow = [each["ratio"] for each in found["runs"]], [each["ratio_with_8"] for each in found["runs"]]
    many = found["many"]
    first = (
        f"Really run, {len(ratios)} plans: makespan against the critical path {median(ratios):.3f} (highest "
        f"{max(ratios):.3f}, target {TARGETS['against the critical path']:.2f}); with 8 at once against the lower bound "
        f"{median(narrow):.3f} (highest {max(narrow):.3f})."
    )
    second = (
        f"{many['subtasks']:,} subtasks without work: {many['seconds']:.1f} s, {many['per_second']:.0f} in a second."
    )
    written = found["written"]
    third = (
        f"Transactions that write: {written['a_subtask']:.1f} a subtask, {written['a_nested_plan']:.1f} more a nested plan, "
        f"{written['a_run']:.0f} more a run."
    )
    return [first, "", second, "", third]


if __name__ == "__main__":
    main()
