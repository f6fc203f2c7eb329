"""What stands around one call, of a model or a tool: turns, breakers, time-outs, and trying again."""

from __future__ import annotations

import asyncio
from asyncio import sleep
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from ...state.coping import Breaker, Rate, Retry
from .backoff import next_wait
from .faults import mark_exhausted, retry_after
from .place import Place

__all__ = ["Rules", "guarded"]

Result = TypeVar("Result")
_log = structlog.get_logger("adjourn")


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules for one kind of call.

    Args:
        name: What is called, such as `openai:gpt-5-mini` or `tool search`; breakers and turns go by it.
        retry: Tries.
        timeout: Seconds for one.
        breaker: When it is refused.
        rate: How many may begin.
    """

    name: str
    retry: Retry | None = None
    timeout: float | None = None
    breaker: Breaker | None = None
    rate: Rate | None = None


async def guarded(place: Place, rules: Rules, attempt: Callable[[int], Awaitable[Result]]) -> Result:
    """Make a call, again where its failure may pass.

    Args:
        place: Where it is made.
        rules: The rules for it.
        attempt: Makes it; gets the number of the try, from 1.

    Raises:
        CircuitOpen: Its last calls failed; this one was not made.
        TimeoutError: It did not answer in time, in the last of its tries.
        Exception: Whatever the last try raised.
    """
    number = 1
    while True:
        try:
            return await _once(place, rules, attempt, number)
        except Exception as error:
            now, tools = datetime.now(UTC), place.drive.tools
            wait = next_wait(rules.retry, number, error, draw=tools.draw(), now=now)
            if rules.rate is not None and (asked := retry_after(error, now)):
                await place.drive.at_home(tools.turns.delay(rules.name, rules.rate, asked))
            if wait is None:
                if rules.retry is not None:
                    mark_exhausted(error)
                raise
            _log.warning("call failed and is tried again", called=rules.name, error=str(error)[:200], wait=wait)
        await sleep(wait)
        number += 1


async def _once(place: Place, rules: Rules, attempt: Callable[[int], Awaitable[Result]], number: int) -> Result:
    drive = place.drive
    also = rules.retry.also if rules.retry is not None else ()
    with drive.tools.breakers.around(rules.name, rules.breaker, also):
        if rules.rate is not None:
            await sleep(await drive.at_home(drive.tools.turns.take(rules.name, rules.rate)))
        if rules.timeout is None:
            return await attempt(number)
        try:
            async with asyncio.timeout(rules.timeout) as timer:
                return await attempt(number)
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise TimeoutError(f"{rules.name} did not answer within {rules.timeout:g} s.") from error
