"""An existing LangGraph graph runs unchanged: each kind pauses, its process exits, and others take it to its end."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from anygraph.graphs import KINDS

from adjourn import AsyncEngine, Run
from support.postgres import TEMPLATE, fresh_database
from support.processes import child

START = """
    import json
    from adjourn import Engine
    from anygraph.graphs import KINDS, summary

    with Engine.open(sys.argv[1], workflows={name: kind.graph for name, kind in KINDS.items()}) as engine:
        for name, kind in KINDS.items():
            told = summary(engine.start, name, kind.input, thread_id=name, context=kind.context)
            print("#", json.dumps([name, 0, told]))
"""
RESUME = """
    import json
    from adjourn import Engine
    from anygraph.graphs import KINDS, summary

    first, most = int(sys.argv[2]), int(sys.argv[3])
    with Engine.open(sys.argv[1], workflows={name: kind.graph for name, kind in KINDS.items()}) as engine:
        for name, kind in KINDS.items():
            for count in range(first, most):
                run = engine.get(name)
                if run.status != "paused":
                    break
                told = summary(engine.resume, name, kind.answer(run.reviews, count))
                print("#", json.dumps([name, count + 1, told]))
"""


@pytest.fixture(scope="module")
def told(server_of: Callable[[int | None], str]) -> Iterator[tuple[dict[str, dict[int, str]], dict[str, Run]]]:
    """What three processes said of each kind after its nth answer, and the runs as a fourth finds them."""
    said: dict[str, dict[int, str]] = {name: {} for name in KINDS}
    with fresh_database(server_of(None), TEMPLATE) as database:
        for program, arguments in ((START, ()), (RESUME, ("0", "1")), (RESUME, ("1", "9"))):
            for name, count, summary in in_a_child(program, database, *arguments):
                said[name][count] = summary
        yield said, asyncio.run(found(database))


def in_a_child(program: str, *arguments: str) -> list[Any]:
    with child(program, *arguments, environment={"PYTHONPATH": str(Path(__file__).parents[1])}) as process:
        lines = process.finish().splitlines()
    return [json.loads(line[1:]) for line in lines if line.startswith("# ")]


async def found(database: str) -> dict[str, Run]:
    async with AsyncEngine.open(database) as engine:
        return {name: await engine.get(name) for name in KINDS}


@pytest.mark.parametrize("name", KINDS)
def test_a_graph_of_each_kind_pauses_and_is_resumed_elsewhere_to_its_end(name: str, told: Any) -> None:
    said, runs = told
    kind, run = KINDS[name], runs[name]
    story = "\n".join(f"{count}: {text}" for count, text in said[name].items())
    assert run.status == "completed", story
    assert kind.ended(run.state), f"{run.state}\n{story}"
    assert len(said[name]) == kind.pauses + 1, story
