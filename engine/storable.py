"""Which types of a workflow may come back from its checkpoints.

Strict reading builds only types on a list. The list holds what the schemas of a graph and its subgraphs name; what the
functions of its nodes and tasks take and return, by their annotations; and the data classes, models and enumerations
of its own code that those functions refer to, because states such as `dict` and `Any` name nothing.
"""

from __future__ import annotations

import dataclasses
import enum
import sys
import typing
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any

from langgraph.pregel import Pregel
from pydantic import BaseModel

from .internals import allow_list, inner_runnables, task_function, values_used_by
from .project_code import ALIASES

__all__ = ["storable_types"]


def storable_types(graph: Pregel[Any, Any, Any, Any]) -> set[tuple[str, ...]]:
    """Return module and name of the types that checkpoints of a graph may build, for the saver's allow-list.

    A class that only un-annotated code of other packages makes is not found; it comes back as plain data.
    """
    walk = _Walk()
    walk.visit(graph)
    found = allow_list(walk.schemas, walk.channels)
    return found | {(alias, name, *rest) for module, name, *rest in found for alias in _aliases(module)}


class _Walk:
    """Goes through a graph: nodes, subgraphs, tasks, and the functions of the same project that they call."""

    def __init__(self) -> None:
        self.schemas: list[Any] = []
        self.channels: dict[str, Any] = {}
        self._seen: set[int] = set()
        self._alive: list[Any] = []

    def visit(self, value: Any) -> None:
        """Collect what one value leads to."""
        if id(value) in self._seen:
            return
        self._seen.add(id(value))
        self._alive.append(value)  # an id is only good while its object lives
        if isinstance(value, Pregel):
            self._graph(value)
        elif isinstance(value, FunctionType | MethodType | partial):
            self._function(value)
        elif (function := task_function(value)) is not None:
            self.visit(function)
        else:
            for inner in inner_runnables(value):
                self.visit(inner)

    def _graph(self, graph: Pregel[Any, Any, Any, Any]) -> None:
        for number, channel in enumerate(graph.channels.values()):
            self.channels[f"{id(graph)}:{number}"] = channel
        builder = getattr(graph, "builder", None)
        if builder is not None:
            named = (builder.state_schema, builder.input_schema, builder.output_schema, builder.context_schema)
            self.schemas += [schema for schema in (*named, *builder.schemas) if schema is not None]
            for branches in builder.branches.values():
                for branch in branches.values():
                    self.visit(branch.path)
        for node in graph.nodes.values():
            self.visit(node.bound)
        for _, inner in graph.get_subgraphs():
            self.visit(inner)

    def _function(self, function: Any) -> None:
        while isinstance(function, partial):
            function = function.func
        function = getattr(function, "__func__", function)
        if not isinstance(function, FunctionType):
            self.visit(function)
            return
        self.schemas += _annotations(function)
        for value in values_used_by(function):
            if isinstance(value, type):
                if _is_data(value) and _same_project(value.__module__, function.__module__):
                    self.schemas.append(value)
            elif not isinstance(value, FunctionType) or _same_project(value.__module__, function.__module__):
                self.visit(value)


def _annotations(function: FunctionType) -> Iterable[Any]:
    try:
        return list(typing.get_type_hints(function, include_extras=True).values())
    except Exception:  # noqa: BLE001  (annotations of user code may name what is not there)
        return []


def _is_data(kind: type) -> bool:
    return dataclasses.is_dataclass(kind) or issubclass(kind, BaseModel | enum.Enum)


def _same_project(module: str | None, other: str | None) -> bool:
    """Whether two modules belong together: the same top package, or both outside the installed packages."""
    if not module or not other:
        return False
    if module.partition(".")[0] == other.partition(".")[0]:
        return True
    return not _is_installed(module) and not _is_installed(other)


def _is_installed(module: str) -> bool:
    if module.partition(".")[0] in sys.stdlib_module_names and module != "__main__":
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and not {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts)


def _aliases(module: str) -> list[str]:
    """Return the other names under which the code of a project is known."""
    loaded = sys.modules.get(module)
    return [name for name in ALIASES if name != module and loaded is not None and sys.modules.get(name) is loaded]
