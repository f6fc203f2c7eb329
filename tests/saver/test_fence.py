"""A driver that has lost its lease stores nothing any more."""

import asyncio
from collections.abc import Sequence
from typing import Any, Self

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from adjourn.checkpoints import Saver, Storage, open_storage, statement
from adjourn.checkpoints.fence import hold, holding, release, renew, take, token_of
from adjourn.errors import LeaseLost, ThreadBusy
from adjourn.settings import load_settings
from support.eventually import eventually
from support.postgres import execute
from support.saving import config, count_of, four_steps, id_of, put


async def lease(storage: Storage, thread_id: str, owner: str, seconds: float = 60) -> int:
    async with storage.pool.connection() as connection:
        token = await take(connection, thread_id, owner, seconds)
    assert token is not None
    return token


async def run_out(storage: Storage, thread_id: str) -> None:
    execute(
        storage.url.get_secret_value(), f"update adjourn.leases set expires_at = now() where thread_id = '{thread_id}'"
    )


async def test_the_holder_of_the_lease_stores_and_each_lease_has_a_higher_token(storage: Storage) -> None:
    token = await lease(storage, "t", "one")
    with holding("t", token):
        await four_steps(storage.saver).ainvoke({"log": [], "text": ""}, config("t"), durability="sync")
    async with storage.pool.connection() as connection:
        assert await take(connection, "t", "two", 60) is None
        assert await release(connection, "t", token)
        assert (await take(connection, "t", "two", 60) or 0) > token
        assert not await release(connection, "t", token)


async def test_several_calls_of_a_thread_under_its_lease_are_one_statement(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = {thread_id: await lease(storage, thread_id, "one") for thread_id in ("t", "u")}
    heads = {}
    for thread_id, token in tokens.items():
        with holding(thread_id, token):
            heads[thread_id] = await put(storage.saver, thread_id, text="1")
    execute_, sent = statement._execute, list[str]()

    async def noting(connection: Any, query: str, parameters: Sequence[Any]) -> Any:
        sent.append(query)
        return await execute_(connection, query, parameters)

    async def step(thread_id: str) -> None:
        with holding(thread_id, tokens[thread_id]):
            await asyncio.gather(
                storage.saver.aput_writes(heads[thread_id], [("text", "2")], "task"),
                put(storage.saver, thread_id, parent=id_of(heads[thread_id]), text="2"),
            )

    monkeypatch.setattr(statement, "_execute", noting)
    await asyncio.gather(step("t"), step("u"))
    assert len(sent) == 1
    assert count_of(storage.url.get_secret_value(), ["t", "u"]) == 6


def test_the_leases_of_a_large_commit_are_looked_up_in_their_index(storage: Storage) -> None:
    url = storage.url.get_secret_value()
    execute(
        url,
        "insert into adjourn.leases (thread_id, owner, expires_at) select n, 'me', now() from generate_series(1, 1000) n",
    )
    threads = "'{" + ", ".join(str(n) for n in range(64)) + "}'"
    query = (statement._SQL["fenced"] + "select * from judged").replace("%b", threads)
    plan = "\n".join(row[0] for row in execute(url, f"explain {query}"))
    assert "Index Scan using leases_fence" in plan
    assert "Seq Scan" not in plan


async def test_a_driver_that_was_taken_over_is_refused_and_its_neighbours_are_not(storage: Storage) -> None:
    old = await lease(storage, "t", "one")
    await run_out(storage, "t")
    await lease(storage, "t", "two")
    with holding("t", old):
        outcomes = await asyncio.gather(
            *(put(storage.saver, thread_id, text="x") for thread_id in ("a", "t", "b")), return_exceptions=True
        )
    assert [isinstance(outcome, LeaseLost) for outcome in outcomes] == [False, True, False]
    assert count_of(storage.url.get_secret_value(), ["t"]) == 0
    assert count_of(storage.url.get_secret_value(), ["a", "b"]) == 2


async def test_a_pool_whose_connections_begin_transactions_by_themselves_is_fenced_and_commits_as_well(
    storage: Storage,
) -> None:
    url = storage.url.get_secret_value()
    old = await lease(storage, "t", "one")
    await run_out(storage, "t")
    await lease(storage, "t", "two")
    async with AsyncConnectionPool(url, open=False, kwargs={"row_factory": dict_row}) as pool:
        saver = Saver(pool)
        await put(saver, "first", text="x")
        assert count_of(url, ["first"]) == 1, "before anything else is done with the connection"
        with holding("t", old):
            outcomes = await asyncio.gather(
                *(put(saver, thread_id, text="x") for thread_id in ("a", "t", "b")), return_exceptions=True
            )
        assert [isinstance(outcome, LeaseLost) for outcome in outcomes] == [False, True, False]
        assert count_of(url, ["t"]) == 0
        assert count_of(url, ["a", "b"]) == 2


async def test_a_lease_that_ran_out_and_that_nobody_took_still_stores(storage: Storage) -> None:
    token = await lease(storage, "t", "one")
    await run_out(storage, "t")
    with holding("t", token):
        await put(storage.saver, "t", text="x")
    async with storage.pool.connection() as connection:
        assert await renew(connection, "one", 60) == {"t"}


async def test_without_a_lease_nothing_is_stored_while_somebody_holds_it(storage: Storage) -> None:
    token = await lease(storage, "t", "one")
    with pytest.raises(ThreadBusy):
        await put(storage.saver, "t", text="x")
    async with storage.pool.connection() as connection:
        await release(connection, "t", token)
    await put(storage.saver, "t", text="x")


async def test_a_lease_that_was_never_given_is_worth_nothing(storage: Storage) -> None:
    with holding("t", 7), pytest.raises(LeaseLost):
        await put(storage.saver, "t", text="x")


async def test_the_token_belongs_to_the_drive_and_not_to_the_thread(storage: Storage) -> None:
    old = await lease(storage, "t", "one")
    woken = asyncio.Event()

    async def zombie() -> None:
        await woken.wait()
        await put(storage.saver, "t", text="late")

    with holding("t", old):
        late = asyncio.create_task(zombie())
    await run_out(storage, "t")
    # the same process has the thread again; the zombie still carries its own token
    with holding("t", await lease(storage, "t", "one")):
        await put(storage.saver, "t", text="new")
        woken.set()
        with pytest.raises(LeaseLost):
            await late


async def test_hold_lasts_for_the_rest_of_its_task_alone() -> None:
    async def drive() -> int | None:
        hold("t", 3)
        return await asyncio.create_task(_token())

    assert await asyncio.create_task(drive()) == 3
    assert token_of("t") is None


async def _token() -> int | None:
    return token_of("t")


async def test_calls_from_another_thread_carry_the_token_of_their_context(storage: Storage) -> None:
    def drive(token: int) -> Any:
        with holding("t", token):
            return four_steps(storage.saver).invoke({"log": [], "text": ""}, config("t"), durability="sync")

    token = await lease(storage, "t", "one")
    assert (await asyncio.to_thread(drive, token))["text"] == "d"
    with pytest.raises(LeaseLost):
        await asyncio.to_thread(drive, token + 1)


class Held:
    """A commit of the saver that is held open inside PostgreSQL, by an advisory lock that a trigger waits for."""

    def __init__(self, url: str) -> None:
        execute(
            url,
            """create function wait() returns trigger language plpgsql as
               $$ begin perform pg_advisory_xact_lock(42); return new; end $$""",
            "create trigger wait before insert on checkpoint_blobs for each row execute function wait()",
        )
        self._keeper = psycopg.connect(url, autocommit=True)
        self._keeper.execute("select pg_advisory_lock(42)")

    def waits(self) -> bool:
        return bool(self._keeper.execute("select from pg_stat_activity where wait_event = 'advisory'").fetchall())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._keeper.close()

    def let_go(self) -> None:
        self._keeper.execute("select pg_advisory_unlock(42)")


async def test_a_take_over_waits_for_a_commit_under_way_and_a_heartbeat_does_not(any_database: str) -> None:
    async with open_storage(load_settings(), any_database) as storage:
        with Held(any_database) as held:
            await _a_take_over_under_a_held_commit(storage, held)


async def _a_take_over_under_a_held_commit(storage: Storage, held: Held) -> None:
    with holding("t", await lease(storage, "t", "one")):
        zombie = asyncio.create_task(put(storage.saver, "t", list=["x"]))
    await eventually(held.waits)
    async with storage.pool.connection() as connection:
        assert await asyncio.wait_for(renew(connection, "one", 60), 5) == {"t"}
    await run_out(storage, "t")
    successor = asyncio.create_task(lease(storage, "t", "two"))
    await asyncio.sleep(0.2)
    assert not successor.done()
    held.let_go()
    await zombie
    await successor
    # what the new owner reads first is everything that the old one will ever have stored
    assert await storage.saver.aget_tuple(config("t")) is not None


async def test_a_statement_begun_before_a_take_over_and_late_at_the_lease_stores_nothing(any_database: str) -> None:
    async with open_storage(load_settings(), any_database) as storage:
        old = await lease(storage, "t", "one")
        await run_out(storage, "t")
        # the take-over is under way when the zombie's statement takes its snapshot, and commits while it waits
        with psycopg.connect(any_database) as successor:
            successor.execute(
                "update adjourn.leases set token = nextval('adjourn.lease_tokens'), owner = 'two' where thread_id = 't'"
            )
            with holding("t", old):
                zombie = asyncio.create_task(put(storage.saver, "t", list=["x"]))
            await eventually(lambda: _waits_for_a_lease(any_database))
            successor.commit()
        with pytest.raises(LeaseLost):
            await zombie
        assert count_of(any_database, ["t"]) == 0


def _waits_for_a_lease(url: str) -> bool:
    query = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%adjourn.leases%key share%'"
    return bool(execute(url, query))


async def test_two_processes_that_take_a_lease_at_once_get_one(storage: Storage) -> None:
    async def attempt(n: int) -> int | None:
        async with storage.pool.connection() as connection:
            return await take(connection, "t", f"p{n}", 60)

    tokens = await asyncio.gather(*(attempt(n) for n in range(8)))
    assert len([token for token in tokens if token]) == 1


async def test_deleting_a_thread_while_its_run_is_in_a_node_leaves_no_row_of_it(storage: Storage) -> None:
    await the_run_goes_on_after_a_deletion(storage, "t")


async def test_deleting_a_leased_thread_while_its_run_is_in_a_node_leaves_no_row_of_it(storage: Storage) -> None:
    with holding("t", await lease(storage, "t", "one")):
        await the_run_goes_on_after_a_deletion(storage, "t")


async def the_run_goes_on_after_a_deletion(storage: Storage, thread_id: str) -> None:
    first = await put(storage.saver, thread_id, text="1")
    head = await put(storage.saver, thread_id, parent=id_of(first), text="2")
    writes = asyncio.create_task(storage.saver.aput_writes(head, [("text", "x")], "task-1"))
    await asyncio.sleep(0)
    await storage.saver.adelete_thread(thread_id)
    late = [
        storage.saver.aput_writes(head, [("text", "x")], "task-2"),
        put(storage.saver, thread_id, parent=id_of(head), text="3"),
    ]
    outcomes = await asyncio.gather(writes, *late, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes[1:]] in (["UnknownThread"] * 2, ["LeaseLost"] * 2)
    assert count_of(storage.url.get_secret_value(), [thread_id]) == 0


async def test_a_deleted_thread_id_can_be_used_again_at_once(storage: Storage) -> None:
    graph = four_steps(storage.saver)
    for _ in range(2):
        ended = await graph.ainvoke({"log": [], "text": ""}, config("t"), durability="async")
        assert ended["log"] == ["a", "b", "c", "d"]
        await storage.saver.adelete_thread("t")
    assert count_of(storage.url.get_secret_value(), ["t"]) == 0
