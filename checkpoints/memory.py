"""The memory of workflows: LangGraph's `AsyncPostgresStore` on our pool, one compartment for each tenant.

Nodes reach it as `runtime.store` (or `langgraph.config.get_store()`); what a run puts there survives it. With an
encryption key values are encrypted; namespaces and keys are not, and encrypted values cannot be filtered by.

What a node writes is stored under the lease of its run, as checkpoints are: a process that lost the run and wakes up late
changes nothing any more.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from typing import Any, Final, cast

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
)

from ..errors import LeaseLost
from .bare_store import BareStore
from .faults import mapped_faults
from .fence import check, driven_here
from .pool import Pool
from .sealing import Seal

__all__ = ["Memory"]

_PLAIN: Final = re.compile(r"[A-Za-z0-9-]+")
Namespace = tuple[str, ...]


class Memory(BaseStore):
    """A store whose items belong to one tenant; those of others cannot be reached through it, whatever is asked for.

    Nothing is opened before it is used, so a graph that does not use it pays nothing. Synchronous methods work in nodes that
    are plain functions, which LangGraph runs in threads.

    Args:
        pool: The connections.
        seal: Encrypts values where there is a key.
        tenant: Whose it is.
    """

    supports_ttl = True

    def __init__(self, pool: Pool, seal: Seal, tenant: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._pool = pool
        self._seal = seal
        self._label = _label(tenant)
        self._inner: BareStore | None = None

    def of(self, tenant: str) -> Memory:
        """Return the memory of another tenant on the same database, or this one if it is theirs."""
        return self if _label(tenant) == self._label else Memory(self._pool, self._seal, tenant)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do several operations in one round trip or few; see the base class.

        Raises:
            StorageUnavailable: PostgreSQL cannot be reached or refuses us.
            InvalidInput: A value holds what PostgreSQL cannot.
            LeaseLost: They write, and another process drives the run now; nothing was stored.
        """
        inside = [self._inside(op) for op in ops]
        driven = driven_here() if any(isinstance(op, PutOp) for op in inside) else None
        with mapped_faults("cannot use the memory"):
            results = await (self._freely(inside) if driven is None else self._under_lease(inside, *driven))
        return [self._outside(result) for result in results]

    async def _freely(self, ops: list[Op]) -> list[Result]:
        if self._inner is None:
            self._inner = BareStore(self._pool)
        return await self._inner.abatch(ops)

    async def _under_lease(self, ops: list[Op], thread_id: str, token: int) -> list[Result]:
        async with self._pool.connection() as connection, connection.transaction():
            if not await check(connection, thread_id, token):
                raise LeaseLost(
                    f"Run {thread_id} is driven by another process now; nothing was put into the memory here.",
                    thread_id=thread_id,
                )
            return await BareStore(connection).abatch(ops)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Do what `abatch` does, from another thread than that of the event loop.

        Raises:
            RuntimeError: It was called in the event loop's own thread; use the asynchronous methods there.
        """
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is self._loop:
            raise RuntimeError("this would block the event loop; use `await store.aget(…)` and the like in async nodes")
        return asyncio.run_coroutine_threadsafe(self.abatch(list(ops)), self._loop).result()

    def _inside(self, op: Op) -> Op:
        """Return an operation on this tenant's compartment."""
        if isinstance(op, GetOp):
            return op._replace(namespace=(self._label, *op.namespace))
        if isinstance(op, PutOp):
            value = None if op.value is None else cast("dict[str, Any]", self._seal.close(dict(op.value)))
            return op._replace(namespace=(self._label, *op.namespace), value=value)
        if isinstance(op, SearchOp):
            return op._replace(namespace_prefix=(self._label, *op.namespace_prefix))
        if isinstance(op, ListNamespacesOp):
            depth = None if op.max_depth is None else op.max_depth + 1
            return op._replace(match_conditions=tuple(self._conditions(op.match_conditions or ())), max_depth=depth)
        raise TypeError(f"a store does not know the operation {type(op).__name__}")

    def _conditions(self, given: Iterable[MatchCondition]) -> Iterable[MatchCondition]:
        yield MatchCondition("prefix", (self._label,))
        for each in given:
            path = (self._label, *each.path) if each.match_type == "prefix" else each.path
            yield MatchCondition(each.match_type, path)

    def _outside(self, result: Result) -> Result:
        """Return a result as the tenant sees it."""
        if isinstance(result, Item):
            return self._shown(result)
        if isinstance(result, list):
            return cast("Result", [each for each in map(self._each, result) if each is not None])
        return result

    def _each(self, found: Any) -> Any:
        if isinstance(found, tuple):
            return found[1:] if found[:1] == (self._label,) else None
        return self._shown(found) if found.namespace[:1] == (self._label,) else None

    def _shown(self, item: Item) -> Item:
        told: dict[str, Any] = {
            "key": item.key,
            "namespace": item.namespace[1:],
            "value": dict(self._seal.open(item.value)),
            "created_at": item.created_at,
            "updated_at": item.updated_at,
        }
        return SearchItem(**told, score=item.score) if isinstance(item, SearchItem) else Item(**told)


def _label(tenant: str) -> str:
    """Return the first part of a tenant's namespaces: a store joins the parts with periods, so there may be none in it."""
    return tenant if _PLAIN.fullmatch(tenant) else f"={tenant.encode().hex()}"
