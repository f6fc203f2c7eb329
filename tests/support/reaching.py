"""What an object leads to, for tests that look for what is never forgotten."""

import gc
from types import BuiltinFunctionType, FrameType, FunctionType, ModuleType
from typing import Any

__all__ = ["texts_within"]

_SHARED = (type, ModuleType, FrameType, BuiltinFunctionType)


def texts_within(root: object) -> set[str]:
    """Every text that can be reached from an object, without what belongs to the program itself."""
    found: set[str] = set()
    seen: set[int] = set()
    todo: list[Any] = [root]
    while todo:
        each = todo.pop()
        if id(each) in seen or isinstance(each, _SHARED):
            continue
        seen.add(id(each))
        if isinstance(each, str):
            found.add(each)
        elif isinstance(each, FunctionType):
            todo += each.__closure__ or ()
        else:
            todo += gc.get_referents(each)
    return found
