"""Everything that our own workflows keep comes back in another process as it was, types included."""

import json
from typing import Any, get_type_hints

from adjourn import AsyncEngine, edit, reject, respond
from adjourn.graphs.review import build
from adjourn.state.review import ReviewState
from support.processes import child

READ = """
import asyncio, json
from adjourn import AsyncEngine

def shape(value):
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shape(part) for part in value]
    return [type(value).__module__, type(value).__qualname__, value]

async def main():
    async with AsyncEngine.open(sys.argv[1]) as engine:
        print("STATE " + json.dumps(shape((await engine.get(sys.argv[2])).state)), flush=True)

asyncio.run(main())
"""


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: shape(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shape(part) for part in value]
    return [type(value).__module__, type(value).__qualname__, value]


async def test_the_whole_state_of_review_comes_back_in_a_second_process(database: str) -> None:
    async with AsyncEngine.open(database, workflows={"review": build(min_confidence=1.0)}) as engine:
        run = await engine.start("review", {"input_text": "Both sides signed the contract on 3 May."})
        for answer in (respond("it was 2024"), reject("too short"), edit({"summary": "Signed."})):
            run = await engine.resume(run.thread_id, answer)
    assert run.status == "completed", run.error
    assert set(run.state) == set(get_type_hints(ReviewState))
    with child(READ, database, run.thread_id, fresh=True) as other:
        (line,) = [line for line in other.finish().splitlines() if line.startswith("STATE ")]
    assert json.loads(line.removeprefix("STATE ")) == shape(run.state)
