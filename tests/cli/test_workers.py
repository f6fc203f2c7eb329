"""The commands around workers: run --submit, worker, wait, resume --submit, status."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adjourn.cli import status as status_module
from support.eventually import wait_for
from support.forking import Forked
from support.postgres import execute
from support.processes import Child

from .conftest import Command

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"
STATUS = {"at", "waiting", "held", "later", "lag_seconds", "leases", "stalled", "overdue", "queues", "workers"}
QUEUE = {"workflow", "waiting", "lag_seconds", "workers"}
WORKER = {
    "name", "host", "pid", "version", "concurrency", "workflows", "status", "started_at", "seen_at", "busy", "others",
}  # fmt: skip


@contextmanager
def working(folder: Path) -> Iterator[Child]:
    """A worker process, which ends well when it is told to."""
    worker = Child(Forked(["-m", "adjourn.cli", "worker", "--concurrency", "2"], os.environ, folder))
    try:
        yield worker
        worker.tell(signal.SIGTERM)
        worker.finish()
    finally:
        worker.kill()


def test_a_run_is_submitted_driven_by_a_worker_and_answered_from_the_command_line(
    cli: Command, program: Command, database: str, tmp_path: Path
) -> None:
    submitted = cli("run", "hostile", "--thread", "h", "--submit", "--json")
    assert (submitted.code, submitted.json["status"], submitted.json["state"]) == (0, "queued", {})
    assert "it waits for a worker" in cli("show", "h").out
    waiting = cli("wait", "h", "--timeout", "0")
    assert (waiting.code, "Queued" in waiting.out) == (4, True)
    status = cli("status", "--json").json
    assert (set(status), set(status["queues"][0])) == (STATUS, QUEUE)
    assert (status["waiting"], status["queues"][0]["workflow"], status["queues"][0]["workers"]) == (1, "hostile", 0)
    shown = cli("status")
    assert "No worker is alive" in shown.out
    assert "adjourn worker" in shown.out
    with working(tmp_path) as worker:
        assert cli("wait", "h").code == 10
        status = cli("status", "--json").json
        assert set(status["workers"][0]) == WORKER
        assert (status["workers"][0]["pid"], status["workers"][0]["concurrency"]) == (worker.pid, 2)
        answered = cli("resume", "h", "approve", "--submit", "--json")
        assert answered.code == 0
        assert cli("wait", "h", "--json").json["status"] == "completed"
        assert str(worker.pid) in cli("status").out
    assert "takes runs of" in worker.output
    assert execute(database, "select count(*) from adjourn.workers") == [(0,)]


def test_a_worker_that_is_told_to_stop_while_it_waits_for_the_database_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADJOURN_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    with working(tmp_path) as worker:
        wait_for(lambda: "Trying again" in worker.output)
    assert "takes runs of" not in worker.output


def test_a_worker_refuses_workflows_that_are_not_known_here(cli: Command) -> None:
    refused = cli("worker", "--queues", "nothing")
    assert refused.code == 4
    assert "There is no workflow 'nothing' here; known: " in refused.err


def test_status_is_watched_until_it_is_interrupted(cli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([None, None])

    def sleep(_: float) -> None:
        if next(looks, "over") == "over":
            raise KeyboardInterrupt(130)

    monkeypatch.setattr(status_module.time, "sleep", sleep)
    watched = cli("status", "--watch", "--json")
    assert watched.code == 0
    lines = [json.loads(line) for line in watched.out.splitlines()]
    assert [set(line) for line in lines] == [STATUS] * 3


def test_the_page_names_every_key_of_status() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [key for key in STATUS | QUEUE | WORKER if f'"{key}"' not in page] == []
