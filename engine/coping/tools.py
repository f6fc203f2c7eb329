"""Calls of tools: every call that LangChain's tools get inside a node goes through here, as `models` does it for models.

Tools that agents call, tools of a `ToolNode`, and tools that nodes call themselves are all `BaseTool`, and run by its two
methods `run` and `arun`. Not seen are functions that are no tools, and tools that a provider runs on its side.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from jsonschema import Draft202012Validator
from langchain_core.tools import BaseTool, StructuredTool, Tool
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from ...errors import ConfigurationError, LoopDetected, ToolRefused
from ...state.coping import ToolRules, named
from .bridge import from_thread
from .calls import Rules, guarded
from .loops import call_of, graph_around, namespace_of
from .place import Place, place_here, refuse_blocking

__all__ = ["guard_tools"]

_installed: list[bool] = []


def guard_tools() -> None:
    """Wrap the methods of LangChain's tools; a second time does nothing."""
    if _installed:
        return
    _installed.append(True)
    tool: Any = BaseTool
    tool.arun = _arun(BaseTool.arun)
    tool.run = _run(BaseTool.run)


def _arun(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    async def arun(self: BaseTool, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        place = place_here()
        if place is None:
            return await original(self, tool_input, *args, **kwargs)

        async def attempt(number: int) -> Any:
            return await original(self, tool_input, *args, **_for_try(kwargs, number))

        return await _use(place, Called(self, tool_input, kwargs), attempt, timed=_is_async(self))

    return arun


def _run(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def run(self: BaseTool, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        place = place_here()
        if place is None:
            return original(self, tool_input, *args, **kwargs)
        refuse_blocking(place, f"the tool {self.name!r}")

        def work(number: int) -> Any:
            return original(self, tool_input, *args, **_for_try(kwargs, number))

        def use(perform: Callable[..., Any]) -> Any:
            return _use(place, Called(self, tool_input, kwargs), perform, timed=False)

        return from_thread(place.drive, use, work)

    return run


@dataclass(frozen=True, slots=True)
class Called:
    """A call of a tool.

    Args:
        tool: The tool.
        given: What it is called with.
        options: What LangChain says beside that: `config`, `tool_call_id` and so on.
    """

    tool: BaseTool
    given: Any
    options: Mapping[str, Any]

    @property
    def arguments(self) -> Any:
        """What the model, or the node, chose; not what LangGraph put in."""
        given = self.given
        return self.tool._filter_injected_args(given) if isinstance(given, dict) else given


async def _use(place: Place, called: Called, attempt: Callable[[int], Awaitable[Any]], *, timed: bool) -> Any:
    """Call a tool under the rules for it.

    Raises:
        ToolRefused: It is not allowed.
        LoopDetected: It was called with these arguments too often.
        ConfigurationError: Its rules give it a time-out that it cannot have.
        ValidationError: The arguments do not fit its JSON Schema; agents show that to the model.
    """
    tool, arguments = called.tool, called.arguments
    _check_allowed(place, tool.name)
    _check_loop(place, called, arguments)
    _check_arguments(tool, arguments)
    own = named(place.coping.tools or {}, tool.name) or ToolRules()
    _check_timed(place, tool.name, timed=timed)
    rules = Rules(f"tool {tool.name}", own.retry, own.timeout if timed else None, own.breaker, own.rate)
    return await guarded(place, rules, attempt)


def _check_allowed(place: Place, tool: str) -> None:
    allowed = place.coping.allow_tools
    if allowed is not None and tool not in allowed:
        raise place.stop(
            ToolRefused(
                f"The tool {tool!r} may not be called in the node {place.node!r}; allowed: {', '.join(allowed) or 'none'}. "
                "Take it from the agent, or add it to allow_tools.",
                thread_id=place.drive.thread_id,
            )
        )


def _check_timed(place: Place, tool: str, *, timed: bool) -> None:
    own = (place.coping.tools or {}).get(tool)
    if own is not None and own.timeout is not None and not timed:
        raise place.stop(
            ConfigurationError(
                f"The tool {tool!r} has a time-out, but runs in a thread here, which cannot be stopped. Make the tool async "
                "and call it with `await ….ainvoke(…)`, or give what it calls a time-out of its own; for all others "
                '("*") a time-out leaves such tools out.'
            )
        )


def _check_loop(place: Place, called: Called, arguments: Any) -> None:
    loops, tool = place.coping.loops, called.tool.name
    if loops is None or tool in loops.ignore:
        return
    call, ident = call_of(tool, arguments), called.options.get("tool_call_id")
    here = namespace_of(called.options.get("config")) or place.namespace
    # Calls of an agent have ids, and it makes each in a task of its own: they are counted over the whole drive. Calls that
    # the node makes itself, or an agent that it calls, are made again when the node is: they are counted for one try.
    of_agent = ident is not None and here == place.namespace
    counted = place.drive.calls if of_agent else place.calls
    ids = counted.setdefault((graph_around(here), call), set())
    ids.add(ident or str(len(ids)))
    if max(len(ids), place.asked[call] if of_agent else 0) > loops.calls:
        raise place.stop(
            LoopDetected(
                f"The tool {tool!r} was called with the same arguments more than {loops.calls} times; the step was ended. "
                "Look at the run's messages, change the prompt or the tool, and call retry() or start again.",
                thread_id=place.drive.thread_id,
            )
        )


def _check_arguments(tool: BaseTool, arguments: Any) -> None:
    """Hold arguments against a JSON Schema; LangChain does so only for schemas that are Pydantic models."""
    schema = tool.args_schema
    if not isinstance(schema, dict) or not isinstance(arguments, dict):
        return
    problems: list[InitErrorDetails] = [
        {
            "type": PydanticCustomError("json_schema", "{problem}", {"problem": error.message}),
            "loc": tuple(error.absolute_path),
            "input": error.instance,
        }
        for error in Draft202012Validator(schema).iter_errors(arguments)
    ]
    if problems:
        raise ValidationError.from_exception_data(tool.name, problems)


def _is_async(tool: BaseTool) -> bool:
    if isinstance(tool, StructuredTool | Tool):
        return tool.coroutine is not None
    return type(tool)._arun is not BaseTool._arun


def _for_try(kwargs: dict[str, Any], number: int) -> dict[str, Any]:
    # one id for one run in traces: a second try is a run of its own
    return kwargs if number == 1 or "run_id" not in kwargs else {**kwargs, "run_id": None}
