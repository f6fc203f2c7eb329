"""Bringing a database up to date: once, by one of many, after any accident, with no more rights than needed."""

from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from pydantic import SecretStr

from adjourn.checkpoints import migrate as module
from adjourn.checkpoints.migrate import LOCK_KEY, Migration, migrate, migrations
from adjourn.errors import ConfigurationError, StorageUnavailable
from adjourn.settings import load_settings
from support.postgres import as_role, execute
from support.processes import child

SETTINGS = load_settings()
TABLES = "select count(*) from pg_tables where tablename in ('runs', 'checkpoints', 'checkpoint_writes')"
VALID = "select bool_and(indisvalid) from pg_index where indrelid = 'checkpoints'::regclass"


async def up_to_date(url: str) -> bool:
    await migrate(SecretStr(url), SETTINGS)
    return execute(url, TABLES) == [(3,)] and execute(url, VALID) == [(True,)]


async def test_an_empty_database_gets_all_tables(any_empty_database: str) -> None:
    assert await up_to_date(any_empty_database)


async def test_migrating_again_changes_nothing_and_takes_no_lock(any_database: str) -> None:
    before = execute(any_database, "select * from adjourn.migrations")
    with psycopg.connect(any_database, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(%s)", (LOCK_KEY,))
        assert await up_to_date(any_database)
    assert execute(any_database, "select * from adjourn.migrations") == before


async def test_a_database_that_langgraph_set_up_is_completed(any_empty_database: str) -> None:
    from langgraph.checkpoint.postgres import PostgresSaver

    with PostgresSaver.from_conn_string(any_empty_database) as saver:
        saver.setup()
    assert await up_to_date(any_empty_database)


async def test_a_file_that_fails_leaves_nothing_of_itself(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Migration(9000, "broken", "create table adjourn.half (a int); select 1/0;")
    whole = Migration(9000, "broken", "create table adjourn.half (a int);")
    monkeypatch.setattr(module, "migrations", lambda: [*migrations(), broken])
    with pytest.raises(Exception, match="division by zero"):
        await migrate(SecretStr(database), SETTINGS)
    monkeypatch.setattr(module, "migrations", lambda: [*migrations(), whole])
    await migrate(SecretStr(database), SETTINGS)
    assert execute(database, "select name from adjourn.migrations where number = 9000") == [("broken",)]


async def test_a_file_that_was_changed_after_it_was_applied_is_refused(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = [Migration(found.number, found.name, found.text + "\n-- changed") for found in migrations()]
    monkeypatch.setattr(module, "migrations", lambda: changed)
    with pytest.raises(ConfigurationError, match=r"0001_runs.sql was changed"):
        await migrate(SecretStr(database), SETTINGS)


async def test_a_database_of_a_newer_adjourn_is_refused(database: str) -> None:
    execute(database, "insert into adjourn.migrations (number, name, sha256) values (9999, 'later', '')")
    with pytest.raises(ConfigurationError, match=r"number 9999 by a newer adjourn.*Upgrade adjourn"):
        await migrate(SecretStr(database), SETTINGS)


async def test_all_of_procrastinate_stands_in_our_schema_and_works_with_any_search_path(any_database: str) -> None:
    theirs = "select distinct relnamespace::regnamespace::text from pg_class where relname like 'procrastinate%'"
    assert execute(any_database, theirs) == [("adjourn",)]
    execute(
        any_database,
        "insert into adjourn.runs (thread_id, tenant, workflow, version, source, status, requested_by, input_digest) "
        "values ('t', 'default', 'w', '1', '', 'queued', 'kim', '')",
        "set search_path = pg_temp",
        "select adjourn.enqueue('{t}')",
        "select (adjourn.procrastinate_fetch_job_v2('{w}', (adjourn.procrastinate_register_worker_v1()))).id",
        "select adjourn.procrastinate_finish_job_v1(id, 'succeeded', true) from adjourn.procrastinate_jobs",
    )


async def test_a_database_of_an_older_procrastinate_is_brought_up_to_date(database: str) -> None:
    newest = "procrastinate_fetch_job_v2"
    found = f"select proconfig::text from pg_proc where proname = '{newest}'"
    (before,) = execute(database, found)
    execute(
        database,
        f"drop function adjourn.{newest}",
        "delete from adjourn.queue_files where name = '03.03.00_01_pre_priority_lock_fetch_job.sql'",
    )
    await migrate(SecretStr(database), SETTINGS)
    assert execute(database, found) == [before]
    assert "adjourn" in before[0]


def test_the_numbered_files_are_in_order_and_have_no_gap() -> None:
    numbers = [migration.number for migration in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


# the query that is about to be sent: after the lock, in the middle of the set-up, inside a file's transaction
@pytest.mark.parametrize("moment", ["surroundings", "broken_indexes", "record"])
async def test_what_a_process_was_killed_at_is_finished_by_the_next(any_empty_database: str, moment: str) -> None:
    killed = """
        import asyncio
        from pydantic import SecretStr
        from adjourn.checkpoints import migrate as module
        from adjourn.settings import load_settings

        url, moment = sys.argv[1:]

        class Watched(dict):
            def __getitem__(self, name):
                if name == moment:
                    reach(moment)
                return super().__getitem__(name)

        module._QUERIES = Watched(module._QUERIES)
        asyncio.run(module.migrate(SecretStr(url), load_settings()))
    """
    with child(killed, any_empty_database, moment) as victim:
        victim.wait_for(moment)
        victim.kill()
    assert await up_to_date(any_empty_database)


async def test_an_index_whose_making_was_broken_off_is_made_again(any_empty_database: str) -> None:
    url = any_empty_database
    execute(url, *AsyncPostgresSaver.MIGRATIONS[:6])
    with psycopg.connect(url) as reader:
        # an open transaction on the table keeps `create index concurrently` waiting
        reader.execute("insert into checkpoints values ('t', '', '1', null, null, '{}', '{}')")
        with pytest.raises(psycopg.errors.QueryCanceled):
            execute(url, "set statement_timeout = '300ms'", AsyncPostgresSaver.MIGRATIONS[6])
    assert execute(url, VALID) == [(False,)]
    assert await up_to_date(url)


async def test_a_broken_index_that_langgraph_takes_for_done_is_made_again(any_database: str) -> None:
    broken = "update pg_index set indisvalid = false where indexrelid = 'checkpoints_thread_id_idx'::regclass"
    execute(any_database, broken)
    assert execute(any_database, VALID) == [(False,)]
    assert await up_to_date(any_database)


@pytest.fixture
def role(any_server: str) -> Iterator[str]:
    """A role with no rights at all, dropped afterwards."""
    name = f"role_{uuid4().hex}"
    execute(any_server, f"create role {name} login password 'secret'")
    yield name
    execute(any_server, f"drop role {name}")


async def test_a_role_without_rights_is_told_what_to_grant_and_no_more_is_needed(
    role: str, any_empty_database: str
) -> None:
    execute(any_empty_database, "revoke create on schema public from public")
    url = as_role(any_empty_database, role, "secret")
    with pytest.raises(StorageUnavailable) as caught:
        await migrate(SecretStr(url), SETTINGS)
    grants = str(caught.value).partition("`")[2].partition("`")[0]
    assert grants.count("GRANT CREATE") == 2
    execute(any_empty_database, *grants.removesuffix(";").split("; "))
    assert await up_to_date(url)
    execute(any_empty_database, f"drop owned by {role}")


async def test_a_role_that_may_not_use_our_schema_is_told_so(role: str, any_database: str) -> None:
    with pytest.raises(StorageUnavailable, match=r"permission denied.*Grant the role that right"):
        await migrate(SecretStr(as_role(any_database, role, "secret")), SETTINGS)


async def test_a_search_path_that_leads_nowhere_is_explained(any_empty_database: str) -> None:
    url = f"{any_empty_database}&options=-csearch_path%3Dnowhere"
    with pytest.raises(StorageUnavailable, match=r"search_path.*names no schema that exists"):
        await migrate(SecretStr(url), SETTINGS)


async def test_langgraphs_tables_go_where_the_search_path_points(any_empty_database: str) -> None:
    execute(any_empty_database, "create schema team")
    await migrate(SecretStr(f"{any_empty_database}&options=-csearch_path%3Dteam"), SETTINGS)
    found = execute(any_empty_database, "select schemaname from pg_tables where tablename = 'checkpoints'")
    assert found == [("team",)]


@pytest.fixture
def adjourn_role(any_empty_database: str) -> Iterator[str]:
    """A role that is called like our schema, with the right to make it; the default search_path begins there."""
    execute(any_empty_database, "create role adjourn login password 'secret'")
    (name,) = execute(any_empty_database, "select current_database()")[0]
    execute(any_empty_database, f"grant create on database {name} to adjourn")
    yield as_role(any_empty_database, "adjourn", "secret")
    execute(any_empty_database, "drop owned by adjourn", "drop role adjourn")


async def test_a_role_called_like_our_schema_gets_every_table_once(adjourn_role: str) -> None:
    for _ in range(2):
        assert await up_to_date(adjourn_role)
        execute(adjourn_role, "delete from checkpoint_migrations where v = 9")


async def test_a_role_called_like_our_schema_keeps_using_tables_that_stand_in_public(
    any_empty_database: str, adjourn_role: str
) -> None:
    execute(any_empty_database, "grant create on schema public to adjourn")
    execute(adjourn_role, *AsyncPostgresSaver.MIGRATIONS[:8], "insert into checkpoint_migrations values (7)")
    assert await up_to_date(adjourn_role)
    assert execute(adjourn_role, "select max(v) from public.checkpoint_migrations") == [(9,)]


async def test_a_role_that_does_not_see_langgraphs_tables_makes_no_second_set(
    any_empty_database: str, adjourn_role: str
) -> None:
    await migrate(SecretStr(adjourn_role), SETTINGS)
    with pytest.raises(StorageUnavailable, match=r"in the schema adjourn, which is not on the search_path"):
        await migrate(SecretStr(any_empty_database), SETTINGS)
