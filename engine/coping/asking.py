"""Asking a model under rules: the budget, what is kept, the model itself, and those that stand in for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from langchain_core.language_models import BaseChatModel

from ...errors import AdjournError, CircuitOpen
from ...state.coping import Rate, named
from .calls import Rules, guarded
from .chat_models import Unfit, alone, fitted, kept_answer, names_of, opened, question_key, replayed, storable_answer
from .faults import kind_of, status_of
from .place import Place
from .spending import Usage, cost_of
from .usage import estimated, usage_of

__all__ = ["ask", "ask_streaming"]

Attempt = Callable[[BaseChatModel, dict[str, Any], int], Awaitable[Any]]
Begin = Callable[[BaseChatModel, dict[str, Any]], AsyncIterator[Any]]
_log = structlog.get_logger("adjourn")


@dataclass(slots=True)
class Asked:
    """One question to a model, wherever it is put in the end.

    Args:
        place: Where it is asked.
        first: The model that is asked.
        messages: What it is asked, for counting words where it reports no tokens.
        parameters: What it is called with.
        tries: How many tries have begun, with all models.
    """

    place: Place
    first: BaseChatModel
    messages: Any
    parameters: dict[str, Any]
    tries: int = field(default=0)

    async def with_someone(self, call: Callable[[BaseChatModel, dict[str, Any], Rules], Awaitable[Any]]) -> Any:
        """Ask the model, and those that stand in for it, until one answers.

        Raises:
            Exception: What the first model raised, or the last stand-in that was asked.
        """
        coping = self.place.coping
        failed: Exception | None = None
        for stand_in in (None, *(coping.fallback or ())):
            try:
                model = self.first if stand_in is None else opened(stand_in)
                own = self.parameters if stand_in is None else fitted(self.first, model, self.parameters)
            except Unfit as problem:
                assert failed is not None  # noqa: S101  (the first model always fits)
                _log.warning("no stand-in", problem=str(problem))
                continue
            names = names_of(model, own)
            await self._may_spend(names)
            try:
                return await call(alone(model) if coping.retry else model, own, self._rules(names))
            except Exception as error:
                failed = error
                await self._count_refused(error, names)
                if not _moves_on(error, coping.retry.also if coping.retry else ()):
                    raise
                _log.warning("model failed", called=names[0], error=str(error)[:200])
        assert failed is not None  # noqa: S101
        raise failed

    async def count(self, model: BaseChatModel, own: dict[str, Any], usage: Usage) -> None:
        """Count an answer of the run; it is counted even where nobody waits for it any more."""
        budget = self.place.drive.coping.budget
        if budget is not None:
            await asyncio.shield(
                self.place.drive.at_home(self._counted(usage, cost_of(budget, usage, names_of(model, own))))
            )

    async def _counted(self, usage: Usage, cost: float) -> None:
        drive = self.place.drive
        drive.note(await drive.tools.ledger.count(drive.thread_id, usage, cost))

    async def _may_spend(self, names: tuple[str, ...]) -> None:
        drive = self.place.drive
        budget = drive.coping.budget
        if budget is None:
            return
        try:
            cost_of(budget, Usage(), names)
            await drive.at_home(drive.check(budget))
        except Exception as error:
            self.place.stop(error)
            raise

    async def _count_refused(self, error: Exception, names: tuple[str, ...]) -> None:
        """Count an answer that its client refused to read, by its words: the provider charges it all the same."""
        budget = self.place.drive.coping.budget
        if budget is None or isinstance(error, AdjournError) or status_of(error) or kind_of(error) == "passes":
            return
        usage = Usage(input=estimated(self.messages))
        await self.place.drive.at_home(self._counted(usage, cost_of(budget, usage, names)))

    def _rules(self, names: tuple[str, ...]) -> Rules:
        coping = self.place.coping
        rate = coping.rate if coping.rate is None or isinstance(coping.rate, Rate) else named(coping.rate, *names)
        return Rules(names[0], coping.retry, coping.model_timeout, coping.breaker, rate)


async def ask(
    place: Place, first: BaseChatModel, messages: Any, stop: Any, parameters: dict[str, Any], attempt: Attempt
) -> Any:
    """Ask a model for a whole answer.

    Args:
        place: Where it is asked.
        first: The model.
        messages: The conversations: a list of lists.
        stop: Where it is to stop.
        parameters: What else it is called with.
        attempt: Makes one call of a model with parameters that fit it.

    Returns:
        LangChain's result.

    Raises:
        BudgetExceeded: The run has spent its budget; no model was called.
        CircuitOpen: The last calls failed, and nothing stands in; no model was called.
        Exception: What the model's client raised in the last try.
    """
    asked = Asked(place, first, messages, parameters)
    key = _key(place, first, messages, stop, parameters)
    if key is not None and (kept := await _kept(place, key)) is not None:
        return await attempt(replayed(first, kept), parameters, 1)

    async def call(model: BaseChatModel, own: dict[str, Any], rules: Rules) -> Any:
        async def once(number: int) -> Any:
            asked.tries += 1
            return await attempt(model, own, asked.tries)

        result = await guarded(place, rules, once)
        await asked.count(model, own, usage_of(result, messages))
        return result

    result = await asked.with_someone(call)
    if key is not None:
        await _keep(place, key, result)
    return result


async def ask_streaming(
    place: Place, first: BaseChatModel, given: Any, parameters: dict[str, Any], begin: Begin
) -> AsyncGenerator[Any, None]:
    """Ask a model for an answer in pieces. It is tried again, and others stand in, until the first piece is there.

    Answers in pieces are not kept. Arguments and errors are those of `ask`; a time-out counts for each piece.
    """
    asked = Asked(place, first, given, parameters)

    async def call(model: BaseChatModel, own: dict[str, Any], rules: Rules) -> Any:
        async def once(number: int) -> tuple[AsyncIterator[Any], Any]:
            chunks = begin(model, own)
            return chunks, await anext(chunks)

        return model, own, *(await guarded(place, rules, once))

    model, own, chunks, chunk = await asked.with_someone(call)
    whole = None
    try:
        while chunk is not None:
            whole = chunk if whole is None else whole + chunk
            yield chunk
            async with asyncio.timeout(place.coping.model_timeout):
                chunk = await anext(chunks, None)
    finally:
        await asked.count(model, own, usage_of(whole, given))


def _moves_on(error: Exception, also: tuple[str, ...]) -> bool:
    return isinstance(error, CircuitOpen) or kind_of(error, also) == "passes"


def _key(place: Place, model: BaseChatModel, messages: Any, stop: Any, parameters: dict[str, Any]) -> str | None:
    cache = place.coping.cache
    if cache is None or not cache.answers or model.cache is False or len(messages) != 1:
        return None
    return question_key(model, messages[0], stop, parameters)


async def _kept(place: Place, key: str) -> Any:
    drive = place.drive
    found = (await drive.at_home(drive.tools.answers.get(drive.tenant, [key]))).get(key)
    return None if found is None else kept_answer(found)


async def _keep(place: Place, key: str, result: Any) -> None:
    drive, cache = place.drive, place.coping.cache
    value = storable_answer(result)
    if value is not None and cache is not None and cache.answers:
        await drive.at_home(drive.tools.answers.keep(drive.tenant, key, value, cache.answers))
