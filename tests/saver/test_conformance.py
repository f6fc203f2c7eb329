"""LangGraph's own judge of savers."""

from collections.abc import AsyncIterator

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate

from adjourn.checkpoints import open_storage
from adjourn.settings import load_settings


async def test_langgraphs_conformance_suite_passes_with_all_eight_capabilities(any_database: str) -> None:
    @checkpointer_test(name="adjourn.checkpoints.Saver")
    async def saver() -> AsyncIterator[BaseCheckpointSaver[str]]:
        async with open_storage(load_settings(), any_database) as storage:
            yield storage.saver

    report = await validate(saver)
    report.print_report()
    failures = [failure for result in report.results.values() for failure in result.failures]
    assert not failures
    assert sum(1 for result in report.results.values() if result.passed) == 8
