"""kill -9 between a case and the checkpoint of the node that left it: the next process leaves no second one."""

import asyncio
from pathlib import Path

from adjourn import AsyncEngine
from adjourn.nodes.cases import remember
from adjourn.settings import Settings
from support.eventually import eventually
from support.processes import child
from support.recovering import leases_run_out
from support.remembering import steps

DRIVER = """
    import asyncio
    from adjourn import AsyncEngine
    from adjourn.nodes.cases import remember
    from adjourn.settings import Settings
    from support.remembering import steps

    async def leave(state):
        await remember("incident", text=lambda _: "written first", outcome="cure", key=lambda _: "k")(state)
        reach("case-without-checkpoint")
        return {}

    async def main(database):
        known = {"leaving": steps(("leave", leave))}
        async with AsyncEngine.open(database, workflows=known, settings=Settings(lease_seconds=0.5)) as engine:
            await engine.start("leaving", {"cure": 1}, thread_id="t")

    asyncio.run(main(*sys.argv[1:]))
"""


def killed(database: str) -> None:
    with child(DRIVER, database) as process:
        process.wait_for("case-without-checkpoint")
        process.kill()
    leases_run_out(database)


async def test_a_case_is_left_once_however_its_process_ends(database: str, ledger_file: Path) -> None:
    await asyncio.to_thread(killed, database)
    again: list[int] = []

    async def leave(state: object) -> dict[str, object]:
        again.append(1)
        return await remember("incident", text=lambda _: "written again", outcome="cure", key=lambda _: "k")(state)

    known = {"leaving": steps(("leave", leave))}
    async with AsyncEngine.open(database, workflows=known, settings=Settings(lease_seconds=0.5)) as engine:
        assert [case.text for case in await engine.cases()] == ["written first"]

        async def over() -> bool:
            await engine.recover()
            return (await engine.get("t")).status == "completed"

        await eventually(over, timeout=20)
        assert [case.text for case in await engine.cases()] == ["written first"]
    assert again == [1]
