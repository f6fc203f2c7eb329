from collections.abc import Callable, Iterator

import pytest

from support.postgres import Copies


@pytest.fixture(scope="module")
def adaptive_database(server_of: Callable[[int | None], str], copies_of: Callable[[str], Copies]) -> Iterator[str]:
    """One database for all tests of a module, whose runs and memories have names of their own."""
    with copies_of(server_of(None)).copy() as url:
        yield url
