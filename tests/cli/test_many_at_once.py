"""approve-all works on several runs at once: told of in the order of the list, and honest when it is stopped."""

import signal
import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adjourn import Engine, Principal, Run, StorageUnavailable
from adjourn.cli import bulk
from adjourn.cli.session import Session
from support.eventually import eventually, wait_for
from support.forking import fork_server

from .conftest import Command

AT_ONCE = 8


@pytest.fixture
def files(cli: Command, database: str, tmp_path: Path) -> list[Path]:
    """Ten runs wait for an approval, and each then for a file of its own."""
    awaited = [tmp_path / f"file {number}" for number in range(10)]
    with Engine.open(database) as engine:
        for number, file in enumerate(awaited):
            engine.start("slow_once_approved", {"file": str(file)}, thread_id=f"r{number}")
    return awaited


def begun(files: list[Path]) -> int:
    return sum(Path(f"{file}.waiting").exists() for file in files)


def test_eight_runs_are_driven_at_once_and_told_in_order(cli: Command, files: list[Path]) -> None:
    def release_from_the_last_to_the_first() -> None:
        wait_for(lambda: begun(files) == AT_ONCE)
        for file in reversed(files):
            file.touch()

    releasing = threading.Thread(target=release_from_the_last_to_the_first)
    releasing.start()
    said = cli("approve-all", "--yes")
    releasing.join()
    told = said.out.partition("\n\n")[2].splitlines()
    assert (said.code, told[-1]) == (0, "10 approved.")
    assert [line.split()[2] for line in told if line.startswith("approved")] == [f"r{number}:" for number in range(10)]


async def test_an_interrupt_stops_what_is_under_way_and_leaves_the_rest_asked(
    program: Command, database: str, files: list[Path]
) -> None:
    command = [fork_server() / "adjourn", "approve-all", "--yes"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        await eventually(lambda: begun(files) == AT_ONCE)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Interrupted; the 8 runs that were under way are kept, to be retried." in err
    assert "list --status failed" in err
    assert err.count("\n") == 1, "nothing but that line"
    with Engine.open(database) as engine:
        assert [engine.get(f"r{number}").status for number in range(10)] == ["failed"] * 8 + ["paused"] * 2
        files[0].touch()
        assert engine.retry("r0").status == "completed"


def test_without_the_database_those_that_have_not_begun_are_left(
    cli: Command, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, tried, show_line = threading.Event(), [], bulk._show_line

    def away(self: Engine, thread_id: str, *_: Any, **__: Any) -> None:
        tried.append(thread_id)
        assert thread_id == "r0" or told.wait(20)  # all others are under way until the first is told of
        raise StorageUnavailable(f"no database for {thread_id}")

    def show(*given: Any) -> None:
        show_line(*given)
        told.set()

    monkeypatch.setattr(Engine, "resume", away)
    monkeypatch.setattr(bulk, "_show_line", show)
    said = cli("approve-all", "--yes")
    lines = [line.split()[2] for line in said.out.splitlines() if line.startswith("refused")]
    assert said.code == 3
    assert lines == [f"{thread}:" for thread in sorted(tried)]
    assert "r9" not in tried


def test_the_reviews_of_one_run_are_approved_one_after_the_other(cli: Command, files: list[Path]) -> None:
    """Two at once would find the run being driven, by nobody else than the command itself.

    The first review of one run is held until the last of the other: a second one of the same run would begin meanwhile.
    """
    under_way: set[str] = set()
    last_of_other = threading.Event()
    order = []

    class Slow:
        def resume(self, thread_id: str, *_: Any, review_id: str, **__: Any) -> Run:
            assert thread_id not in under_way
            under_way.add(thread_id)
            order.append(review_id)
            if review_id == "other 2":
                last_of_other.set()
            assert thread_id == "other" or last_of_other.wait(20)
            under_way.remove(thread_id)
            return run

    with Engine.open() as engine:
        run = engine.get("r0")
    one, other = (replace(run.reviews[0], thread_id=thread) for thread in ("one", "other"))
    chosen = [replace(each, id=f"{each.thread_id} {number}") for number in range(3) for each in (one, other)]
    done = bulk._approve(Session(as_json=True), Slow(), chosen, Principal("kim"), None)  # type: ignore[arg-type]
    assert [each.review.id for each in done] == [each.id for each in chosen]
    for thread in ("one", "other"):
        assert [each for each in order if each.startswith(thread + " ")] == [f"{thread} {n}" for n in range(3)]
