"""The memory of past cases: what the nodes `recall` and `remember`, and the engine's verbs, do their work with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from ..checkpoints.encryption import read_keys
from ..checkpoints.pool import Pool
from ..checkpoints.sealing import Seal
from ..nodes.effect_port import Place
from ..settings import Settings
from ..state.cases import Case, NewCase, check_about, check_case, check_count, check_kind
from .case_ids import CaseIds
from .case_store import CaseStore, Found
from .case_words import Words
from .embedding import embedder_of
from .leases import Drive

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

__all__ = ["CaseMemory", "DriveCases", "fused"]

_LOOKED_AT: Final = 50  # of each ranking, before they are fused
_RANK: Final = 60  # Cormack, Clarke and Buettcher (2009) found it to matter little


class CaseMemory:
    """Remembers and finds cases of all tenants.

    Args:
        pool: The connections.
        seal: Encrypts what is kept where there is a key.
        settings: Language, retention, keys and the embedding model.
        embeddings: An embedding model that wins over the setting.

    Raises:
        ConfigurationError: There is no stemmer for the language, or there are a key and a model; see `embedder_of`.
    """

    def __init__(self, pool: Pool, seal: Seal, settings: Settings, embeddings: Embeddings | None = None) -> None:
        keys = read_keys(settings.encryption_key)
        self._ids = CaseIds(keys)
        words = Words(settings.case_language, keys)
        self.store = CaseStore(pool, seal, words, settings.case_days, settings.storage_patience)
        self._embedder = embedder_of(settings, embeddings)

    async def remember(self, tenant: str, thread_id: str, token: int, node: str, case: NewCase) -> bool:
        """Remember a case of a run, once; say whether it is new. Raises like `CasePort.remember`."""
        check_case(case)
        ids, vector = self._ids.of(thread_id, node, case), None
        if self._embedder is not None:
            if await self.store.known(tenant, ids):
                return False  # the model is not asked again
            await self.store.vectors.ensure()
            vector = await self._embedder.of_case(case.text)
        return await self.store.add(tenant, thread_id, token, ids, case, vector)

    async def find(
        self,
        tenant: str,
        kind: str | None,
        about: str,
        *,
        limit: int,
        min_score: float = 0.0,
        apart_from: str | None = None,
    ) -> list[Case]:
        """Return the cases most like a text, best first.

        With an embedding model the ranking by words and that by meaning are fused; the score of a case is the greater of
        both likenesses.

        Args:
            tenant: Whose.
            kind: Of which kind; None for all.
            about: The text.
            limit: The most.
            min_score: The least score.
            apart_from: A run whose own cases are left out.

        Raises:
            InvalidInput: The text, the kind, or a number does not fit.
            ConfigurationError: The embedding model or pgvector is missing.
            Exception: Whatever the provider of the embedding model raises.
        """
        check_about(about)
        check_count(limit, min_score)
        if kind is not None:
            check_kind(kind)
        many = max(limit, _LOOKED_AT)
        rankings = [await self.store.by_words(tenant, kind, about, limit=many, apart_from=apart_from)]
        if self._embedder is not None:
            await self.store.vectors.ensure()
            vector = await self._embedder.of_question(about)
            rankings.append(await self.store.by_meaning(tenant, kind, vector, limit=many, apart_from=apart_from))
        best = [each for each in fused(rankings) if each[1] >= min_score]
        return await self.store.read(tenant, best[:limit])


class DriveCases:
    """The memory of cases of one drive; see `CasePort`.

    Args:
        memory: The memory.
        tenant: Whose run is driven.
        drive: The drive, whose lease counts.
    """

    def __init__(self, memory: CaseMemory, tenant: str, drive: Drive) -> None:
        self.loop = asyncio.get_running_loop()
        self._memory = memory
        self._tenant = tenant
        self._drive = drive

    async def recall(self, place: Place, kind: str, about: str, *, limit: int, min_score: float) -> list[Case]:
        """Find cases of other runs; see `CasePort`."""
        return await self._memory.find(
            self._tenant, kind, about, limit=limit, min_score=min_score, apart_from=place.scope
        )

    async def remember(self, place: Place, case: NewCase) -> bool:
        """Remember a case of this run; see `CasePort`."""
        node = "|".join(part.partition(":")[0] for part in place.namespace.split("|"))
        return await self._memory.remember(self._tenant, place.scope, self._drive.token, node, case)


def fused(rankings: Sequence[Sequence[Found]]) -> list[Found]:
    """Return several rankings as one, by reciprocal rank fusion; each case has the best of its scores.

    Args:
        rankings: Ids and scores, best first.
    """
    points: dict[str, float] = {}
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, (each, score) in enumerate(ranking, start=1):
            points[each] = points.get(each, 0.0) + 1 / (_RANK + rank)
            scores[each] = max(scores.get(each, 0.0), score)
    return sorted(scores.items(), key=lambda found: (-points[found[0]], -found[1], found[0]))
