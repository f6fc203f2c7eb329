"""An event loop whose time stands still while anything can be done, and jumps to the next timer when nothing can."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Jumping(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout > 0:
            self.now += timeout
            timeout = 0
        return super().select(timeout)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Jumping()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def in_virtual_time(main: Coroutine[Any, Any, Result]) -> tuple[Result, float]:
    """Run a coroutine to its end; return its result, and how many seconds it took on the loop's clock.

    No thread may be waited for, and nothing outside: time jumps over that.
    """
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(main), runner.get_loop().time()
