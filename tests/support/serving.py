"""What tests with workers share."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from adjourn.engine.worker import Worker

# runs a worker in this process for the length of a block
Serving = Callable[..., AbstractAsyncContextManager[Worker]]
