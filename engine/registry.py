"""Which workflows there are, and where each comes from.

Names come from adjourn itself, from entry points in the group `adjourn.workflows`, and from `Engine.open(workflows=…)`;
a later source replaces an earlier one of the same name. A workflow's code is imported when it is first started, resumed
or drawn, never to list or show runs.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from ..errors import AdjournError, ConfigurationError, UnknownWorkflow
from ..graphs import BUILT_IN

__all__ = ["GROUP", "Graph", "Registry", "Workflow"]

GROUP = "adjourn.workflows"

Graph = StateGraph[Any, Any, Any, Any] | Pregel[Any, Any, Any, Any]


@dataclass(frozen=True)
class Workflow:
    """A named, versioned graph.

    Args:
        name: Its name.
        version: Which version of it.
        source: Where it was registered, in words that help to find the place again.
        load: Returns the graph; may import code.
        built_in: Whether it ships with adjourn.
    """

    name: str
    version: str
    source: str
    load: Callable[[], Graph]
    built_in: bool = False


class Registry:
    """The workflows that one engine knows.

    Args:
        given: Name → graph, or text `module:attribute` that names one.
    """

    def __init__(self, given: Mapping[str, Graph | str] | None = None) -> None:
        self._workflows = {**_built_in(), **_installed()}
        for name, target in (given or {}).items():
            self._workflows[name] = _given(name, target)

    def names(self) -> list[str]:
        """Return the names, sorted."""
        return sorted(self._workflows)

    def all(self) -> list[Workflow]:
        """Return the workflows, sorted by name."""
        return [self._workflows[name] for name in self.names()]

    def find(self, workflow: str | Graph) -> Workflow:
        """Return a workflow by its name, or register a graph that was handed over and has a name of its own.

        Raises:
            UnknownWorkflow: No workflow has that name; the message names those there are.
            ConfigurationError: The graph has no name of its own.
        """
        if isinstance(workflow, str):
            if workflow not in self._workflows:
                raise UnknownWorkflow(self._unknown(workflow))
            return self._workflows[workflow]
        name = getattr(workflow, "name", None)
        if not name or name == "LangGraph":
            raise ConfigurationError(
                "This graph has no name of its own: compile it with builder.compile(name='…'), "
                "or register it with Engine.open(workflows={'…': graph})."
            )
        self._workflows[name] = _given(name, workflow)
        return self._workflows[name]

    def find_for_run(self, name: str, source: str, thread_id: str) -> Workflow:
        """Return the workflow of a stored run.

        Raises:
            UnknownWorkflow: It is not registered here; the message says where the run was registered.
        """
        if name not in self._workflows:
            raise UnknownWorkflow(
                f"Run {thread_id} belongs to the workflow {name!r}, which is not registered here; it was registered by "
                f"{source}. Open the engine where that holds, or with workflows={{{name!r}: …}}.",
                thread_id=thread_id,
            )
        return self._workflows[name]

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._workflows, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return f"There is no workflow {name!r}; known: {', '.join(self.names())}.{hint}"


def _built_in() -> dict[str, Workflow]:
    from .. import __version__

    package = __package__.rpartition(".")[0]
    return {
        name: Workflow(
            name, __version__, "adjourn itself", _loader(f"{package}.graphs.{target}", "adjourn itself"), built_in=True
        )
        for name, target in BUILT_IN.items()
    }


def _installed() -> dict[str, Workflow]:
    found = {}
    for point in entry_points(group=GROUP):
        version = point.dist.version if point.dist else "1"
        source = f"the entry point {point.value}"
        found[point.name] = Workflow(point.name, version, source, _loader(point.value, source))
    return found


def _given(name: str, target: Graph | str) -> Workflow:
    if isinstance(target, str):
        source = f"workflows={{{name!r}: {target!r}}}"
        return Workflow(name, "1", source, _loader(target, source))
    _check_graph(target, name)
    return Workflow(name, "1", "a graph handed to the engine", lambda: target)


def _loader(target: str, source: str) -> Callable[[], Graph]:
    def load() -> Graph:
        module, _, attribute = target.partition(":")
        try:
            graph = getattr(import_module(module), attribute)
        except AdjournError:
            raise
        except Exception as error:
            raise ConfigurationError(
                f"The workflow of {source} cannot be loaded from {target!r}: {type(error).__name__}: {error}."
            ) from error
        return _check_graph(graph, target)

    return load


def _check_graph(graph: Any, where: str) -> Graph:
    if not isinstance(graph, StateGraph | Pregel):
        raise ConfigurationError(
            f"{where} is a {type(graph).__name__}; a workflow is a StateGraph or a compiled graph."
        )
    if isinstance(graph, Pregel) and graph.checkpointer not in (None, True, False):
        raise ConfigurationError(
            f"{where} was compiled with a checkpointer of its own, but the engine brings one. "
            "Export the graph without it: builder.compile(name='…')."
        )
    return graph
