"""How a workflow copes with faults: retries, time-outs, breakers, fallbacks, budgets, loops, caches and rates, as data.

    Coping(
        retry=Retry(attempts=4),
        fallback=("openai:gpt-5-nano",),
        budget=Budget(tokens=200_000, exceeded="ask"),
        nodes={"fetch": Coping(timeout=20, cache=Cache(results=600))},
    )

It is given to the engine by the name of a workflow; no node knows of it. A run keeps it. Times are seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, TypeAlias, TypeVar

from pydantic import ConfigDict, PlainValidator, TypeAdapter, ValidationError

from ..errors import ConfigurationError
from .policies import ReviewPolicy, policy_from, policy_json

__all__ = [
    "Breaker",
    "Budget",
    "Cache",
    "Coping",
    "Loops",
    "Price",
    "Rate",
    "Retry",
    "ToolRules",
    "coping_at",
    "coping_from",
    "coping_json",
    "named",
]

EVERY_OTHER: Final = "*"
_CLOSED: Final = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})

Found = TypeVar("Found")


def _policy(data: Any) -> ReviewPolicy | None:
    return None if data is None else policy_from(data, "Budget.policy")


if TYPE_CHECKING:
    Policy: TypeAlias = ReviewPolicy | None
else:  # pydantic would read a policy's fields by itself; policies have a reader of their own
    Policy = Annotated[Any, PlainValidator(_policy)]


@dataclass(frozen=True, slots=True)
class Retry:
    """How often what may pass is tried, and how long to wait between.

    Tried again are answers 408, 409, 425, 429 and 5xx, connections that fail and time-outs; never other answers such as
    400 and 401, never invalid values. The wait before try n + 1 is drawn evenly from 0 to `wait * factor ** (n - 1)`, at
    most `longest` ("full jitter": Marc Brooker, AWS Architecture Blog, 2015). Where the server says how long to wait
    (`Retry-After`), it is at least that; if that is more than `longest`, nothing is tried again.

    Args:
        attempts: Tries in all, the first included; 1 for no retry.
        wait: Longest wait before the second try.
        factor: What the wait grows by.
        longest: The longest wait.
        also: Names of more exceptions that may pass, such as `"Flaky"` or `"mylib.errors.Flaky"`.
    """

    attempts: int = 4
    wait: float = 0.5
    factor: float = 2.0
    longest: float = 30.0
    also: tuple[str, ...] = ()
    __pydantic_config__: ClassVar[ConfigDict] = _CLOSED

    def __post_init__(self) -> None:
        _whole("Retry.attempts", self.attempts, 1, 100)
        _number("Retry.wait", self.wait, 0)
        _number("Retry.factor", self.factor, 1)
        _number("Retry.longest", self.longest, 0)


@dataclass(frozen=True, slots=True)
class Breaker:
    """When calls of a model or a tool are refused at once, because the last ones all failed with what may pass.

    After `seconds` one call is let through: its success closes the breaker, its failure opens it again. Every process
    has breakers of its own.

    Args:
        failures: Failures in a row that open it.
        seconds: How long it stays open.
    """

    failures: int = 5
    seconds: float = 30.0
    __pydantic_config__: ClassVar[ConfigDict] = _CLOSED

    def __post_init__(self) -> None:
        _whole("Breaker.failures", self.failures, 1, 1_000_000)
        _number("Breaker.seconds", self.seconds, 0)


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs, in any currency, for a million tokens.

    Args:
        input: Of the prompt.
        output: Of the answer.
    """

    input: float
    output: float
    __pydantic_config__: ClassVar[ConfigDict] = _CLOSED

    def __post_init__(self) -> None:
        _number("Price.input", self.input, 0)
        _number("Price.output", self.output, 0)


@dataclass(frozen=True, slots=True)
class Budget:
    """What one run may spend on models, in all its drives and processes.

    A call begins only while what was spent is below the limits; so the last one may go beyond them, and so may calls that
    are under way at the same moment.

    Args:
        tokens: Tokens, of prompts and answers.
        cost: Money, in the currency of the prices.
        prices: What each model costs, by `provider:model` or model, `"*"` for all others. adjourn knows no prices of its
            own. With `cost`, a call of a model that has no price is refused.
        exceeded: `fail` the run with BudgetExceeded, or `ask` a person: approving adds the same limits once more, an edit
            adds what it says, and a rejection fails the run.
        policy: Who may answer, where `ask` is chosen; otherwise as for the workflow's other questions.
    """

    tokens: int | None = None
    cost: float | None = None
    prices: Mapping[str, Price] = field(default_factory=dict)
    exceeded: Literal["fail", "ask"] = "fail"
    policy: Policy = None
    __pydantic_config__: ClassVar[ConfigDict] = _CLOSED

    def __post_init__(self) -> None:
        if self.tokens is None and self.cost is None:
            raise ConfigurationError("Budget: give tokens, cost, or both.")
        if self.tokens is not None:
            _whole("Budget.tokens", self.tokens, 1, 10**15)
        if self.cost is not None:
            _number("Budget.cost", self.cost, 0)
            if not self.prices:
                raise ConfigurationError("Budget: cost needs prices, such as {'openai:gpt-5-mini': Price(0.25, 2)}.")
        _each("Budget.prices", self.prices, Price)
        _one_of("Budget.exceeded", self.exceeded, ("fail", "ask"))


@dataclass(frozen=True, slots=True)
class Loops:
    """How often a tool may be called with the same arguments by one agent before the step is ended.

    Args:
        calls: The most calls.
        ignore: Tools that may be called as often as they are, because they wait for something.
    """

    calls: int = 3
    ignore: tuple[str, ...] = ()
    __pydantic_config__: ClassVar[ConfigDict] = _CLOSED

    def __post_init__(self) -> None:
        _whole("Loops.calls", self.calls, 1, 1_000_000)


@dataclass(frozen=True, slots=True)
class Cache:
    """How long answers of models, and results of nodes, are kept for the same question; None for not at all.

    It lies in the database, so all processes share it; tenants do not.

    Args:
        answers: Seconds for which a model's answer to the same prompt with the same parameters is given again.
        results: Seconds for which a node with the same input is not run again. Only for a node that is named.
    """

    answers: float | None = None
    results: float | None = None
    __pydantic_config__: ClassVar[ConfigDict] = _CLOSED

    def __post_init__(self) -> None:
        if self.answers is not None:
            _number("Cache.answers", self.answers, 0)
        if self.results is not None:
            _number("Cache.results", self.results, 1)


@dataclass(frozen=True, slots=True)
class Rate:
    """How many calls may begin, counted over all processes that use the database; more wait for their turn.

    Calls are spaced evenly, after a first `burst` (the generic cell rate algorithm): in any `seconds` at most
    `calls + burst - 1` begin.

    Args:
        calls: How many.
        seconds: In what time.
        burst: How many may begin at once after a pause.
    """

    calls: int
    seconds: float = 60.0
    burst: int = 1
    __pydantic_config__: ClassVar[ConfigDict] = _CLOSED

    def __post_init__(self) -> None:
        _whole("Rate.calls", self.calls, 1, 1_000_000_000)
        _number("Rate.seconds", self.seconds, 0.001)
        _whole("Rate.burst", self.burst, 1, 1_000_000)


@dataclass(frozen=True, slots=True)
class ToolRules:
    """How calls of a tool are dealt with.

    Args:
        retry: Tries of a call; only for tools that may be called twice. None: once.
        timeout: Seconds for one try. A tool without async code runs in a thread, which cannot be stopped: its call is
            refused where the tool is named, and not timed where the rules are for all others.
        breaker: When calls are refused at once.
        rate: How many calls may begin.
    """

    retry: Retry | None = None
    timeout: float | None = None
    breaker: Breaker | None = None
    rate: Rate | None = None
    __pydantic_config__: ClassVar[ConfigDict] = _CLOSED

    def __post_init__(self) -> None:
        if self.timeout is not None:
            _number("ToolRules.timeout", self.timeout, 0.001)


@dataclass(frozen=True, slots=True)
class Coping:
    """How the runs of a workflow cope with faults. What is left out is not done.

    Args:
        retry: Of calls of models, and of nodes that fail with what may pass and have no retry policy of their own. What
            was tried again as a call is not tried again as a node.
        timeout: Seconds for one try of a node; for nodes with async code alone (LangGraph cannot stop others).
        model_timeout: Seconds for one try of a call of a model; of a stream, for each piece.
        breaker: For each model.
        fallback: Models that are asked, in this order, when the one before is down or its breaker is open: names such as
            `openai:gpt-5-nano`, or LangChain models.
        budget: What a run may spend. Not for a node.
        loops: How often a tool may be called with the same arguments.
        cache: What is kept.
        rate: Calls that may begin for each model; or a mapping by `provider:model` or model, `"*"` for all others.
        allow_tools: The only tools that may be called; None for all.
        tools: Rules by the name of a tool, `"*"` for all others.
        nodes: Other rules for nodes by name; what is left out there is as here. Nodes of a subgraph have the rules of the
            node that they stand in, and may be named by path, such as `"agent/tools"`.
    """

    retry: Retry | None = None
    timeout: float | None = None
    model_timeout: float | None = None
    breaker: Breaker | None = None
    fallback: tuple[Any, ...] | None = None
    budget: Budget | None = None
    loops: Loops | None = None
    cache: Cache | None = None
    rate: Rate | Mapping[str, Rate] | None = None
    allow_tools: tuple[str, ...] | None = None
    tools: Mapping[str, ToolRules] | None = None
    nodes: Mapping[str, Coping] = field(default_factory=dict)
    __pydantic_config__: ClassVar[ConfigDict] = _CLOSED

    def __post_init__(self) -> None:
        for name, value in (("timeout", self.timeout), ("model_timeout", self.model_timeout)):
            if value is not None:
                _number(f"Coping.{name}", value, 0.001)
        for name in ("fallback", "allow_tools"):
            if isinstance(getattr(self, name), str):
                raise ConfigurationError(f"Coping: {name} is a tuple, such as ({getattr(self, name)!r},).")
        if isinstance(self.rate, Mapping):
            _each("Coping.rate", self.rate, Rate)
        _each("Coping.tools", self.tools or _NOTHING, ToolRules)
        _each("Coping.nodes", self.nodes, Coping)
        for name, node in self.nodes.items():
            if node.budget is not None or node.nodes:
                raise ConfigurationError(f"Coping: nodes[{name!r}] may hold neither a budget nor nodes of its own.")


def coping_at(coping: Coping, path: str) -> Coping:
    """Return the rules for a node: its own, then those of the nodes that it stands in, then those of the workflow.

    Args:
        coping: Those of the workflow.
        path: The node's name, behind those of the nodes that it stands in: `"agent/tools"`.
    """
    found = replace(coping, nodes={})
    parts = path.split("/")
    for length in range(1, len(parts) + 1):
        own = coping.nodes.get("/".join(parts[:length]))
        if own is not None:
            found = replace(found, **{name: value for name, value in _given(own).items() if name != "nodes"})
    return found


def named(mapping: Mapping[str, Found], *names: str) -> Found | None:
    """Return the entry for the first of some names, or else that for all others.

    Args:
        mapping: Entries by name, `"*"` for all others.
        *names: The names.
    """
    return next((mapping[name] for name in (*names, EVERY_OTHER) if name in mapping), None)


def coping_from(data: Any, where: str) -> Coping:
    """Read rules from JSON: an object with the names of `Coping`, and so on below.

    Args:
        data: The object.
        where: What it is called in messages.

    Raises:
        ConfigurationError: It does not fit; the message names the place.
    """
    try:
        return _READER.validate_python(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(f"{where}: {place or 'it'}: {first['msg']}.") from None


def coping_json(coping: Coping) -> dict[str, Any]:
    """Return rules as JSON that `coping_from` reads: what differs from its default.

    Fallbacks that are models, and not names of models, are left out: nothing of them can be stored.

    Args:
        coping: The rules.
    """
    found: dict[str, Any] = _json(coping)
    return found


def _json(value: Any) -> Any:
    if isinstance(value, ReviewPolicy):
        return policy_json(value)
    if is_dataclass(value):
        given = {each.name: getattr(value, each.name) for each in fields(value)}
        if isinstance(value, Coping) and value.fallback is not None:
            given["fallback"] = tuple(each for each in value.fallback if isinstance(each, str)) or None
        return {name: _json(part) for name, part in given.items() if part is not None and part != {}}
    if isinstance(value, Mapping):
        return {name: _json(part) for name, part in value.items()}
    return [_json(part) for part in value] if isinstance(value, tuple | list) else value


def _given(coping: Coping) -> dict[str, Any]:
    return {each.name: value for each in fields(coping) if (value := getattr(coping, each.name)) is not None}


def _whole(name: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ConfigurationError(f"{name} is a whole number from {least} to {most}, not {value!r}.")


def _number(name: str, value: Any, least: float) -> None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not fits or value < least:
        raise ConfigurationError(f"{name} is a number, at least {least:g}, not {value!r}.")


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigurationError(f"{name} is one of {', '.join(allowed)}, not {value!r}.")


def _each(name: str, given: Any, kind: Callable[..., Any]) -> None:
    if not isinstance(given, Mapping) or not all(isinstance(each, kind) for each in given.values()):  # type: ignore[arg-type]
        raise ConfigurationError(f"{name} is a dictionary from names to {kind.__name__}(…), not {given!r}.")


_READER: Final = TypeAdapter(Coping)
