"""Circuit breakers for models and tools, one each for every process; their states are pybreaker's."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import structlog
from pybreaker import (
    STATE_HALF_OPEN,
    STATE_OPEN,
    CircuitBreaker,
    CircuitBreakerError,
    CircuitBreakerListener,
    CircuitBreakerState,
)

from ...errors import CircuitOpen
from ...state.coping import Breaker
from .faults import kind_of

__all__ = ["Breakers"]

_log = structlog.get_logger("adjourn")


class Breakers:
    """The breakers of an engine, by what is called and the rules for it."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, Breaker, tuple[str, ...]], CircuitBreaker] = {}
        self._tried: set[CircuitBreaker] = set()

    @contextmanager
    def around(self, name: str, rules: Breaker | None, also: tuple[str, ...] = ()) -> Iterator[None]:
        """Stand around one call: what may pass counts as a failure, everything else shows that the other side is there.

        Args:
            name: What is called.
            rules: When it opens; None for no breaker.
            also: Names of more exceptions that may pass.

        Raises:
            CircuitOpen: The last calls failed; nothing was called. Whatever the call raises passes through.
        """
        if rules is None:
            yield
            return
        breaker = self._breaker(name, rules, also)
        if breaker in self._tried:
            raise _refused(name, rules)
        entered = probing = False
        try:
            with breaker.calling():
                entered = True
                probing = breaker.current_state == STATE_HALF_OPEN
                if probing:
                    self._tried.add(breaker)  # pybreaker would let all through until this one has ended
                yield
        except CircuitBreakerError as error:
            if entered:
                raise
            raise _refused(name, rules) from error
        except CancelledError:
            if probing:
                breaker.open()  # pybreaker took it for a success; nobody has answered yet
            raise
        finally:
            if entered:
                self._tried.discard(breaker)

    def _breaker(self, name: str, rules: Breaker, also: tuple[str, ...]) -> CircuitBreaker:
        key = (name, rules, also)
        if key not in self._known:
            self._known[key] = CircuitBreaker(
                fail_max=rules.failures,
                reset_timeout=rules.seconds,
                exclude=[partial(_shows_life, also)],
                listeners=[_Told()],
                name=name,
                throw_new_error_on_trip=False,
            )
        return self._known[key]


class _Told(CircuitBreakerListener):
    """Writes to the log when a breaker opens or closes."""

    def state_change(
        self, cb: CircuitBreaker, old_state: CircuitBreakerState | None, new_state: CircuitBreakerState
    ) -> None:
        told = _log.warning if new_state.name == STATE_OPEN else _log.info
        told(f"breaker {new_state.name}", called=cb.name)


def _refused(name: str, rules: Breaker) -> CircuitOpen:
    return CircuitOpen(
        f"{name} is not called: its last {rules.failures} calls failed. It is tried again within {rules.seconds:g} s; see "
        "to it, or give the workflow a fallback."
    )


def _shows_life(also: tuple[str, ...], error: BaseException) -> bool:
    return kind_of(error, also) == "final"
