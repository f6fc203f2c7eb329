"""Past cases by meaning: pgvector where an embedding model is set, over real HTTP; words where it is not, or was another."""

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from langchain_core.embeddings import Embeddings
from langchain_openai import OpenAIEmbeddings
from psycopg import sql
from pydantic import SecretStr

from adjourn.checkpoints.inspection import inspect_database
from adjourn.checkpoints.pool import Pool
from adjourn.engine.case_memory import fused
from adjourn.engine.case_vectors import CaseVectors, Vector
from adjourn.engine.embedding import Embedder, open_embeddings
from adjourn.errors import ConfigurationError, StorageUnavailable
from adjourn.nodes.cases import recall, remember
from adjourn.settings import Settings
from adjourn.testing import ModelServer
from support.hidden_words import KEY
from support.postgres import as_role, execute
from support.remembering import FULL, Incident, filled, opened, steps

# what means the same in other words
MEANS = {"disk": 0, "storage": 0, "full": 1, "exhausted": 1, "certificate": 2, "checkout": 3}


def meaning(text: str) -> list[float]:
    words = [word.strip(".:,") for word in text.casefold().split()]
    found = [float(sum(MEANS.get(word) == place for word in words)) for place in range(4)]
    return [*found, 0.1]


@pytest.fixture
def provider() -> Iterator[ModelServer]:
    with ModelServer([], embed=meaning) as server:
        yield server


def model(provider: ModelServer, name: str = "text-embedding-3-small") -> Any:
    return OpenAIEmbeddings(
        model=name, base_url=provider.url, api_key=SecretStr("k"), check_embedding_ctx_length=False, max_retries=0
    )


async def test_a_case_is_found_by_its_meaning_in_other_words(database: str, provider: ModelServer) -> None:
    async with opened(database, embeddings=model(provider)) as engine:
        await filled(engine)
        found = await engine.cases(about="No storage is left", limit=2)
        assert {case.outcome for case in found} == {"rotated the logs", "replaced the disk"}
        assert all(0.5 < case.score <= 1 for case in found)
        # a ranking by both: the word `sectors` and the meaning of `storage`
        found = await engine.cases(about="storage sectors", limit=1)
        assert [case.outcome for case in found] == ["replaced the disk"]
    async with opened(database) as engine:  # without a model words alone count
        assert list(await engine.cases(about="No storage is left")) == []
        assert [case.outcome for case in await engine.cases(about="bad sectors")] == ["replaced the disk"]


async def test_vectors_of_another_model_are_not_compared(database: str, provider: ModelServer) -> None:
    async with opened(database, embeddings=model(provider, "old")) as engine:
        await filled(engine)
    with ModelServer([]) as other:  # its vectors have another length
        for changed in (model(provider, "new"), model(other, "old")):
            async with opened(database, embeddings=changed) as engine:
                assert list(await engine.cases(about="No storage is left")) == []
                assert [case.outcome for case in await engine.cases(about="bad sectors")] == ["replaced the disk"]
    async with opened(database, embeddings=model(provider, "old")) as engine:
        assert len(await engine.cases(about="No storage is left")) == 4


async def test_no_tenant_is_near_to_another(database: str, provider: ModelServer) -> None:
    for tenant in ("a", "b"):
        async with opened(database, tenant, embeddings=model(provider)) as engine:
            await filled(engine)
            own = {case.id for case in await engine.cases()}
            near = await engine._cases.store.by_meaning(
                tenant,
                None,
                Vector("OpenAIEmbeddings text-embedding-3-small 5", meaning("disk")),
                limit=4,
                apart_from=None,
            )
            assert {each for each, _ in near} == own  # nobody else's cases take up places
            assert list(await engine.cases(about="No storage is left", kind="ticket")) == []
    async with opened(database, "c", embeddings=model(provider)) as engine:
        assert list(await engine.cases(about="No storage is left")) == []


async def test_neither_a_runs_own_cases_nor_old_ones_are_near(database: str, provider: ModelServer) -> None:
    own = steps(
        ("leave", remember("incident", text="alert")), ("find", recall("incident", about="alert", into="similar"))
    )
    async with opened(database, workflows={"own": own}, embeddings=model(provider)) as engine:
        assert (await engine.start("own", {"alert": FULL})).state["similar"] == []
        assert len((await engine.start("own", {"alert": FULL})).state["similar"]) == 1
        assert len(await engine.cases(about="No storage is left")) == 2
    execute(database, "update adjourn.cases set remembered_at = now() - interval '11 days'")
    async with opened(database, embeddings=model(provider), settings=Settings(case_days=10)) as engine:
        assert list(await engine.cases(about="No storage is left")) == []


async def test_a_vector_goes_with_its_case_and_the_model_is_asked_once(database: str, provider: ModelServer) -> None:
    times: list[int] = []

    async def fails_once(state: Incident) -> dict[str, Any]:
        times.append(1)
        await remember("incident", text="alert")(state)
        if len(times) == 1:
            raise OSError("gone")
        return {}

    workflows = {"flaky": steps(("remember", fails_once))}
    async with opened(database, workflows=workflows, embeddings=model(provider)) as engine:
        run = await engine.start("flaky", {"alert": FULL})
        await engine.retry(run.thread_id)
        assert provider.embedded == [FULL]
        assert execute(database, "select count(*) from adjourn.case_vectors") == [(1,)]
        await engine.erase(run.thread_id)
        assert execute(database, "select count(*) from adjourn.case_vectors") == [(0,)]


async def test_of_a_provider_that_fails_nothing_is_stored_and_the_run_can_be_retried(database: str) -> None:
    fine: list[int] = []

    def fails_first(text: str) -> list[float]:
        fine.append(1)
        return meaning(text) if len(fine) > 1 else [float("nan")] * 5

    with ModelServer([], embed=fails_first) as server:
        workflows = {"writing": steps(("remember", remember("incident", text="alert")))}
        async with opened(database, workflows=workflows, embeddings=model(server)) as engine:
            run = await engine.start("writing", {"alert": FULL})
            assert (run.status, run.error["type"]) == ("failed", "InvalidInput")
            assert list(await engine.cases()) == []
            assert (await engine.retry(run.thread_id)).status == "completed"
            assert len(await engine.cases(about="storage")) == 1


async def test_a_role_that_may_not_install_pgvector_is_told_who_must_do_what(
    database: str, provider: ModelServer
) -> None:
    name = execute(database, "select current_database()")[0][0]
    role = f"plain_{name}"
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute(sql.SQL("create role {} login password 'x'").format(sql.Identifier(role)))
        try:
            for statement in (
                "grant all on schema adjourn, public to {}",
                "grant all on all tables in schema adjourn, public to {}",
                "grant all on all sequences in schema adjourn, public to {}",
            ):
                admin.execute(sql.SQL(statement).format(sql.Identifier(role)))
            url = as_role(database, role, "x")
            async with opened(url, embeddings=model(provider)) as engine:
                run = await engine.start("remembering", {"alert": FULL, "cure": 1})
                assert run.error["type"] == "ConfigurationError"
                assert f"the database '{name}' lacks the extension pgvector" in run.error["message"]
                assert "superuser run `CREATE EXTENSION vector;`" in run.error["message"]
                assert not (await inspect_database(SecretStr(url), Settings())).vectors
                admin.execute("create schema elsewhere; create extension vector schema elsewhere")
                admin.execute(sql.SQL("grant usage on schema elsewhere to {}").format(sql.Identifier(role)))
                assert (await inspect_database(SecretStr(url), Settings())).vectors
                assert (await engine.retry(run.thread_id)).status == "completed"
                assert len(await engine.cases(about="storage")) == 1
        finally:
            admin.execute(sql.SQL("drop owned by {0} cascade; drop role {0}").format(sql.Identifier(role)))


async def test_the_table_of_vectors_is_made_once_by_however_many(database: str) -> None:
    async with opened(database) as engine:
        pool = engine._storage.pool
        await asyncio.gather(*(CaseVectors(pool, 5.0).ensure() for _ in range(4)))
    assert execute(database, "select count(*) from adjourn.case_vectors") == [(0,)]


async def test_a_server_without_pgvector_is_needed_by_nobody_who_sets_no_model(
    any_database: str, provider: ModelServer
) -> None:
    async with opened(any_database) as engine:
        await filled(engine)
        assert (await engine.cases(about=FULL))[0].outcome == "rotated the logs"
    known = execute(any_database, "select 1 from pg_available_extensions where name = 'vector'")
    async with opened(any_database, embeddings=model(provider)) as engine:
        if known:
            assert len(await engine.cases(about="storage")) == 0  # they were remembered without a model
        else:
            with pytest.raises(ConfigurationError, match="install it there first"):
                await engine.cases(about="storage")


async def test_a_key_and_a_model_are_refused_unless_vectors_may_be_known(database: str, provider: ModelServer) -> None:
    key = SecretStr(KEY)
    with pytest.raises(ConfigurationError, match="ADJOURN_CLEAR_VECTORS=true"):
        async with opened(database, embeddings=model(provider), settings=Settings(encryption_key=key)):
            pass
    with pytest.raises(ConfigurationError, match="ADJOURN_CLEAR_VECTORS=true"):
        async with opened(database, settings=Settings(encryption_key=key, embedding_model="openai:x")):
            pass
    settings = Settings(encryption_key=key, clear_vectors=True)
    async with opened(database, embeddings=model(provider), settings=settings) as engine:
        await filled(engine)
        assert len(await engine.cases(about="storage", limit=2)) == 2


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("nobody:x", "names no provider"),
        ("openai:x", "OPENAI_API_KEY"),
        ("cohere:x", "langchain-cohere"),
        ("", "provider"),
    ],
)
def test_a_model_that_cannot_be_used_says_what_is_missing(spec: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        open_embeddings(spec)


def test_a_model_of_the_setting_is_made_by_langchain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert open_embeddings("openai:text-embedding-3-small").model == "text-embedding-3-small"  # type: ignore[attr-defined]


def test_vectors_are_kept_under_the_name_of_their_model() -> None:
    class Named(Embeddings):
        model = "m1"

        def embed_query(self, text: str) -> list[float]:
            return [1.0]

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[1.0] for _ in texts]

    assert Embedder(Named()).name == "Named m1"
    assert Embedder("openai:text-embedding-3-small").name == "openai:text-embedding-3-small"


def test_two_rankings_are_fused_by_rank_and_keep_the_best_score() -> None:
    words = [("a", 0.9), ("b", 0.2)]
    near = [("b", 0.8), ("c", 0.7)]
    assert fused([words, near]) == [("b", 0.8), ("a", 0.9), ("c", 0.7)]
    assert fused([words]) == words
    assert fused([[], near]) == near
    assert fused([[], []]) == []


async def test_a_search_by_meaning_waits_for_a_database_that_is_away_for_a_moment(
    database: str, provider: ModelServer
) -> None:
    async with opened(database, embeddings=model(provider)) as engine:
        await filled(engine)
        away = Away(engine._storage.pool)
        vectors = CaseVectors(away, 5.0)  # type: ignore[arg-type]
        await vectors.ensure()
        away.times = 2
        scope = {"tenant": "default", "kind": None, "since": None, "except": None, "limit": 9}
        vector = Vector("OpenAIEmbeddings text-embedding-3-small 5", meaning("disk"))
        assert len(await vectors.find(vector, **scope)) == 4
        with pytest.raises(StorageUnavailable, match="cannot search the cases by meaning"):
            await CaseVectors(Away(engine._storage.pool, 99), 0.0).find(vector, **scope)  # type: ignore[arg-type]


class Away:
    """A pool whose server is away so many times."""

    def __init__(self, pool: Pool, times: int = 1) -> None:
        self._pool = pool
        self.times = times

    def connection(self) -> Any:
        if self.times > 0:
            self.times -= 1
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return self._pool.connection()


async def test_what_others_made_beside_the_extension_does_not_stand_in_for_postgresqls_own(
    database: str, provider: ModelServer
) -> None:
    execute(database, "create extension if not exists vector schema public")
    execute(database, "create function public.never(text, text) returns boolean language sql as 'select false'")
    execute(database, "create operator public.= (leftarg = text, rightarg = text, function = public.never)")
    async with opened(database, embeddings=model(provider)) as engine:
        await filled(engine)
        assert len(await engine.cases(about="No storage is left")) == 4
