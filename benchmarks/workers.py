"""Measure workers: `python -m benchmarks.workers [--quick] [--url postgresql://…] [--out folder]`.

What two worker processes do against one, how long an answer takes through a worker against an answer in the process, what a
hundred thousand waiting runs add to a hundred, and how soon a run goes on whose worker was killed. The two sides of a ratio
take turns on one server.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

from procrastinate.jobs import Status
from psycopg import AsyncConnection

from adjourn import AsyncEngine, Settings
from adjourn.engine.jobs import job_app, job_pool
from adjourn.engine.worker import Worker
from benchmarks.command import options, where, write
from benchmarks.engine import asking, chained
from benchmarks.machine import describe, new_database, server
from benchmarks.workloads import STEPS, TEXT

CONCURRENCY = 8
LEASE = 3.0
# what is aimed at: the least, or the most
AT_LEAST = {"runs per second, 2 workers against 1": 1.7}
AT_MOST = {
    "answer through a worker": 2.0,
    "taking a run, 100,000 waiting": 1.5,
    "submitting a run, 100,000 waiting": 1.5,
    "lease times until a killed worker's run goes on": 2.0,
}
_SUCCEEDED = Status.SUCCEEDED
GIVEN = {"log": ["in"], "text": TEXT}


def waiting_steps() -> Any:
    """Four steps that wait for 20 milliseconds each, as for a model that is quick."""

    def step(name: str) -> Any:
        async def run(state: Any) -> dict[str, Any]:
            await asyncio.sleep(0.02)
            return {"log": [name], "text": TEXT + name}

        return run

    return chained({name: step(name) for name in STEPS})


def hanging() -> Any:
    """A step that takes for ever."""

    async def hang(state: Any) -> dict[str, Any]:
        await asyncio.sleep(1e6)
        return {}

    return chained({"hang": hang})


def workflows() -> dict[str, Any]:
    """What all processes know."""
    return {"steps": waiting_steps(), "asking": asking(), "hanging": hanging()}


@asynccontextmanager
async def engine_on(url: str) -> AsyncIterator[AsyncEngine]:
    """An engine with its figures' settings."""
    settings = Settings(log_level="error", lease_seconds=LEASE)
    async with AsyncEngine.open(url, workflows=workflows(), settings=settings) as engine:
        yield engine


async def serve(url: str) -> None:
    """Be a worker process: say that it is ready, work from the first line of standard input on, and stop at the second."""
    async with engine_on(url) as engine:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        worker = Worker(engine, concurrency=CONCURRENCY)
        running = asyncio.create_task(worker.run())
        await asyncio.to_thread(sys.stdin.readline)
        worker.drain()
        await running


class Workers:
    """Worker processes that are ready, and begin together."""

    def __init__(self, url: str, count: int) -> None:
        command = [sys.executable, "-m", "benchmarks.workers", "--serve", url]
        self.processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)
        ]
        for process in self.processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def tell(self) -> None:
        """Let them go on: the first time they begin, the second time they stop."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()

    def close(self) -> None:
        """Stop them, and wait for their end."""
        self.tell()
        for process in self.processes:
            process.communicate(timeout=60)


async def throughput(engine: AsyncEngine, url: str, count: int, runs: int) -> float:
    """Return how many runs per second so many workers complete, from a queue that is full; without beginning and end."""
    workers = await asyncio.to_thread(Workers, url, count)
    submitted = await asyncio.gather(*(engine.submit("steps", GIVEN) for _ in range(runs)))
    workers.tell()
    # looked at seldom, and at no more than that: what measures works on the same processors
    left = "select from adjourn.runs where status in ('queued', 'running') limit 1"
    async with engine._storage.pool.connection() as connection:
        while await (await connection.execute(left)).fetchone() is not None:  # noqa: ASYNC110  (in other processes)
            await asyncio.sleep(0.5)
    await asyncio.to_thread(workers.close)
    async with engine._storage.pool.connection() as connection:
        query = "select ended_at from adjourn.runs where thread_id = any(%s) order by ended_at"
        rows = await (await connection.execute(query, [[run.thread_id for run in submitted]])).fetchall()
    first, last = rows[runs // 10]["ended_at"], rows[runs - runs // 10 - 1]["ended_at"]
    return (runs - 2 * (runs // 10) - 1) / (last - first).total_seconds()


async def answers(engine: AsyncEngine, count: int) -> tuple[list[float], list[float]]:
    """Return the seconds from an answer to the finished run: through a worker that is idle, and in this process."""
    through, here = [], []
    for _ in range(count):
        for taken, wait in ((through, False), (here, True)):
            thread = (await engine.start("asking", GIVEN)).thread_id
            began = time.perf_counter()
            run = await engine.resume(thread, "yes", wait=wait)
            if run.status != "completed":
                run = await engine.wait(thread, until="completed")
            taken.append(time.perf_counter() - began)
            assert run.status == "completed"
    return through, here


COPIES = """
with copies as (
    insert into adjourn.runs (thread_id, tenant, workflow, version, source, status, requested_by, input_digest)
    select 'copy-' || n, tenant, 'steps', version, source, 'queued', requested_by, input_digest
    from adjourn.runs, generate_series(%(first)s::int, %(last)s::int) n where thread_id = %(thread)s
    returning thread_id)
insert into adjourn.procrastinate_jobs (queue_name, task_name, args)
select 'steps', 'adjourn:drive', jsonb_build_object('thread_id', thread_id) from copies
"""


async def queue(engine: AsyncEngine, url: str, many: int, rounds: int) -> dict[str, list[float]]:
    """Return what many waiting runs add to taking one and to submitting one, against a hundred."""
    thread = (await engine.submit("steps", GIVEN)).thread_id
    few = await timed(engine, url, thread, 1, 100, rounds)
    full = await timed(engine, url, thread, 101, many, rounds)
    return {
        "taking a run, 100,000 waiting": [b[0] / a[0] for a, b in zip(few, full, strict=True)],
        "submitting a run, 100,000 waiting": [b[1] / a[1] for a, b in zip(few, full, strict=True)],
    }


async def timed(
    engine: AsyncEngine, url: str, thread: str, first: int, last: int, rounds: int
) -> list[tuple[float, float]]:
    """Fill the queue, then return the seconds of taking some runs as a worker does, and of submitting as many, by round."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        for trigger in ("disable", "enable"):  # so many copies are no facts for the audit, nor news for a worker
            for table in ("runs", "procrastinate_jobs"):
                await connection.execute(f"alter table adjourn.{table} {trigger} trigger user".encode())
            if trigger == "disable":
                await connection.execute(COPIES, {"first": first, "last": last, "thread": thread})
        await connection.execute("vacuum analyze")

    async def drive(thread_id: str, _: str) -> None:
        raise AssertionError(thread_id)

    app, found, few = job_app(drive, engine._listen_url, engine.settings), [], 5
    async with app.open_async(job_pool(engine._storage.saver)):
        worker = await app.job_manager.register_worker()
        for _ in range(rounds):
            began = time.perf_counter()
            for _ in range(few):
                job = await app.job_manager.fetch_job(["steps"], worker)
                assert job is not None
                taken = await engine._queue.claim(str(job.task_kwargs["thread_id"]))
                assert taken is not None
                await app.job_manager.finish_job(job, _SUCCEEDED, delete_job=True)
            middle = time.perf_counter()
            for _ in range(few):
                await engine.submit("steps", GIVEN)
            found.append((middle - began, time.perf_counter() - middle))
    return found


async def recovery(engine: AsyncEngine, url: str, rounds: int) -> list[float]:
    """Return how many lease times pass between the death of a worker and the next beginning of its run, by round."""
    found = []
    for _ in range(rounds):
        doomed, other = [await asyncio.to_thread(Workers, url, 1) for _ in range(2)]
        doomed.tell()
        thread = (await engine.submit("hanging", GIVEN)).thread_id
        await engine.wait(thread, until="running")
        other.tell()
        await asyncio.sleep(LEASE)
        doomed.processes[0].kill()
        died = time.perf_counter()
        tokens = await lease(engine, thread)
        while await lease(engine, thread) == tokens or (await engine.get(thread)).status != "running":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        found.append((time.perf_counter() - died) / LEASE)
        await engine.cancel(thread, reason="measured")
        await asyncio.to_thread(other.close)
        doomed.processes[0].communicate()
    return found


async def lease(engine: AsyncEngine, thread_id: str) -> Any:
    """Return the number of a run's lease."""
    async with engine._storage.pool.connection() as connection:
        query = "select token from adjourn.leases where thread_id = %s"
        return (await (await connection.execute(query, [thread_id])).fetchall())[0]["token"]


async def measure(url: str, *, quick: bool) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """Run everything once; return the ratios of each round, and the figures themselves."""
    runs, rounds, count, many, deaths = (60, 1, 5, 1_000, 1) if quick else (1_000, 5, 300, 100_000, 3)
    ratios: dict[str, list[float]] = {}
    async with engine_on(url) as engine:
        pairs = []
        for _ in range(rounds):
            one = await throughput(engine, url, 1, runs)
            pairs.append((one, await throughput(engine, url, 2, 2 * runs)))
            print(f"runs per second: {pairs[-1][0]:.0f} with one worker, {pairs[-1][1]:.0f} with two", flush=True)
        ratios["runs per second, 2 workers against 1"] = [two / one for one, two in pairs]
        single = await asyncio.to_thread(Workers, url, 1)
        single.tell()
        await answers(engine, 5)
        through, here = await answers(engine, count)
        await asyncio.to_thread(single.close)
        ratios["answer through a worker"] = [median(through) / median(here)]
        ratios["lease times until a killed worker's run goes on"] = await recovery(engine, url, deaths)
        ratios |= await queue(engine, url, many, 3 if quick else 21)
    figures = {
        "runs per second with one worker": round(median(one for one, _ in pairs), 1),
        "runs per second with two workers": round(median(two for _, two in pairs), 1),
        "milliseconds from an answer to the finished run, through a worker": round(1000 * median(through), 1),
        "milliseconds from an answer to the finished run, in the process": round(1000 * median(here), 1),
    }
    return ratios, figures


def met(name: str, ratios: list[float]) -> str:
    """Say whether a target was met."""
    good = median(ratios) >= AT_LEAST[name] if name in AT_LEAST else median(ratios) <= AT_MOST[name]
    return "met" if good else "missed"


def target(name: str) -> str:
    """Return the target in short."""
    return f"≥ {AT_LEAST[name]:.2f}" if name in AT_LEAST else f"≤ {AT_MOST[name]:.2f}"


def page_of(where: str, ratios: dict[str, list[float]], figures: dict[str, Any]) -> list[str]:
    """Return the tables as a page."""
    rows = [
        f"| {name} | {median(found):.2f} | {min(found):.2f} … {max(found):.2f} | {target(name)} | {met(name, found)} |"
        for name, found in ratios.items()
    ]
    head = [
        "# Workers",
        "",
        f"Four steps of 20 milliseconds of waiting each; {CONCURRENCY} runs at once in each worker.",
        "",
    ]
    table = ["| how many times | median | lowest … highest | target | |", "|---|--:|--:|--:|---|", *rows, ""]
    plain = ["| | |", "|---|--:|", *(f"| {name} | {value} |" for name, value in figures.items()), ""]
    return [*head, *table, *plain, f"{where}."]


def main() -> None:
    """Print the table, and write it as JSON."""
    parser = options(__doc__)
    parser.add_argument("--serve", metavar="URL", help="be a worker process (used by this command itself)")
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.serve))
        return
    with server(given.url) as base:
        url = new_database(base, "bench_workers")
        machine = describe(base)
        ratios, figures = asyncio.run(measure(url, quick=given.quick))
    print(where(machine))
    for name, value in figures.items():
        print(f"{value:10}  {name}")
    print(f"{'how many times':50} {'median':>7} {'lowest':>7} {'highest':>8}  target")
    for name, found in ratios.items():
        spread = f"{median(found):7.2f} {min(found):7.2f} {max(found):8.2f}"
        print(f"{name:50} {spread}  {target(name)} {met(name, found)}")
    written = {"machine": machine, "figures": figures, "ratios": ratios, "targets": AT_LEAST | AT_MOST}
    write(given.out, "workers", written, page_of(where(machine), ratios, figures))


if __name__ == "__main__":
    main()
