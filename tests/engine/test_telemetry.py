"""Logs: thread, workflow and node on every line, secrets masked."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from adjourn import AsyncEngine
from adjourn.engine.telemetry import configure_logs, mask_secrets
from adjourn.settings import Settings
from support.workflows import Trail, chain


@pytest.fixture(autouse=True)
def fresh_structlog() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


async def lines_of_a_run(database: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    def speaking(state: Trail) -> Trail:
        structlog.get_logger().info("said by the node", api_key="sk-verysecret", url="postgresql://kim:hunter2@host/db")
        return {}

    async def speaking_too(state: Trail) -> Trail:
        structlog.get_logger().info("said by the node")
        return {}

    settings = Settings(log_format="json", log_level="debug")
    graph = chain(("first", speaking), ("second", speaking_too))
    async with AsyncEngine.open(database, workflows={"logged": graph}, settings=settings) as engine:
        await engine.start("logged", {"name": "x"}, thread_id="t-1")
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


async def test_every_line_carries_thread_and_workflow_and_the_node_where_there_is_one(
    database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = await lines_of_a_run(database, capsys)
    assert {(line["thread"], line["workflow"]) for line in lines} == {("t-1", "logged")}
    assert [line["node"] for line in lines if line["event"] == "said by the node"] == ["first", "second"]
    assert {line["event"] for line in lines} >= {"run driven", "node started", "node finished", "run completed"}


async def test_secrets_are_masked(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = await lines_of_a_run(database, capsys)
    said = next(line for line in lines if "api_key" in line)
    assert (said["api_key"], said["url"]) == ("***", "postgresql://kim:***@host/db")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"password": "x"}, {"password": "***"}),
        ({"token": "x", "tokens": 7}, {"token": "***", "tokens": 7}),
        ({"headers": {"Authorization": "Bearer abc"}}, {"headers": {"Authorization": "***"}}),
        ({"message": "Incorrect API key: sk-abcdefghijklmnop"}, {"message": "Incorrect API key: sk-abcd***"}),
        ({"items": ["Bearer abc.def"]}, {"items": ["Bearer ***"]}),
        ({"node": "ask", "count": 3}, {"node": "ask", "count": 3}),
    ],
)
def test_what_is_masked_and_what_is_not(given: dict[str, Any], shown: dict[str, Any]) -> None:
    assert mask_secrets(None, "", given) == shown


def test_an_application_that_has_set_structlog_up_keeps_its_own() -> None:
    structlog.configure(processors=[structlog.processors.JSONRenderer()])
    before = structlog.get_config()["processors"]
    configure_logs(Settings())
    assert structlog.get_config()["processors"] is before


def test_settings_mask_the_database_password() -> None:
    assert "hunter2" not in repr(Settings(database_url="postgresql://kim:hunter2@host/db"))
