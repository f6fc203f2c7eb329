"""The memory of effects, in PostgreSQL: the engine's side of `once`."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any, Final, Literal

from langgraph.checkpoint.serde.base import SerializerProtocol
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from ..checkpoints.faults import mapped_faults
from ..checkpoints.patience import patiently
from ..checkpoints.queries import load_queries
from ..checkpoints.sealing import Seal
from ..errors import EffectMismatch, EffectUncertain, InvalidInput, LeaseLost, RunFailed
from ..nodes.effect_port import Begun, Effect, PastEffect, PastRun
from ..state.values import canonical_json, json_problem, storable_text
from .leases import Drive

__all__ = ["EffectLedger"]

_SQL: Final = load_queries(__package__, "effects.sql")


class EffectLedger:
    """Remembers the effects of one drive.

    What is promised: an effect whose end was recorded is never done again, by any process; one that a process died in is
    never silently done again; and none begins in a process that lost the lease.

    Args:
        pool: Connections.
        serde: Serialises results; the serializer of the drive's graph.
        drive: The drive, whose lease counts; None outside drives.
        patience: Seconds for which the record of what was done waits for a database that is away.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[DictRow]],
        serde: SerializerProtocol,
        drive: Drive | None,
        patience: float,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._pool = pool
        self._patience = patience
        self._serde = serde
        self._seal = Seal(serde)
        self._drive = drive
        self._used: dict[tuple[str, str, str, str], Any] = {}
        # of what is under way and has no record: the digest of its arguments, and when it began
        self._unrecorded: dict[tuple[str, str, str, str], dict[str, Any]] = {}

    async def begin(self, effect: Effect, *, verdict: Literal["happened", "did not"] | None = None) -> Begun:
        """Record that an effect is about to be done, or find that it was; see `EffectPort`."""
        if verdict is None:
            self._use(effect)
        digest = self._digest(effect)
        row = await self._row("begin_effect" if effect.record_start else "look_at_effect", effect, arguments=digest)
        if row is None or not row["held"]:
            raise self._lost(effect)
        if not effect.record_start:
            self._unrecorded[_identity(effect)] = {"arguments": digest, "started_at": row["now"]}
        key = hashlib.sha256(canonical_json(list(_identity(effect))).encode()).hexdigest()[:32]
        if row["fresh"]:
            return Begun("go", None, key)
        if row["arguments"] is not None and row["arguments"] != digest:
            raise EffectMismatch(
                f"The effect {effect.name!r} was begun with other arguments. A second use of a name in one task needs "
                "key=…; otherwise arguments must not depend on the time or on chance.",
                thread_id=effect.place.scope,
            )
        if row["status"] == "done":
            return Begun("done", self._result(effect, row), key)
        return await self._again(effect, row, verdict, key)

    async def end(self, effect: Effect, *, result: Any = None, error: BaseException | None = None) -> None:
        """Record how an effect went; see `EffectPort`."""
        if error is not None:
            await self._end(effect, "failed", None, None, storable_text(f"{type(error).__name__}: {error}")[:2000])
            return
        try:
            kind, data = self._serde.dumps_typed(result)
        except Exception as problem:
            message = f"its result cannot be stored: {problem}"
            await self._end(effect, "done", None, None, message)
            raise self._unstorable(effect, message) from problem
        await self._end(effect, "done", kind, data, None)

    async def past(self, thread_id: str, *, asked_by: str) -> PastRun | None:
        """Return what a run did; see `EffectPort`."""
        values = {"scope": thread_id, "asked_by": asked_by}
        with mapped_faults("cannot read what another run did", thread_id=thread_id):
            async with self._pool.connection() as connection:
                run = await (await connection.execute(_SQL["past_run"], values)).fetchone()
                if run is None:
                    raise RunFailed(f"There is no run {thread_id!r} here; nothing is undone.", thread_id=asked_by)
                if run["busy"]:
                    return None
                rows = await (await connection.execute(_SQL["past_effects"], values)).fetchall()
        effects = [
            PastEffect(
                row["name"],
                row["key"],
                row["status"],
                None if row["result_type"] is None else self._serde.loads_typed((row["result_type"], row["result"])),
            )
            for row in rows
        ]
        return PastRun(run["status"], run["for_child"], effects)

    async def _again(self, effect: Effect, row: DictRow, verdict: str | None, key: str) -> Begun:
        """Decide about an effect that was begun and not done."""
        if row["status"] == "failed":
            if effect.max_attempts is not None and row["attempts"] >= effect.max_attempts:
                raise RunFailed(
                    f"The effect {effect.name!r} failed {row['attempts']} times, as often as it may: {row['error']}",
                    thread_id=effect.place.scope,
                )
        elif verdict == "happened":
            await self._end(effect, "done", *self._serde.dumps_typed(None), None)
            return Begun("done", None, key)
        elif verdict is None and effect.on_uncertain == "ask":
            return Begun("ask", None, key)
        elif verdict is None and effect.on_uncertain == "fail":
            raise EffectUncertain(
                f"A process died while it did {effect.name!r}; nobody knows whether it happened. Find out; then, if the "
                "callee knows idempotency keys, use on_uncertain='retry', or on_uncertain='ask' to decide by hand.",
                thread_id=effect.place.scope,
            )
        if effect.record_start and await self._row("begin_effect_again", effect) is None:
            raise self._lost(effect)
        return Begun("go", None, key)

    def _use(self, effect: Effect) -> None:
        """Refuse a second use of a name within one run of a task; the same place in a later run is no second use."""
        identity, activation = _identity(effect), effect.place.activation
        if activation is not None and self._used.get(identity) == activation:
            raise EffectMismatch(
                f"The effect {effect.name!r} is used twice in one task; give each use a key=…",
                thread_id=effect.place.scope,
            )
        self._used[identity] = activation

    def _digest(self, effect: Effect) -> str:
        arguments = list(effect.arguments)
        if json_problem(arguments) is None:
            return hashlib.sha256(canonical_json(arguments).encode()).hexdigest()
        try:
            return hashlib.sha256(self._serde.dumps_typed(arguments)[1]).hexdigest()
        except Exception as error:
            raise InvalidInput(
                f"The arguments of the effect {effect.name!r} cannot be compared: {error}. Use JSON-safe arguments.",
                thread_id=effect.place.scope,
            ) from error

    def _result(self, effect: Effect, row: DictRow) -> Any:
        if row["result_type"] is None:
            raise self._unstorable(effect, row["error"])
        return self._serde.loads_typed((row["result_type"], row["result"]))

    def _unstorable(self, effect: Effect, message: str) -> InvalidInput:
        return InvalidInput(
            f"The effect {effect.name!r} was done, but {message}. It is not done again; return something JSON-safe.",
            thread_id=effect.place.scope,
        )

    def _lost(self, effect: Effect) -> LeaseLost:
        return LeaseLost(
            f"Run {effect.place.scope} is driven by another process now; {effect.name!r} was not begun here.",
            thread_id=effect.place.scope,
        )

    async def _end(self, effect: Effect, status: str, kind: str | None, data: bytes | None, error: str | None) -> None:
        unrecorded = self._unrecorded.pop(_identity(effect), None)
        query = _SQL["end_effect" if unrecorded is None else "record_effect"]
        ended = {"status": status, "result_type": kind, "result": data, "error": self._seal.close_text(error)}
        values = {**self._values(effect), **ended, **(unrecorded or {})}

        async def attempt() -> None:
            async with self._pool.connection() as connection:
                await connection.execute(query, values)

        # It was done: a database that restarts now must not make it uncertain.
        with mapped_faults(f"cannot record the effect {effect.name!r}", thread_id=effect.place.scope):
            await patiently(attempt, self._patience)

    async def _row(self, query: str, effect: Effect, **more: Any) -> DictRow | None:
        with mapped_faults(f"cannot begin the effect {effect.name!r}", thread_id=effect.place.scope):
            async with self._pool.connection() as connection:
                cursor = await connection.execute(_SQL[query], {**self._values(effect), **more})
                row = await cursor.fetchone()
        return {**row, "error": self._seal.open_text(row["error"])} if row and row.get("error") else row

    def _values(self, effect: Effect) -> dict[str, Any]:
        scope, namespace, name, key = _identity(effect)
        return {
            "scope": scope,
            "checkpoint_ns": namespace,
            "name": name,
            "key": key,
            "token": self._drive and self._drive.token,
        }


def _identity(effect: Effect) -> tuple[str, str, str, str]:
    return (effect.place.scope, effect.place.namespace, effect.name, effect.key)
