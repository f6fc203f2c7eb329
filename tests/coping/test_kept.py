"""Rules go with their run: another process that was told nothing keeps to them all the same."""

import base64
import os
import signal
from pathlib import Path
from typing import Any

from langgraph.graph import START, StateGraph

from adjourn import AsyncEngine, Budget, Coping
from adjourn.nodes.children import child
from adjourn.settings import Settings
from adjourn.testing import ModelServer, replies
from support.coping import QUICK, Talk, model_of, talking
from support.eventually import eventually
from support.forking import Forked
from support.postgres import execute
from support.processes import Child

TEN = replies.text("hello", usage=replies.Usage(7, 3))
FLOWS = """
import os
from langchain_openai import ChatOpenAI
from support.coping import talking

talk = talking(ChatOpenAI(model="gpt-5-mini"), 5)
"""
PROJECT = '{"dependencies": ["."], "graphs": {"talk": "./flows.py:talk"}}'


async def test_a_worker_process_that_was_told_nothing_keeps_to_the_budget_of_a_run(
    database: str, tmp_path: Path
) -> None:
    (tmp_path / "flows.py").write_text(FLOWS)
    (tmp_path / "langgraph.json").write_text(PROJECT)
    with ModelServer(lambda _: TEN) as server:
        environment = {
            **os.environ, **server.environment(), "PYTHONPATH": str(Path(__file__).parents[1]),
            "ADJOURN_DATABASE_URL": database,
        }  # fmt: skip
        coping = {"talk": Coping(budget=Budget(tokens=25))}
        async with AsyncEngine.open(database, workflows={"talk": talking(None)}, coping=coping) as engine:
            await engine.submit("talk", {"prompt": "hi"}, thread_id="t")
            worker = Child(Forked(["-m", "adjourn.cli", "worker", "--queues", "talk"], environment, tmp_path))
            try:
                run = await engine.wait("t", until="failed", timeout=30)
                assert (run.error and run.error["type"], len(server.requests)) == ("BudgetExceeded", 3)
            finally:
                worker.tell(signal.SIGTERM)
                worker.finish()


def families(model: Any) -> dict[str, Any]:
    async def ask(state: Talk) -> Talk:
        return {"said": (await child("it", "talk", {"prompt": "hi"}, on_failure="return")).get("said", ["nothing"])}

    parent = StateGraph(Talk)
    parent.add_node("ask", ask)
    parent.add_edge(START, "ask")
    return {"talk": talking(model, 5), "parent": parent}


async def test_a_child_that_another_process_starts_has_the_budget_that_its_parent_has_brought(database: str) -> None:
    with ModelServer(lambda _: TEN) as server:
        known = families(model_of(server))
        coping = {"talk": Coping(budget=Budget(tokens=25))}
        async with AsyncEngine.open(database, workflows=known, coping=coping) as engine:
            await engine.submit("parent", {"prompt": "hi"}, thread_id="p")
        async with AsyncEngine.open(database, workflows=known) as worker:
            await worker._drive_queued("p")
            (started,) = (await worker.get("p")).children
            assert (started.error and started.error["type"], len(server.requests)) == ("BudgetExceeded", 3)


async def test_who_drives_a_run_may_give_it_another_budget(database: str) -> None:
    with ModelServer(lambda _: TEN) as server:
        known = {"talk": talking(model_of(server), 5)}
        async with AsyncEngine.open(
            database, workflows=known, coping={"talk": Coping(budget=Budget(tokens=25))}
        ) as engine:
            assert (await engine.start("talk", {"prompt": "hi"}, thread_id="t")).status == "failed"
        async with AsyncEngine.open(database, workflows=known, coping={"*": Coping(retry=QUICK)}) as engine:
            assert (await engine.retry("t")).status == "failed"
        async with AsyncEngine.open(
            database, workflows=known, coping={"talk": Coping(budget=Budget(tokens=1000))}
        ) as engine:
            assert (await engine.retry("t")).status == "completed"


async def test_rules_for_nodes_that_there_are_no_more_do_not_stop_a_run(database: str) -> None:
    with ModelServer(lambda _: TEN) as server:
        known = {"talk": talking(model_of(server), 5)}
        coping = {"talk": Coping(budget=Budget(tokens=25), nodes={"talk": Coping(model_timeout=9)})}
        async with AsyncEngine.open(database, workflows=known, coping=coping) as engine:
            await engine.submit("talk", {"prompt": "hi"}, thread_id="t")
        execute(
            database,
            "update adjourn.runs set policies = jsonb_set(policies, '{coping,talk,nodes}', '{\"gone\": {\"timeout\": 3}}')",
        )
        async with AsyncEngine.open(database, workflows=known) as worker:
            await worker._drive_queued("t")
            run = await worker.get("t")
            assert run.error is not None
            assert run.error["type"] == "BudgetExceeded"


async def test_what_a_schedule_starts_keeps_the_rules_of_who_declared_it(database: str) -> None:
    with ModelServer(lambda _: TEN) as server:
        known = {"talk": talking(model_of(server), 5)}
        coping = {"talk": Coping(budget=Budget(tokens=25))}
        async with AsyncEngine.open(database, workflows=known, coping=coping) as engine:
            await engine.schedule("often", "talk", {"prompt": "hi"}, cron="* * * * * *")
        async with AsyncEngine.open(database, workflows=known) as worker:
            await eventually(lambda: _started(worker))
            (run, *_) = await worker.runs()
            await worker._drive_queued(run.thread_id)
            run = await worker.get(run.thread_id)
            assert run.error is not None
            assert run.error["type"] == "BudgetExceeded"


async def _started(engine: AsyncEngine) -> bool:
    await engine._start_scheduled(["talk"])
    return bool(await engine.runs())


async def test_with_a_key_kept_rules_are_not_stored_in_clear(database: str) -> None:
    settings = Settings(encryption_key=base64.b64encode(bytes(range(32))).decode())
    coping = {"talk": Coping(fallback=("openai:the-secret-model",))}
    async with AsyncEngine.open(
        database, workflows={"talk": talking(None)}, coping=coping, settings=settings
    ) as engine:
        await engine.submit("talk", {"prompt": "hi"}, thread_id="t")
        ((stored,),) = execute(database, "select policies::text from adjourn.runs")
        assert "secret-model" not in stored
        assert engine._kept_coping(await engine._row("t")) == {"talk": {"fallback": ["openai:the-secret-model"]}}
