"""From cells to medians, ratios and targets; to a table, a JSON file and a chart."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.workloads import STEPS

NAMES = {"ours": "adjourn", "stock": "AsyncPostgresSaver", "memory": "InMemorySaver", "dbos": "DBOS"}


@dataclass(frozen=True)
class Cell:
    """One contender, one durability, so many runs at once, once."""

    name: str
    durability: str
    at_once: int
    runs: int
    seconds: float
    cpu: float
    server_cpu: float
    gaps: list[float] = field(repr=False)

    @property
    def rate(self) -> float:
        """Runs per second."""
        return self.runs / self.seconds

    def gap(self, share: float) -> float:
        """Milliseconds between two steps that this share of them needs at most."""
        ordered = sorted(self.gaps)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")

    def per_step(self, seconds: float) -> float:
        """Milliseconds for each step."""
        return 1000 * seconds / (self.runs * len(STEPS))


Figures = dict[tuple[str, str, int], dict[str, Any]]


def figures(cells: Sequence[Cell]) -> Figures:
    """Return the medians over the rounds, and the spread of the rates."""
    found: Figures = {}
    for key in dict.fromkeys((cell.name, cell.durability, cell.at_once) for cell in cells):
        same = [cell for cell in cells if (cell.name, cell.durability, cell.at_once) == key]

        def middle(of: Callable[[Cell], float], same: Sequence[Cell] = tuple(same)) -> float:
            return round(median(of(cell) for cell in same), 3)

        found[key] = {
            "runs_per_second": middle(lambda cell: cell.rate),
            "lowest": round(min(cell.rate for cell in same), 1),
            "highest": round(max(cell.rate for cell in same), 1),
            "step_p50_ms": middle(lambda cell: cell.gap(0.5)),
            "step_p99_ms": middle(lambda cell: cell.gap(0.99)),
            "client_cpu_ms": middle(lambda cell: cell.per_step(cell.cpu)),
            "server_cpu_ms": middle(lambda cell: cell.per_step(cell.server_cpu)),
        }
    return found


def ratio(cells: Sequence[Cell], name: str, at_once: int, durability: str = "sync") -> float:
    """Return ours against another: the median of the ratios of each round, whose cells ran side by side."""

    def rates(of: str) -> list[float]:
        return [c.rate for c in cells if (c.name, c.durability, c.at_once) == (of, durability, at_once)]

    pairs = zip(rates("ours"), rates(name), strict=False)
    return round(median([ours / other for ours, other in pairs] or [float("nan")]), 2)


def targets(cells: Sequence[Cell], found: Figures) -> list[tuple[str, float, str, bool]]:
    """Return what was aimed at, what was reached, and whether that is enough."""
    many = 32 if ("ours", "sync", 32) in found else max(key[2] for key in found)
    ours, stock = found["ours", "sync", many], found["stock", "sync", many]
    rows = [
        (f"throughput against AsyncPostgresSaver, {many} runs, sync", ratio(cells, "stock", many), 3.5),
        ("throughput against AsyncPostgresSaver, 1 run, sync", ratio(cells, "stock", 1), 1.1),
        (f"share of the in-memory ceiling, {many} runs, sync", ratio(cells, "memory", many), 0.6),
    ]
    if ("dbos", "sync", many) in found:
        rows.insert(1, (f"throughput against DBOS, {many} runs, sync", ratio(cells, "dbos", many), 3.0))
    judged = [(what, reached, f"≥ {target}", reached >= target) for what, reached, target in rows]
    p99 = round(ours["step_p99_ms"] / stock["step_p99_ms"], 2)
    return [*judged, (f"p99 of a step against AsyncPostgresSaver's, {many} runs, sync", p99, "< 1", p99 < 1)]


def report(cells: Sequence[Cell], on_disk: dict[str, float], machine: dict[str, Any], folder: Path) -> None:
    """Print the tables; write JSON and, where matplotlib is installed, the chart."""
    found = figures(cells)
    aims = targets(cells, found)
    print("\n".join([*_machine(machine), "", *_table(found), "", *_sizes(on_disk), "", *_targets(aims)]))
    folder.mkdir(parents=True, exist_ok=True)
    written = {
        "machine": machine,
        "figures": [dict(zip(("name", "durability", "at_once"), key, strict=True)) | row for key, row in found.items()],
        "bytes_per_run": {name: round(size) for name, size in on_disk.items()},
        "targets": [dict(zip(("what", "reached", "target", "met"), each, strict=True)) for each in aims],
    }
    (folder / "store.json").write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n")
    (folder / "store.md").write_text(markdown(written))
    if find_spec("matplotlib"):
        _chart(found, folder / "store.png")


def markdown(written: dict[str, Any]) -> str:
    """Return the page that the documentation links to, from what stands in the JSON file."""
    lines = ["# Figures of `make bench`", "", "![throughput and longest waits](store.png)", ""]
    lines += ["| target | reached | aimed at | |", "|---|--:|--:|---|"]
    for aim in written["targets"]:
        lines.append(
            f"| {aim['what']} | {aim['reached']} | {aim['target']} | {'met' if aim['met'] else '**missed**'} |"
        )
    lines += ["", "| `durability` | runs at once | | " + " | ".join(_COLUMNS.values()) + " | spread |"]
    lines += ["|---|--:|---|" + "--:|" * (len(_COLUMNS) + 1)]
    for row in sorted(
        written["figures"], key=lambda row: (row["durability"] != "sync", row["durability"], row["at_once"])
    ):
        values = " | ".join(f"{row[column]:.2f}" for column in _COLUMNS)
        spread = f"{row['lowest']:.0f} … {row['highest']:.0f}"
        lines.append(f"| {row['durability']} | {row['at_once']} | {NAMES[row['name']]} | {values} | {spread} |")
    lines += ["", "Times in milliseconds, processor times for each step; medians of all rounds.", ""]
    lines += ["| bytes on disk for a run of four steps | |", "|---|--:|"]
    lines += [f"| {_label(name)} | {size:,} |" for name, size in written["bytes_per_run"].items()]
    lines += ["", "| the machine | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in written["machine"].items())]) + "\n"


def _label(name: str) -> str:
    return NAMES.get(name, name.replace("ours", NAMES["ours"]))


def _machine(machine: dict[str, Any]) -> list[str]:
    return [f"{name:>30}  {value}" for name, value in machine.items()]


_COLUMNS = {
    "runs_per_second": "runs/s",
    "step_p50_ms": "step p50",
    "step_p99_ms": "p99",
    "client_cpu_ms": "cpu/step",
    "server_cpu_ms": "server",
}


def _table(found: Figures) -> list[str]:
    rows = [f"{'':20}{'durability':>11}{'at once':>9}{'spread':>14}" + "".join(f"{c:>10}" for c in _COLUMNS.values())]
    for key in sorted(found, key=lambda key: (key[2], key[1] != "sync", key[1])):
        name, durability, at_once = key
        row = found[key]
        spread = f"{row['lowest']:.0f} … {row['highest']:.0f}"
        values = "".join(f"{row[column]:>10.2f}" for column in _COLUMNS)
        rows.append(f"{NAMES[name]:20}{durability:>11}{at_once:>9}{spread:>14}{values}")
    return [*rows, "times in milliseconds; medians of all rounds; spread: runs/s of the slowest and the fastest round"]


def _sizes(on_disk: dict[str, float]) -> list[str]:
    return ["bytes on disk for a run of four steps:"] + [
        f"{_label(name):>30}  {size:,.0f}" for name, size in on_disk.items()
    ]


def _targets(aims: Sequence[tuple[str, float, str, bool]]) -> list[str]:
    rows = [f"{'':8}{'reached':>9}{'target':>9}"]
    return rows + [
        f"{'met' if met else 'MISSED':8}{reached:>9.2f}{target:>9}   {what}" for what, reached, target, met in aims
    ]


def _chart(found: Figures, file: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    counts = sorted({key[2] for key in found})
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for name, label in NAMES.items():
        rows = [(n, found[name, "sync", n]) for n in counts if (name, "sync", n) in found]
        if rows:
            left.plot([n for n, _ in rows], [row["runs_per_second"] for _, row in rows], marker="o", label=label)
            right.plot([n for n, _ in rows], [row["step_p99_ms"] for _, row in rows], marker="o", label=label)
    left.set(title="Runs of four durable steps per second", xlabel="runs at once", ylim=(0, None), xticks=counts)
    right.set(title="Longest wait between two steps, p99, ms", xlabel="runs at once", yscale="log", xticks=counts)
    left.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(file, dpi=110)
    plt.close(figure)
