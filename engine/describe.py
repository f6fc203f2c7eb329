"""What there is to say about workflows without running them: where each comes from, its input, its picture.

Both import the code of a workflow, and neither needs a database.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TypeVar

from ..errors import AdjournError, ConfigurationError
from .binding import Compiled, opened
from .inputs import input_keys, is_required, type_name
from .registry import Registry, Workflow

__all__ = ["Arrow", "Description", "InputKey", "Picture", "describe", "describe_all", "picture"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class InputKey:
    """One key of a workflow's input.

    Args:
        name: The key.
        type: Its type, in words.
        required: Whether a run cannot be started without it.
    """

    name: str
    type: str
    required: bool


@dataclass(frozen=True, slots=True)
class Description:
    """A workflow, described.

    Args:
        workflow: The workflow.
        keys: The keys of its input; empty when its input is not a dictionary of known keys.
        problem: Why its code does not load, in one line; None if it does.
    """

    workflow: Workflow
    keys: tuple[InputKey, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Arrow:
    """One edge of a graph.

    Args:
        source: The id of the node where it begins.
        target: The id of the node where it ends.
        conditional: Whether it is taken only sometimes.
    """

    source: str
    target: str
    conditional: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """The shape of a workflow's graph.

    Args:
        nodes: Names by id, in the order in which the graph has them; `__start__` and `__end__` are LangGraph's.
        arrows: The edges.
        mermaid: The same as Mermaid text.
    """

    nodes: Mapping[str, str]
    arrows: tuple[Arrow, ...]
    mermaid: str


def describe_all(registry: Registry) -> list[Description]:
    """Describe every workflow of a registry, sorted by name; see `describe`."""
    return [describe(workflow) for workflow in registry.all()]


def describe(workflow: Workflow) -> Description:
    """Import the code of a workflow and say what it takes.

    Whatever that code does wrong ends up in `problem`. What it prints goes to standard error.

    Args:
        workflow: The workflow.
    """
    try:
        return Description(workflow, _with_graph(workflow, _keys))
    except AdjournError as error:
        return Description(workflow, problem=error.message)
    except (Exception, SystemExit) as error:  # noqa: BLE001  (the code is somebody else's and may do what it likes)
        return Description(workflow, problem=f"{workflow.source} cannot be loaded: {type(error).__name__}: {error}.")


def picture(workflow: Workflow) -> Picture:
    """Return the shape of a workflow's graph; nested graphs are one node each.

    What the code prints while it is imported goes to standard error.

    Args:
        workflow: The workflow.

    Raises:
        ConfigurationError: The workflow's code cannot be loaded, or its graph cannot be drawn.
    """
    try:
        return _with_graph(workflow, _picture)
    except AdjournError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"The workflow {workflow.name!r} of {workflow.source} cannot be drawn: {type(error).__name__}: {error}. "
            "Mend its code, or show the list of workflows."
        ) from error


def _with_graph(workflow: Workflow, look: Callable[[Compiled], T]) -> T:
    async def looked() -> T:
        async with opened(workflow) as graph:
            return look(graph)

    with redirect_stdout(sys.stderr):
        return asyncio.run(looked())


def _keys(graph: Compiled) -> tuple[InputKey, ...]:
    found = input_keys(graph)
    return tuple(InputKey(name, type_name(hint), is_required(graph, name)) for name, hint in found.items())


def _picture(graph: Compiled) -> Picture:
    drawn = graph.get_graph()
    return Picture(
        nodes={node.id: node.name for node in drawn.nodes.values()},
        arrows=tuple(Arrow(edge.source, edge.target, edge.conditional) for edge in drawn.edges),
        mermaid=drawn.draw_mermaid(with_styles=False).replace("\t", "    "),
    )
