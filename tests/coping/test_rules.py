"""The rules of coping, as tables and properties: no database, no clock, no network."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any, ClassVar, Final

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.errors import NodeTimeoutError
from pydantic import TypeAdapter, ValidationError

from adjourn import Breaker, Budget, Cache, Coping, Loops, Price, Rate, Retry, ReviewPolicy, ToolRules
from adjourn.engine.coping.backoff import full_jitter, next_wait
from adjourn.engine.coping.book import CopingBook
from adjourn.engine.coping.breakers import Breakers
from adjourn.engine.coping.faults import exhausted, kind_of, mark_exhausted, retry_after, status_of
from adjourn.engine.coping.loops import call_of, calls_in, graph_around
from adjourn.engine.coping.nodes import _Patience
from adjourn.engine.coping.spending import Granted, Spent, Usage, cost_of, excess
from adjourn.errors import CircuitOpen, ConfigurationError
from adjourn.settings import load_settings
from adjourn.state.coping import coping_at, coping_from, coping_json

NOW = datetime(2026, 1, 1, tzinfo=UTC)
REQUEST = httpx.Request("POST", "http://x")


def answered(status: int, code: str | None = None, **headers: str) -> Exception:
    response = httpx.Response(status, headers=headers, request=REQUEST)
    return openai.APIStatusError("no", response=response, body={"code": code})


def invalid() -> ValidationError:
    try:
        TypeAdapter(int).validate_python("x")
    except ValidationError as error:
        return error
    raise AssertionError


class BotocoreLike(Exception):
    response: ClassVar[dict[str, Any]] = {"ResponseMetadata": {"HTTPStatusCode": 503}}


class GoogleLike(Exception):
    code = 429


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        *((answered(status), "passes") for status in (408, 409, 425, 429, 500, 502, 503, 504, 529)),
        *((answered(status), "final") for status in (400, 401, 402, 403, 404, 413, 422, 426)),
        (answered(429, "insufficient_quota"), "final"),
        (openai.APIConnectionError(request=REQUEST), "passes"),
        (openai.APITimeoutError(request=REQUEST), "passes"),
        (httpx.HTTPStatusError("no", request=REQUEST, response=httpx.Response(503)), "passes"),
        (httpx.HTTPStatusError("no", request=REQUEST, response=httpx.Response(400)), "final"),
        (httpx.ReadTimeout("slow"), "passes"),
        (httpx.RemoteProtocolError("cut"), "passes"),
        (ConnectionResetError("gone"), "passes"),
        (TimeoutError("slow"), "passes"),
        (NodeTimeoutError("n", 1.0, kind="run", idle_timeout=None, run_timeout=1.0), "passes"),
        (BotocoreLike(), "passes"),
        (GoogleLike(), "passes"),
        (ExceptionGroup("two", [TimeoutError(), ConnectionError()]), "passes"),
        (ExceptionGroup("two", [TimeoutError(), ValueError()]), "final"),
        (invalid(), "final"),
        (ValueError("no"), "final"),
        (FileNotFoundError("no"), "final"),
        (CircuitOpen("open"), "final"),
        (asyncio.CancelledError(), "final"),
        (KeyboardInterrupt(), "final"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{type(value).__name__}-{status_of(value)}",
)
def test_what_kind_of_fault_an_error_is(error: BaseException, kind: str) -> None:
    assert kind_of(error) == kind


def test_more_exceptions_may_be_named() -> None:
    assert kind_of(BotocoreLike(), ("BotocoreLike",)) == "passes"
    assert kind_of(answered(400), ("openai.APIStatusError",)) == "passes"
    assert kind_of(answered(400), ("APIStatus",)) == "final"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, 90),
        ({"retry-after": format_datetime(NOW - timedelta(seconds=90), usegmt=True)}, 0),
    ],
)
def test_what_a_server_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(answered(429, **headers), NOW) == seconds
    assert retry_after(ValueError(), NOW) is None


retries = st.builds(
    Retry,
    attempts=st.integers(1, 100),
    wait=st.floats(0, 1e6),
    factor=st.floats(1, 1e3),
    longest=st.floats(0, 1e6),
)


@given(retries, st.integers(1, 10_000), st.floats(0, 1))
def test_back_off_is_drawn_between_nothing_and_the_longest_wait(retry: Retry, attempt: int, draw: float) -> None:
    wait = full_jitter(retry, attempt, draw)
    assert 0 <= wait <= retry.longest
    assert full_jitter(retry, attempt, 1) <= full_jitter(retry, attempt + 1, 1)
    assert wait == pytest.approx(draw * full_jitter(retry, attempt, 1))


@given(retries, st.integers(1, 200), st.floats(0, 1), st.floats(0, 100).map(lambda seconds: round(seconds, 3)))
def test_the_next_wait_is_never_shorter_than_asked_nor_longer_than_allowed(
    retry: Retry, attempt: int, draw: float, asked: float
) -> None:
    wait = next_wait(retry, attempt, answered(429, **{"retry-after": str(asked)}), draw=draw, now=NOW)
    if attempt >= retry.attempts or asked > retry.longest:
        assert wait is None
    else:
        assert wait is not None
        assert asked <= wait <= retry.longest
    assert next_wait(retry, attempt, answered(400), draw=draw, now=NOW) is None
    assert next_wait(None, attempt, answered(429), draw=draw, now=NOW) is None


def test_what_was_tried_is_not_tried_again_around_it() -> None:
    error = answered(503)
    mark_exhausted(error)
    assert next_wait(Retry(), 1, error, draw=1, now=NOW) is None
    assert exhausted(ExceptionGroup("one", [error]))


def test_langgraph_reads_our_waits() -> None:
    policy = _Patience.of(Retry(attempts=3, wait=20, longest=30))
    asked, drawn = answered(429, **{"retry-after": "25"}), answered(503)
    for error, attempt, wait in ((asked, 1, 25.0), (drawn, 1, 20.0), (drawn, 2, 30.0)):
        error.__adjourn_attempt__ = attempt  # type: ignore[attr-defined]
        assert callable(policy.retry_on)
        assert policy.retry_on(error)
        # as langgraph/pregel/_retry.py computes it
        assert min(policy.max_interval, policy.initial_interval * policy.backoff_factor ** (attempt - 1)) == wait
        assert not policy.jitter
    drawn.__adjourn_attempt__ = 3  # type: ignore[attr-defined]
    assert not policy.retry_on(drawn)  # type: ignore[operator]


BUDGET = Budget(tokens=100, cost=5, prices={"m": Price(1, 2)})


@pytest.mark.parametrize(
    ("spent", "granted", "used"),
    [
        (Spent(), Granted(), False),
        (Spent(1, 99, 4.99), Granted(), False),
        (Spent(1, 100, 0), Granted(), True),
        (Spent(1, 0, 5), Granted(), True),
        (Spent(1, 100, 5), Granted(times=1), False),
        (Spent(1, 200, 5), Granted(times=1), True),
        (Spent(1, 109, 0), Granted(tokens=10), False),
        (Spent(1, 110, 0), Granted(tokens=10), True),
    ],
)
def test_when_a_budget_is_used_up(spent: Spent, granted: Granted, used: bool) -> None:
    assert (excess(BUDGET, spent, granted) is not None) == used


@given(st.lists(st.integers(0, 60), max_size=20), st.lists(st.sampled_from(["approve", "edit", "reject"]), max_size=5))
def test_a_run_never_spends_more_than_its_limit_and_one_call(calls: list[int], answers: list[str]) -> None:
    decisions = [{"type": kind, "edited_action": {"args": {"tokens": 7}}} for kind in answers]
    granted = Granted.by(decisions)
    limit = 100 * (1 + answers.count("approve")) + 7 * answers.count("edit")
    spent = Spent()
    for tokens in calls:
        if excess(Budget(tokens=100), spent, granted) is not None:
            assert spent.tokens >= limit
            break
        spent = Spent(spent.calls + 1, spent.tokens + tokens)
    assert spent.tokens < limit + 60


def test_costs_go_by_the_most_exact_price() -> None:
    prices = {"openai:a": Price(1, 2), "a": Price(3, 4), "*": Price(5, 6)}
    budget = Budget(cost=1, prices=prices)
    usage = Usage(1_000_000, 1_000_000)
    assert cost_of(budget, usage, ("openai:a", "a")) == 3
    assert cost_of(budget, usage, ("azure:a", "a")) == 7
    assert cost_of(budget, usage, ("openai:b", "b")) == 11
    assert cost_of(Budget(tokens=1), usage, ("openai:b", "b")) == 0
    with pytest.raises(ConfigurationError, match="'openai:b' has no price"):
        cost_of(Budget(cost=1, prices={"a": Price(1, 1)}), usage, ("openai:b", "b"))


def asked(name: str, **args: Any) -> AIMessage:
    return AIMessage("", tool_calls=[{"name": name, "args": args, "id": "1"}])


def test_calls_are_counted_since_somebody_said_something() -> None:
    messages = [HumanMessage("x"), asked("a", x=1), HumanMessage("y"), asked("a", x=1, y=2), asked("a", y=2, x=1)]
    counted = calls_in([*messages, ToolMessage("done", tool_call_id="1"), asked("a", x=2)])
    assert counted == {call_of("a", {"x": 1, "y": 2}): 2, call_of("a", {"x": 2}): 1}
    assert not calls_in(None)
    assert not calls_in("text")
    assert call_of("a", {"x": object}) == call_of("a", {"x": object})
    assert call_of("a", {}) != call_of("b", {})


def test_an_agent_is_known_by_the_graph_that_its_tasks_are_part_of() -> None:
    assert graph_around("tools:1") == graph_around("model:2") == ""
    assert graph_around("agent:1|tools:2") == graph_around("agent:1|1|model:3") == "agent:1"
    assert graph_around("") == ""


def test_rules_of_nodes_inherit_from_where_they_stand() -> None:
    coping = Coping(
        timeout=1,
        retry=Retry(attempts=2),
        nodes={"agent": Coping(timeout=2, breaker=Breaker()), "agent/tools": Coping(timeout=3)},
    )
    assert [coping_at(coping, path).timeout for path in ("x", "agent", "agent/model", "agent/tools")] == [1, 2, 2, 3]
    assert coping_at(coping, "agent/tools").breaker == Breaker()
    assert coping_at(coping, "x").breaker is None
    assert coping_at(coping, "agent/tools").retry == Retry(attempts=2)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Retry(attempts=0), "Retry.attempts is a whole number from 1"),
        (lambda: Retry(wait=-1), "Retry.wait is a number, at least 0"),
        (lambda: Breaker(failures=True), "Breaker.failures"),
        (lambda: Budget(), "give tokens, cost, or both"),
        (lambda: Budget(cost=1), "cost needs prices"),
        (lambda: Budget(tokens=1, exceeded="stop"), "one of fail, ask"),  # type: ignore[arg-type]
        (lambda: Budget(cost=1, prices={"a": 3}), "names to Price"),  # type: ignore[dict-item]
        (lambda: Rate(calls=0), "Rate.calls"),
        (lambda: Cache(answers=float("nan")), "Cache.answers"),
        (lambda: Coping(timeout=0), "Coping.timeout"),
        (lambda: Coping(fallback="openai:x"), "fallback is a tuple"),  # type: ignore[arg-type]
        (lambda: Coping(nodes={"a": Coping(budget=Budget(tokens=1))}), "neither a budget"),
        (lambda: coping_from({"retri": {}}, "here"), "here: retri"),
        (lambda: coping_from({"retry": {"attempts": "x"}}, "here"), "here: retry.attempts"),
        (lambda: coping_from([], "here"), "here"),
        (lambda: coping_from({"budget": {"tokens": 1, "policy": {"rolls": 1}}}, "here"), "rolls"),
        (lambda: CopingBook(("there", {"w": 3})), "there, 'w'"),
        (lambda: CopingBook(("there", [])), "there takes rules by workflow"),  # type: ignore[arg-type]
        (lambda: load_settings(coping="{"), "ADJOURN_COPING is not usable"),
    ],
)
def test_rules_that_make_no_sense_are_refused_with_what_would(make: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        make()


def test_rules_are_read_from_json() -> None:
    data = {
        "retry": {"attempts": 2},
        "budget": {"cost": 2, "prices": {"m": {"input": 1, "output": 2}}, "policy": {"roles": ["finance"]}},
        "rate": {"openai:m": {"calls": 3}},
        "fallback": ["openai:n"],
        "nodes": {"n": {"timeout": 3}},
    }
    assert coping_from(data, "here") == Coping(
        retry=Retry(attempts=2),
        budget=Budget(cost=2, prices={"m": Price(1, 2)}, policy=ReviewPolicy(roles=("finance",))),
        rate={"openai:m": Rate(calls=3)},
        fallback=("openai:n",),
        nodes={"n": Coping(timeout=3)},
    )


def test_the_nearest_source_counts() -> None:
    book = CopingBook(
        ("settings", {"a": {"timeout": 1}, "b": {"timeout": 1}, "c": {"timeout": 1}}),
        ("project", {"b": {"timeout": 2}, "c": {"timeout": 2}}),
        ("coping", {"c": Coping(timeout=3)}),
        ("nothing", None),
    )
    found = {name: book.rules(name, None) for name in "abc"}
    assert {name: rules and rules.coping.timeout for name, rules in found.items()} == {"a": 1, "b": 2, "c": 3}
    assert book.rules("d", None) is None


FULL: Final = Coping(
    retry=Retry(also=("Flaky",)),
    timeout=1,
    model_timeout=2.5,
    breaker=Breaker(3, 4),
    fallback=("openai:x",),
    budget=Budget(
        cost=2, prices={"m": Price(1, 2)}, exceeded="ask", policy=ReviewPolicy(roles=("finance",), deadline=5)
    ),
    loops=Loops(2, ("look",)),
    cache=Cache(answers=9),
    rate={"openai:m": Rate(calls=3)},
    allow_tools=(),
    tools={"*": ToolRules(retry=Retry(), timeout=1, rate=Rate(3, 4, 5))},
    nodes={"n": Coping(timeout=3, rate=Rate(3))},
)


def test_rules_are_kept_as_json_that_reads_as_the_same() -> None:
    assert coping_from(json.loads(json.dumps(coping_json(FULL))), "here") == FULL
    assert coping_json(Coping()) == {}
    model = SimpleNamespace()
    assert coping_json(Coping(fallback=("openai:x", model))) == {"fallback": ["openai:x"]}
    assert coping_json(Coping(fallback=(model,))) == {}


KEPT: Final = {
    "named": coping_json(Coping(timeout=1, budget=Budget(tokens=10))), "*": coping_json(Coping(timeout=2)),
}  # fmt: skip


@pytest.mark.parametrize(
    ("own", "workflow", "timeout", "tokens"),
    [
        ({}, "named", 1, 10),
        ({}, "other", 2, None),
        ({"named": Coping(timeout=5)}, "named", 5, 10),
        ({"named": Coping(budget=Budget(tokens=99))}, "named", None, 99),
        ({"*": Coping(timeout=5)}, "named", 1, 10),
        ({"*": Coping(timeout=5)}, "other", 5, None),
    ],
)
def test_what_a_run_has_kept_counts_where_nothing_is_said_here_and_its_budget_stays(
    own: Any, workflow: str, timeout: Any, tokens: Any
) -> None:
    rules = CopingBook(("here", own)).rules(workflow, KEPT)
    assert rules is not None
    budget = rules.coping.budget
    assert (rules.coping.timeout, budget and budget.tokens) == (timeout, tokens)


def test_a_run_keeps_its_engines_rules_and_a_child_what_its_parent_kept_of_others() -> None:
    book = CopingBook(("here", {"a": Coping(timeout=1)}))
    assert book.kept() == {"a": {"timeout": 1}}
    assert book.kept({"a": {"timeout": 9}, "b": {"timeout": 2}}) == {"a": {"timeout": 1}, "b": {"timeout": 2}}
    assert CopingBook().kept() is None


def test_names_of_errors_that_clients_use_are_known() -> None:
    # what langchain-openai raises is made of openai's errors, and those of httpx where a stream is cut
    assert issubclass(openai.APITimeoutError, openai.APIConnectionError)
    assert issubclass(httpx.ReadError, httpx.TransportError)
    assert status_of(SimpleNamespace(code="x", response=None)) is None  # type: ignore[arg-type]


def test_an_open_breaker_lets_one_call_through_at_a_time() -> None:
    breakers, rules = Breakers(), Breaker(failures=2, seconds=0)
    for _ in range(2):
        with pytest.raises(TimeoutError), breakers.around("m", rules):
            raise TimeoutError
    with pytest.raises(asyncio.CancelledError), breakers.around("m", rules):
        raise asyncio.CancelledError  # a call that was stopped says nothing
    with breakers.around("m", rules):
        with pytest.raises(CircuitOpen), breakers.around("m", rules):
            pass
        with breakers.around("other", rules):
            pass
    with breakers.around("m", rules), breakers.around("m", rules):
        pass
    with pytest.raises(ValueError, match="mine"), breakers.around("m", rules):
        raise ValueError("mine")
