"""Which workflows there are, and where each comes from.

Names come from adjourn itself, from entry points in the group `adjourn.workflows`, from the `langgraph.json` of the
project's folder, and from `Engine.open(workflows=…)`; a later source replaces an earlier one of the same name. A
workflow's code is imported when it is first started, resumed or drawn, never to list or show runs.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path
from typing import Any, TypeAlias

from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from ..errors import AdjournError, ConfigurationError, UnknownWorkflow
from ..graphs import BUILT_IN
from .factories import Factory
from .langgraph_json import GraphEntry, Project, read_project
from .project_code import load_target

__all__ = ["GROUP", "Graph", "Registry", "Target", "Workflow", "check_target"]

GROUP = "adjourn.workflows"
_PACKAGE = __package__.rpartition(".")[0]

Graph: TypeAlias = StateGraph[Any, Any, Any, Any] | Pregel[Any, Any, Any, Any]
Target: TypeAlias = Graph | Factory


@dataclass(frozen=True)
class Workflow:
    """A named, versioned graph.

    Args:
        name: Its name.
        version: Which version of it.
        source: Where it was registered, in words that help to find the place again.
        load: Returns the graph, or the function that makes it; may import code.
        at_hand: The same, where no code need be imported.
        built_in: Whether it ships with adjourn.
        description: What it does, where its registration says so.
    """

    name: str
    version: str
    source: str
    load: Callable[[], Target]
    at_hand: Target | None = None
    built_in: bool = False
    description: str | None = None


class Registry:
    """The workflows that one engine knows.

    Args:
        given: Name → graph, function that makes one, or text `module:attribute` that names either.
        folder: A folder whose `langgraph.json` is read, if it has one; its code is not imported.

    Raises:
        ConfigurationError: The `langgraph.json` does not say what it should.
    """

    def __init__(self, given: Mapping[str, Target | str] | None = None, folder: Path | None = None) -> None:
        self._workflows = {**_built_in(), **_installed()}
        project = read_project(folder) if folder is not None else None
        if project is not None:
            self._workflows |= _of_project(project)
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
        known = self._workflows.get(name)
        if known is None or known.at_hand is not workflow:
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

    return {
        name: Workflow(
            name, __version__, "adjourn itself", _loader(f"{_PACKAGE}.graphs.{target}", "adjourn itself"), built_in=True
        )
        for name, target in BUILT_IN.items()
    }


def _installed() -> dict[str, Workflow]:
    found = {}
    for point in _entry_points(tuple(sys.path)):
        version = point.dist.version if point.dist else "1"
        source = f"the entry point {point.value}"
        found[point.name] = Workflow(point.name, version, source, _loader(point.value, source))
    return found


# To read what every distribution declares takes longer than the rest of opening an engine; it changes with the path only.
@lru_cache(maxsize=1)
def _entry_points(path: tuple[str, ...]) -> EntryPoints:
    return entry_points(group=GROUP)


def _of_project(project: Project) -> dict[str, Workflow]:
    return {name: _entry(project, entry) for name, entry in project.graphs.items() if not _is_built_in(entry)}


def _entry(project: Project, entry: GraphEntry) -> Workflow:
    source = f"{project.file}: {entry.target}"

    def load() -> Target:
        return check_target(load_target(project, entry), source)

    return Workflow(entry.name, "1", source, load, description=entry.description)


def _is_built_in(entry: GraphEntry) -> bool:
    # adjourn's own langgraph.json names the built-in workflows for LangGraph's server; here they are known already
    return entry.name in BUILT_IN and entry.place.startswith(f"{_PACKAGE}.graphs.")


def _given(name: str, target: Target | str) -> Workflow:
    if isinstance(target, str):
        source = f"workflows={{{name!r}: {target!r}}}"
        return Workflow(name, "1", source, _loader(target, source))
    check_target(target, name)
    return Workflow(name, "1", "a graph handed to the engine", lambda: target, at_hand=target)


def _loader(target: str, source: str) -> Callable[[], Target]:
    def load() -> Target:
        module, _, attribute = target.partition(":")
        try:
            graph = getattr(import_module(module), attribute)
        except AdjournError:
            raise
        except (Exception, SystemExit) as error:
            raise ConfigurationError(
                f"The workflow of {source} cannot be loaded from {target!r}: {type(error).__name__}: {error}."
            ) from error
        return check_target(graph, target)

    return load


def check_target(target: Any, where: str, *, factory: bool = True) -> Target:
    """Return what was registered, if it can be a workflow.

    Args:
        target: What was found.
        where: What it is called in messages.
        factory: Whether a function that makes a graph will do.

    Raises:
        ConfigurationError: It is no graph, or a graph that was compiled with a saver.
    """
    if isinstance(target, Pregel) and target.checkpointer not in (None, True, False):
        raise ConfigurationError(
            f"{where} was compiled with a checkpointer of its own, but the engine brings one. "
            "Export the graph without it: builder.compile(name='…')."
        )
    if isinstance(target, StateGraph | Pregel) or (factory and callable(target)):
        found: Target = target
        return found
    raise ConfigurationError(
        f"{where} is a {type(target).__name__}; a workflow is a StateGraph, a compiled graph, "
        "or a function that returns one."
    )
