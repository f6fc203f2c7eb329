"""Trap 11: `setup()` from several processes at once."""

from support.postgres import execute
from support.processes import child

# Sixteen processes, forked from one that has imported everything, wait for one signal and set a database up.
SIXTEEN = """
    import asyncio
    import os
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from pydantic import SecretStr
    from adjourn.checkpoints.migrate import migrate
    from adjourn.settings import load_settings

    async def plain(url):
        async with AsyncPostgresSaver.from_conn_string(url) as saver:
            await saver.setup()

    async def ours(url):
        await migrate(SecretStr(url), load_settings())

    which, url = {"plain": plain, "ours": ours}[sys.argv[1]], sys.argv[2]
    starting, started = os.pipe()
    pids = []
    for _ in range(16):
        pid = os.fork()
        if pid == 0:
            os.close(started)
            os.read(starting, 1)
            try:
                asyncio.run(which(url))
            except Exception:
                os._exit(1)
            os._exit(0)
        pids.append(pid)
    os.close(started)
    print("failed:", sum(os.waitpid(pid, 0)[1] != 0 for pid in pids))
"""


TABLES = "checkpoints, checkpoint_blobs, checkpoint_writes, checkpoint_migrations"


def failures(which: str, url: str) -> int:
    with child(SIXTEEN, which, url) as running:
        return int(running.finish().rpartition("failed: ")[2])


def test_plain_langgraph_fails_in_some_of_sixteen_processes_that_set_a_database_up(any_empty_database: str) -> None:
    def attempt() -> int:
        execute(any_empty_database, f"drop table if exists {TABLES}")
        return failures("plain", any_empty_database)

    # mostly most of them fail, now and then none
    assert any(attempt() for _ in range(8))


def test_with_adjourn_sixteen_processes_migrate_a_fresh_database_and_all_succeed(any_empty_database: str) -> None:
    assert failures("ours", any_empty_database) == 0
    assert execute(any_empty_database, "select count(*) from adjourn.runs") == [(0,)]
    assert execute(any_empty_database, "select max(v) from checkpoint_migrations") == [(9,)]
    assert execute(any_empty_database, "select count(*) from pg_index where not indisvalid") == [(0,)]
