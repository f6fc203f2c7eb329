"""Results of nodes that are given again for a while: LangGraph's cache, on the engine's database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn

from langgraph.cache.base import BaseCache, FullKey, Namespace
from langgraph.checkpoint.serde.base import SerializerProtocol

from .answers import Answers
from .place import drive_here

__all__ = ["NodeCache"]

_RESUME: Final = "__resume__"


class NodeCache(BaseCache[Any]):
    """LangGraph's cache of what nodes wrote, for one workflow; the tenant is that of the run being driven.

    A node that asked somebody is not kept: an answer counts for the run that it was given in.

    Args:
        answers: Keeps it.
        serde: Stores what the workflow's nodes write.
        workflow: Its name and version; another version finds nothing of this one.
    """

    def __init__(self, answers: Answers, serde: SerializerProtocol, workflow: str) -> None:
        super().__init__(serde=serde)
        self._answers = answers
        self._workflow = workflow

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        """Return what is kept under some keys."""
        drive = drive_here()
        if drive is None:
            return {}
        named = {self._name(key): key for key in keys}
        found = await self._answers.get(drive.tenant, list(named), self.serde)
        return {named[name]: [tuple(write) for write in writes] for name, writes in found.items()}

    async def aset(self, pairs: Mapping[FullKey, tuple[Any, int | None]]) -> None:
        """Keep what nodes wrote."""
        drive = drive_here()
        if drive is None:
            return
        for key, (writes, seconds) in pairs.items():
            if seconds is not None and not any(channel == _RESUME for channel, _ in writes):
                kept = [list(write) for write in writes]
                await self._answers.keep(drive.tenant, self._name(key), kept, seconds, self.serde)

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Refuse: what is kept goes when its time is over."""
        self._refuse()

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, Any]:
        """Refuse: the engine drives asynchronously."""
        self._refuse()

    def set(self, pairs: Mapping[FullKey, tuple[Any, int | None]]) -> None:
        """Refuse: the engine drives asynchronously."""
        self._refuse()

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Refuse: what is kept goes when its time is over."""
        self._refuse()

    def _name(self, key: FullKey) -> str:
        namespace, digest = key
        return "\0".join(("node", self._workflow, *namespace, digest))

    def _refuse(self) -> NoReturn:
        raise NotImplementedError(
            "The engine reads and writes its cache of results asynchronously, and clears nothing."
        )
