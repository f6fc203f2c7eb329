"""Doing something without the rights of root, whoever runs the tests."""

import os
import traceback
from collections.abc import Callable
from pathlib import Path

__all__ = ["NOBODY", "without_rights"]

NOBODY = 65534


def without_rights(act: Callable[[], None], *folders: Path) -> None:
    """Do something as a user whom rights stop: as root in a forked child that gives them up, and otherwise right here.

    Fails the test with what it failed with.

    Args:
        act: What to do; as root it changes nothing in this process.
        *folders: What that user is to own meanwhile.
    """
    if os.geteuid() != 0:
        act()
        return
    for folder in folders:
        os.chown(folder, NOBODY, NOBODY)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            act()
        except BaseException:
            os.write(writing, traceback.format_exc().encode()[-60_000:])
        finally:
            os._exit(0)  # nothing of the test's own ending may happen twice
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        failure = said.read().decode()
    os.waitpid(child, 0)
    assert not failure, failure
