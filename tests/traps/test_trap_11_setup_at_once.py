"""Trap 11: `setup()` from several processes at once."""

import asyncio

import psycopg
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from support.eventually import eventually
from support.postgres import execute
from support.processes import child

# Sixteen processes, forked from one that has imported everything, wait for one signal and set a database up.
SIXTEEN = """
    import asyncio
    import os
    from pydantic import SecretStr
    from adjourn.checkpoints.migrate import migrate
    from adjourn.settings import load_settings

    starting, started = os.pipe()
    pids = []
    for _ in range(16):
        pid = os.fork()
        if pid == 0:
            os.close(started)
            os.read(starting, 1)
            try:
                asyncio.run(migrate(SecretStr(sys.argv[1]), load_settings()))
            except Exception:
                os._exit(1)
            os._exit(0)
        pids.append(pid)
    os.close(started)
    print("failed:", sum(os.waitpid(pid, 0)[1] != 0 for pid in pids))
"""


# Every statement that makes something waits, before it is committed, for a lock that the test holds.
MEETING = (
    """create function meet() returns event_trigger language plpgsql
    as 'begin perform pg_advisory_xact_lock_shared(11); end'""",
    "create event trigger meet on ddl_command_end execute function meet()",
)
WAITING_FOR_EACH_OTHER = (
    "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
)


async def test_plain_langgraph_fails_in_one_of_two_that_set_a_database_up_at_once(any_empty_database: str) -> None:
    async def set_up() -> None:
        async with AsyncPostgresSaver.from_conn_string(any_empty_database) as saver:
            await saver.setup()

    execute(any_empty_database, *MEETING)
    with psycopg.connect(any_empty_database, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(11)")
        both = asyncio.gather(set_up(), set_up(), return_exceptions=True)
        await eventually(lambda: len(execute(any_empty_database, WAITING_FOR_EACH_OTHER)) == 2)
    outcomes = await both
    assert {type(outcome) for outcome in outcomes} == {psycopg.errors.UniqueViolation, type(None)}


def test_with_adjourn_sixteen_processes_migrate_a_fresh_database_and_all_succeed(any_empty_database: str) -> None:
    with child(SIXTEEN, any_empty_database) as running:
        assert running.finish().endswith("failed: 0\n")
    assert execute(any_empty_database, "select count(*) from adjourn.runs") == [(0,)]
    assert execute(any_empty_database, "select max(v) from checkpoint_migrations") == [(9,)]
    assert execute(any_empty_database, "select count(*) from pg_index where not indisvalid") == [(0,)]
