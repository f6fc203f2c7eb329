"""Check that a web server delivers the pages of a folder as they are. One by one that is too slow, so the strategy changes.

    python -m adjourn.examples.adaptive_pages docs                          against a server of its own, slow on purpose
    python -m adjourn.examples.adaptive_pages docs https://pages.example    against yours

Every page is fetched and compared with its file, byte by byte. When that takes longer than it may, all pages are
fetched at the same time; when that is not enough, only their lengths are asked for, which is quicker and less sure. The
next check of the same type begins with what worked. When nothing does, a person is asked.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from adjourn import Engine, Run
from adjourn.graphs.adaptive import build
from adjourn.nodes.adaptive import Part, Task, Work

TARGET_SECONDS = 1.0
LATENCY_SECONDS = 0.1


def pages(task: Task) -> dict[str, str]:
    """Split the task: a part for each page, by its path below the folder."""
    folder = Path(task.material["folder"])
    return {file.relative_to(folder).as_posix(): str(file) for file in sorted(folder.rglob("*.md"))}


def compare(part: Part) -> dict[str, Any]:
    """Fetch a page and compare it with its file."""
    with _asked(part, "GET") as answer:
        if answer is None:
            return {"found": False, "same": False, "confidence": 1.0}
        same = sha256(answer.read()).digest() == sha256(Path(part.content).read_bytes()).digest()
    return {"found": True, "same": same, "confidence": 1.0}


def compare_lengths(part: Part) -> dict[str, Any]:
    """Ask for the length of a page only: pages of one length may differ all the same."""
    with _asked(part, "HEAD") as answer:
        if answer is None:
            return {"found": False, "same": False, "confidence": 1.0}
        same = int(answer.headers["Content-Length"]) == Path(part.content).stat().st_size
    return {"found": True, "same": same, "confidence": 0.75 if same else 1.0}


def report(task: Task, results: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Put the results together: which pages are missing on the server, and which are not as in the folder."""
    return {
        "pages": len(results),
        "missing": [name for name, each in results.items() if not each["found"]],
        "different": [name for name, each in results.items() if each["found"] and not each["same"]],
        "confidence": sum(each["confidence"] for each in results.values()) / len(results),
    }


WORK = Work(compare, split=pages, combine=report, simple=compare_lengths)
graph = build(WORK, target_seconds=TARGET_SECONDS, memory="pages").compile(name="adaptive_pages")


def check(folder: Path, server: str, url: str | None = None) -> Run:
    """Check a folder against a server.

    Args:
        folder: Where the Markdown files are.
        server: The address below which the server has them.
        url: The database; otherwise that of the settings.
    """
    given = {
        "main_task": "Are the pages delivered as they are?",
        "material": {"folder": str(folder), "server": server},
        "task_type": "pages of a server",
        # an answer of yesterday says nothing about today
        "fallback_strategies": ["standard_processing", "parallel_execution", "simplified_processing", "human_in_loop"],
        "resource_constraints": {"max_workers": 16},
    }
    with Engine.open(url, workflows={"adaptive_pages": graph}) as engine:
        return engine.start("adaptive_pages", given)


@contextmanager
def serving(folder: Path, latency: float = LATENCY_SECONDS) -> Iterator[str]:
    """Serve a folder on this machine, each answer late as from a server far away; gives the address."""

    class Late(SimpleHTTPRequestHandler):
        def send_head(self) -> Any:
            time.sleep(latency)
            return super().send_head()

        def log_message(self, *_: Any) -> None:
            pass

    class Patient(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # the usual five would turn callers away that come at the same time

    server = Patient(("127.0.0.1", 0), partial(Late, directory=str(folder)))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def _asked(part: Part, method: str) -> Iterator[Any]:
    """Ask the server for a page; None when it has none."""
    address = f"{str(part.task.material['server']).rstrip('/')}/{quote(part.name)}"
    try:
        with urlopen(Request(address, method=method), timeout=10) as answer:  # noqa: S310  (whose address it is)
            yield answer
    except HTTPError as problem:
        problem.close()
        if problem.code != HTTPStatus.NOT_FOUND:
            raise
        yield None


def show(run: Run) -> None:
    """Print the attempts of a run and what it found."""
    changes = iter(run.state.get("adaptation_history") or [])
    for each in run.state["attempts"]:
        metrics = ", ".join(f"{name} {value:.2f}" for name, value in each["performance_metrics"].items())
        print(f"{each['number']}. {each['strategy']}: {each['seconds']:.2f} s; {metrics}")
        if each["poor"]:
            change = next(changes)
            print(f"   {change['reason']} → {change['to'] or 'a person decides'}")
    for review in run.reviews:
        print(f"{review.description}\nAnswer with: adjourn resume {run.thread_id} …")
    if run.status == "completed":
        print(f"{run.state['final_result']['result']}")


def main() -> int:
    """Check the folder that the command line names, twice: the second time it begins with what worked."""
    if len(sys.argv) not in (2, 3) or not Path(sys.argv[1]).is_dir():
        print("usage: python -m adjourn.examples.adaptive_pages FOLDER [ADDRESS]", file=sys.stderr)
        return 2
    folder = Path(sys.argv[1])
    if len(sys.argv) > 2:
        show(check(folder, sys.argv[2]))
        return 0
    with serving(folder) as server:
        for turn in ("First", "Second"):
            print(f"{turn} check")
            show(check(folder, server))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
