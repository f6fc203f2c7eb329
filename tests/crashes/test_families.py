"""kill -9 while child runs are three levels deep, with a question at the bottom; another process goes on to the same end.

What must hold: one run for each child, each effect once, nobody asked twice, and no state in between that looks like the
end, or that nobody comes back to.
"""

import asyncio
from pathlib import Path

import pytest

from adjourn import AsyncEngine, Run, approve
from adjourn.settings import Settings
from support.auditing import agree
from support.crashing import Moments, ledger
from support.crashing_families import AFTER_THE_ANSWER, BEFORE_THE_ANSWER, EFFECTS, family
from support.eventually import eventually
from support.processes import child
from support.recovering import leases_run_out

QUICK = Settings(lease_seconds=0.8)
NEVER = Moments("never", None)
# the other moments are at work in `make soak`
SHORT = {"accepted bottom", "inside bottom", "paused middle", "ended bottom", "woken middle"}

DRIVER = """
    import asyncio
    from adjourn import AsyncEngine, approve
    from adjourn.settings import Settings
    from support.crashing import Moments
    from support.crashing_families import family, stop_at

    async def main(database, moment, thread_id, name):
        at = Moments(moment, reach)
        async with AsyncEngine.open(database, workflows=family(at), settings=Settings(lease_seconds=0.8)) as engine:
            stop_at(engine, at)
            if thread_id == "t":
                await engine.start("top", {"name": name}, thread_id="t")
            else:
                await engine.resume(thread_id, approve(), by="dana")

    asyncio.run(main(*sys.argv[1:]))
"""


def killed(database: str, moment: str, thread_id: str, name: str = "x") -> None:
    with child(DRIVER, database, moment, thread_id, name) as process:
        process.wait_for(moment)
        process.kill()
    leases_run_out(database)
    agree(database)


async def recovered(engine: AsyncEngine, status: str) -> Run:
    """Recover until the run at the top stands so; nothing else is done for it."""

    async def there() -> Run | None:
        await engine.recover()
        run = await engine.get("t")
        settled = [run.status, *(each.status for each in below(run))]
        return run if settled == [status] * 3 else None

    return await eventually(there, timeout=20)


async def test_a_failure_at_the_bottom_comes_up_although_the_process_died_with_it(
    database: str, ledger_file: Path
) -> None:
    await asyncio.to_thread(killed, database, "ended bottom", "t", "fails")
    async with AsyncEngine.open(database, workflows=family(NEVER), settings=QUICK) as engine:
        run = await recovered(engine, "failed")
    agree(database)
    assert [run.error and run.error["type"], *(each.error and each.error["type"] for each in below(run))] == [
        "ChildFailed", "ChildFailed", "ValueError",
    ]  # fmt: skip


async def test_cancel_at_the_top_reaches_the_bottom_in_another_process(database: str, ledger_file: Path) -> None:
    def drive_until_cancelled() -> str:
        with child(DRIVER, database, "inside bottom", "t", "x") as process:
            process.wait_for("inside bottom")
            asyncio.run(cancel())
            process.go_on()
            return process.finish()

    async def cancel() -> None:
        async with AsyncEngine.open(database, workflows=family(NEVER), settings=QUICK) as engine:
            run = await engine.cancel("t", reason="enough")
            assert [run.status, *(each.status for each in below(run))] == ["cancelled"] * 3

    await asyncio.to_thread(drive_until_cancelled)
    async with AsyncEngine.open(database, workflows=family(NEVER), settings=QUICK) as engine:
        run = await engine.get("t")
        assert ([run.status, *(each.status for each in below(run))], len(await engine.reviews())) == (
            ["cancelled"] * 3,
            0,
        )
        assert await engine.recover() == []
    agree(database)


def below(run: Run) -> list[Run]:
    found, here = [], run.children
    while here:
        assert len(here) == 1, "a child was started twice"
        found, here = [*found, here[0]], here[0].children
    return found  # type: ignore[return-value]


def moments(named: tuple[str, ...]) -> list[object]:
    return [name if name in SHORT else pytest.param(name, marks=pytest.mark.soak) for name in named]


@pytest.mark.parametrize("moment", moments(BEFORE_THE_ANSWER))
async def test_a_process_killed_on_the_way_down(database: str, ledger_file: Path, moment: str) -> None:
    await asyncio.to_thread(killed, database, moment, "t")
    async with AsyncEngine.open(database, workflows=family(NEVER), settings=QUICK) as engine:
        assert (await engine.get("t")).status in ("running", "stalled", "paused")
        run = await recovered(engine, "paused")
        (review,) = await engine.reviews()
        assert review.thread_id == below(run)[1].thread_id
        await engine.resume(review.thread_id, approve())
        run = await recovered(engine, "completed")
    agree(database)
    assert (run.state["got"], ledger(ledger_file)) == (
        [[["first", "ask", "ending"], "last"], "last"], [f"effect of {level} x" for level in EFFECTS],
    )  # fmt: skip


@pytest.mark.parametrize("moment", moments(AFTER_THE_ANSWER))
async def test_a_process_killed_on_the_way_up(database: str, ledger_file: Path, moment: str) -> None:
    async with AsyncEngine.open(database, workflows=family(NEVER), settings=QUICK) as engine:
        bottom = below(await engine.start("top", {"name": "x"}, thread_id="t"))[1].thread_id
        await asyncio.to_thread(killed, database, moment, bottom)
        run = await recovered(engine, "completed")
        assert await engine.recover() == []
    agree(database)
    assert (run.state["got"], ledger(ledger_file)) == (
        [[["first", "ask", "ending"], "last"], "last"], [f"effect of {level} x" for level in EFFECTS],
    )  # fmt: skip
