"""Measure `adaptive`: `python -m benchmarks.adaptive [--quick] [--url postgresql://…] [--out folder]`.

On paper: in worlds of strategies of different quality and cost, how many attempts runs need that remember what worked,
against runs that always begin in the same order; by the very rules of the workflow. Really: one such world through the
engine and PostgreSQL, with the memory and without.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import mean
from typing import Any

from adjourn import AsyncEngine, Settings, respond
from adjourn.graphs.adaptive import build
from adjourn.nodes.adaptive.adapting import MAX_ATTEMPTS
from adjourn.nodes.adaptive.records import RUNS, by_record, standings
from adjourn.nodes.adaptive.rules import poor_metrics, reason_of, remedies_of, score
from benchmarks.command import options, where, write
from benchmarks.machine import describe, new_database, server

NAMES = (
    "standard_processing", "parallel_execution", "simplified_processing", "cached_responses", "multi_model_ensemble",
    "detailed_analysis",
)  # fmt: skip
NOISE = 0.08
# attempts of runs that remember ÷ attempts of runs that do not, in the mean of all worlds
TARGET = 0.8


@dataclass(frozen=True)
class World:
    """Strategies with the quality and the speed that they have in the mean, 0-1 each."""

    quality: dict[str, float]
    speed: dict[str, float]

    def attempt(self, name: str, chance: random.Random) -> dict[str, float]:
        """Return the metrics of an attempt."""
        return {
            "response_time": _share(chance.gauss(self.speed[name], NOISE)),
            "accuracy": _share(chance.gauss(self.quality[name], NOISE)),
        }

    def best(self) -> str:
        """Return the strategy that is furthest above the threshold in what it is worst at."""
        return max(NAMES, key=lambda name: min(self.quality[name], self.speed[name]))


def world_of(seed: int, *, mixed: bool) -> World:
    """Return a world: one strategy is good, and the others are too slow or not right; or anything, where it is mixed."""
    chance = random.Random(f"world {seed}")
    if mixed:
        return World({name: chance.uniform(0.4, 1) for name in NAMES}, {name: chance.uniform(0.4, 1) for name in NAMES})
    good = chance.choice(NAMES)
    slow = {name: chance.random() < 0.5 for name in NAMES}
    return World(
        {name: 0.95 if name == good or slow[name] else chance.uniform(0.2, 0.6) for name in NAMES},
        {name: 0.95 if name == good or not slow[name] else chance.uniform(0.2, 0.6) for name in NAMES},
    )


def attempts_of(world: World, runs: int, seed: int, *, remembers: bool) -> list[tuple[int, bool]]:
    """Return for each run how many attempts it made, and whether it reached the best strategy.

    A run ends with an attempt that is good in everything, or with the last one that is allowed.
    """
    chance, known = random.Random(f"luck {seed}"), []
    found = []
    for _ in range(runs):
        order = by_record(standings(known[-RUNS:]), NAMES) if remembers else NAMES
        current, tried, kept = order[0], [], []
        while True:
            metrics = world.attempt(current, chance)
            poor = poor_metrics(metrics, {})
            tried.append(current)
            kept.append({"strategy": current, "score": score(metrics, good=not poor)})
            if not poor or len(tried) == MAX_ATTEMPTS:
                break
            current = next(iter(remedies_of(reason_of(poor), current, NAMES, tried)))
        known.append({"attempts": kept})
        found.append((len(tried), world.best() in tried))
    return found


def on_paper(seeds: Iterable[int], runs: int) -> dict[str, dict[str, float]]:
    """Return the mean attempts of runs that remember and of others, and how often the best strategy was reached."""
    found = {}
    for kind in ("one good strategy", "anything"):
        worlds = [(seed, world_of(seed, mixed=kind == "anything")) for seed in seeds]
        each: dict[str, float] = {}
        totals: dict[str, list[int]] = {}
        for name, remembers in (("fixed", False), ("remembering", True)):
            made = [attempts_of(world, runs, seed, remembers=remembers) for seed, world in worlds]
            totals[name] = [sum(count for count, _ in run) for run in made]
            each[f"attempts, {name}"] = mean(count for run in made for count, _ in run)
            each[f"reaches the best, {name}"] = mean(reached for run in made for _, reached in run)
        each["ratio"] = each["attempts, remembering"] / each["attempts, fixed"]
        ratios = zip(totals["remembering"], totals["fixed"], strict=True)
        each["worst world"] = max(with_memory / without for with_memory, without in ratios)
        found[kind] = each
    return found


async def really(url: str, seed: int, runs: int) -> dict[str, float]:
    """Return the mean attempts of runs through the engine, by whether they remember."""
    world = world_of(seed, mixed=False)
    found = {}
    for name, memory in (("fixed", None), ("remembering", f"bench {seed}")):
        chance = random.Random(f"luck {seed}")

        def strategy(which: str, chance: random.Random = chance) -> Any:
            async def act(task: Any) -> Any:
                return world.attempt(which, chance)

            return act

        workflow = build(
            strategies={which: strategy(which) for which in NAMES},
            measurers={
                "response_time": lambda attempted: attempted.result["response_time"],
                "accuracy": lambda attempted: attempted.result["accuracy"],
            },
            memory=memory,
        )
        async with AsyncEngine.open(url, workflows={"a": workflow}, settings=Settings(log_level="error")) as engine:
            counts = []
            for turn in range(runs):
                run = await engine.start("a", {"main_task": f"run {turn}"})
                if run.status == "paused":
                    run = await engine.resume(run.thread_id, respond("never mind"))
                counts.append(run.state["final_result"]["attempts"])
            found[name] = mean(counts)
    return found


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))


def main() -> None:
    """Print the tables, and write them as JSON and as a page."""
    given = options(__doc__).parse_args()
    seeds, runs, engine_runs = (range(8), 20, 3) if given.quick else (range(200), 100, 30)
    paper = on_paper(seeds, runs)
    with server(given.url) as base:
        machine = describe(base)
        real = asyncio.run(really(new_database(base, "bench_adaptive"), 1, engine_runs))
    worlds = (
        f"{len(seeds)} seeded worlds of {len(NAMES)} strategies, {runs} runs in each, at most {MAX_ATTEMPTS} attempts"
    )
    about = [
        f"{worlds}; target: {TARGET:g} of the attempts of the fixed order.",
        f"{where(machine)}.",
    ]
    heads = (
        "attempts, fixed order | attempts, remembering | ratio | in the worst world | best reached, fixed | remembering"
    )
    table = [f"| worlds | {heads} |", "|---|--:|--:|--:|--:|--:|--:|"]
    for kind, each in paper.items():
        missed = "" if each["ratio"] <= TARGET else " (missed)"
        table.append(
            f"| {kind} | {each['attempts, fixed']:.2f} | {each['attempts, remembering']:.2f} | {each['ratio']:.2f}{missed} "
            f"| {each['worst world']:.2f} "
            f"| {each['reaches the best, fixed']:.0%} | {each['reaches the best, remembering']:.0%} |"
        )
    ratio = real["remembering"] / real["fixed"]
    table.append(f"| one, through the engine | {real['fixed']:.2f} | {real['remembering']:.2f} | {ratio:.2f} | | | |")
    print("\n".join([*about, *table]))
    figures = {"machine": machine, "target": TARGET, "on_paper": paper, "really": real}
    write(given.out, "adaptive", figures, ["# Attempts until a strategy is good", "", *about, "", *table])


if __name__ == "__main__":
    main()
