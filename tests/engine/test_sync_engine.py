"""Engine: the same verbs without an event loop, from the threads of a program."""

import inspect
import signal
import threading
from typing import Any

import pytest

from adjourn import AsyncEngine, Engine, ReviewClosed, UnknownThread, approve
from adjourn.engine.events import Event, Paused
from support.processes import child
from support.workflows import asking

VERBS = [
    "start",
    "submit",
    "wait",
    "status",
    "cases",
    "forget",
    "set_limit",
    "remove_limit",
    "limits",
    "schedule",
    "unschedule",
    "schedules",
    "resume",
    "retry",
    "recover",
    "fork",
    "cancel",
    "get",
    "runs",
    "review",
    "reviews",
    "sweep",
    "rebuild",
    "history",
    "timeline",
    "stream",
    "follow",
    "audit",
    "verify_audit",
    "anchor_audit",
    "export_audit",
    "erase",
]


def test_every_verb_of_the_async_engine_is_there_with_the_same_parameters() -> None:
    public = [
        name
        for name, value in inspect.getmembers(AsyncEngine, inspect.isroutine)
        if not name.startswith("_") and name != "open"
    ]
    assert sorted(public) == sorted(VERBS)
    for name in VERBS:
        assert inspect.signature(getattr(Engine, name)) == inspect.signature(getattr(AsyncEngine, name))
        assert getattr(Engine, name).__doc__ == getattr(AsyncEngine, name).__doc__


def test_a_run_pauses_and_is_resumed(database: str) -> None:
    with Engine.open(database, workflows={"asking": asking}) as engine:
        run = engine.start("asking", {"name": "x"})
    with Engine.open(database, workflows={"asking": asking}) as engine:
        assert engine.resume(run.thread_id, approve()).status == "completed"
        assert [step.number for step in engine.history(run.thread_id)] == [-1, 0, 1, 2, 3]


def test_errors_are_those_of_the_verbs(database: str) -> None:
    with Engine.open(database) as engine, pytest.raises(UnknownThread):
        engine.get("nowhere")


def test_a_stream_is_an_ordinary_iterator(database: str) -> None:
    with Engine.open(database, workflows={"asking": asking}) as engine:
        events: list[Event] = list(engine.stream("asking", {"name": "x"}))
    assert isinstance(events[-1], Paused)


def test_threads_of_a_program_share_an_engine(database: str) -> None:
    results: list[Any] = []
    with Engine.open(database, workflows={"asking": asking}) as engine:
        run = engine.start("asking", {"name": "x"})

        def answer() -> None:
            try:
                results.append(
                    engine.resume(
                        run.thread_id, approve(str(threading.get_ident())), review_id=run.reviews[0].id
                    ).status
                )
            except ReviewClosed as error:
                results.append(error)

        threads = [threading.Thread(target=answer) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [result for result in results if result == "completed"] == ["completed"]
    assert len(results) == 6


def test_an_interrupt_from_the_keyboard_leaves_a_run_that_can_be_retried(database: str) -> None:
    program = """
        from adjourn import Engine
        from support.workflows import chain, mark
        import asyncio, pathlib

        async def slow(state):
            print("@inside", flush=True)
            await asyncio.Event().wait()

        graph = chain(("before", mark("before")), ("slow", slow))
        with Engine.open(sys.argv[1], workflows={"slow": graph}) as engine:
            try:
                engine.start("slow", {"name": "x"}, thread_id="t")
            except KeyboardInterrupt:
                print("interrupted", engine.get("t").status, engine.get("t").error["type"])
    """
    from pathlib import Path

    with child(program, database, environment={"PYTHONPATH": str(Path(__file__).parents[1])}) as process:
        process.wait_for("inside")
        import os

        os.kill(process.pid, signal.SIGINT)
        assert "interrupted failed Interrupted" in process.finish()
