"""Agents, planners and writers that are chat models: a persona, a prompt for each kind of request, structured answers.

What a model is given to judge travels as data between marked lines, never as part of the instructions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from hashlib import sha256
from typing import Any

from langchain_core.language_models import BaseChatModel
from pydantic import BaseModel, ValidationError

from ...errors import RunFailed
from ...state.council import Claim, Request
from ..analysts.chat_models import open_model
from ..prompts import load_prompt
from .decomposition import Plan, read_plan
from .schemas import PlanAnswer, SynthesisAnswer, answer_schema, plain

__all__ = ["asked", "instructions", "marked", "model_agent", "model_planner", "model_writer", "shown"]

_MARK_LETTERS = 16


def model_agent(
    model: BaseChatModel | str, tools: Sequence[Any] = ()
) -> Callable[[Request], Coroutine[Any, Any, dict[str, Any]]]:
    """Make an agent of a chat model; `member` does this.

    Args:
        model: A LangChain chat model that gives structured output, or the name of one.
        tools: LangChain tools that it may call before it answers; it is a LangChain agent then.

    Returns:
        An async function of a request. It raises what the provider's client raises, and RunFailed when the model refuses or
        its answer does not fit; whoever asks makes a failure of that, or an abstention.
    """

    async def act(request: Request) -> dict[str, Any]:
        schema = answer_schema(request)
        if tools:
            return plain(await _with_tools(model, tools, schema, request))
        return plain(await asked(model, schema, instructions(request), marked(shown(request))))

    return act


def model_planner(model: BaseChatModel | str) -> Callable[..., Coroutine[Any, Any, Plan]]:
    """Make a `Planner` of a chat model."""

    async def plan(task: str, *, material: Any, capabilities: Sequence[str]) -> Plan:
        parts = {"TASK": task, "MATERIAL": material, "CAPABILITIES": list(capabilities)}
        found = await asked(model, PlanAnswer, load_prompt("council-plan"), marked(parts))
        dumped = found.model_dump(mode="json")
        for each in dumped["subtasks"]:  # what no agent names is not for the model to invent
            each["capabilities"] = [name for name in each["capabilities"] if name in capabilities]
        return read_plan(dumped["subtasks"]), str(dumped["reasoning"])

    return plan


def model_writer(model: BaseChatModel | str) -> Callable[..., Coroutine[Any, Any, dict[str, Any]]]:
    """Make a `Writer` of a chat model."""

    async def write(
        task: str, *, claims: Sequence[Claim], decision: str | None, dissent: Sequence[Any]
    ) -> dict[str, Any]:
        parts = {"TASK": task, "CLAIMS": list(claims), "DECISION": decision, "DISSENT": list(dissent)}
        found = await asked(model, SynthesisAnswer, load_prompt("council-synthesis"), marked(parts))
        return found.model_dump(mode="json")

    return write


def instructions(request: Request) -> str:
    """Return the system message for a request: who the agent is, and what it is to do."""
    role = request["role"].strip() or "You have no special role."
    persona = load_prompt("council-persona").format(name=request["agent"], role=role)
    name = {"help": "work", "vote": "rank" if request.get("ranked") else "vote"}.get(request["kind"], request["kind"])
    return f"{persona}\n\n{load_prompt(f'council-{name}')}"


def shown(request: Request) -> dict[str, Any]:
    """Return what of a request the user message shows, by heading; empty parts are left out."""
    parts = {
        "TASK": request["task"],
        "SUBTASK": request.get("subtask"),
        "MATERIAL": request["material"],
        "RESULTS OF OTHERS": request.get("results"),
        "HELP": request.get("help"),
        "CONTRADICTION": request.get("conflict"),
        "OPTIONS": request.get("options"),
        "DRAFTS": request.get("drafts"),
        "YOUR DRAFT": request.get("own_draft"),
        "YOUR LAST VOTE": _own(request),
        "VOTES OF OTHERS": request.get("others"),
        "NOTES FROM PEOPLE": request["notes"],
    }
    return {heading: part for heading, part in parts.items() if part}


def marked(parts: Mapping[str, Any]) -> str:
    """Return parts of a message between lines that nothing inside can imitate."""
    texts = {
        heading: part if isinstance(part, str) else json.dumps(part, ensure_ascii=False, indent=1)
        for heading, part in parts.items()
        if part is not None
    }
    # the mark depends on everything between the lines, so nothing in there can hold it
    mark = sha256("\0".join(texts.values()).encode()).hexdigest()[:_MARK_LETTERS]
    return "\n\n".join(f"BEGIN {heading} {mark}\n{text}\nEND {heading} {mark}" for heading, text in texts.items())


def _own(request: Request) -> dict[str, Any] | None:
    vote = request.get("own_vote")
    return (
        None if vote is None else {"decision": vote["decision"], "ranking": vote["ranking"], "reason": vote["reason"]}
    )


async def asked(model: BaseChatModel | str, schema: type[BaseModel], system: str, human: str) -> BaseModel:
    """Ask a chat model for an answer of a form.

    Args:
        model: The model, or its name.
        schema: The form.
        system: What it is to do.
        human: What it is to do that with; see `marked`.

    Raises:
        RunFailed: It refuses, or its answer does not fit.
        ConfigurationError: It cannot be used.
    """
    chosen = open_model(model) if isinstance(model, str) else model
    try:
        answer: Any = await chosen.with_structured_output(schema, include_raw=True).ainvoke(
            [("system", system), ("human", human)]
        )
    except ValidationError as error:  # some clients check the schema themselves, before LangChain's parser does
        raise _no_answer(error) from error
    if answer["raw"].additional_kwargs.get("refusal"):
        raise RunFailed("the model refused to answer")
    if answer["parsing_error"] is not None:
        raise _no_answer(answer["parsing_error"]) from answer["parsing_error"]
    if not isinstance(answer["parsed"], schema):
        raise RunFailed("the model's answer is empty")
    return answer["parsed"]


async def _with_tools(
    model: BaseChatModel | str, tools: Sequence[Any], schema: type[BaseModel], request: Request
) -> BaseModel:
    from langchain.agents import create_agent  # loading it takes a good part of a second

    from .graph_agent import detached

    chosen = open_model(model) if isinstance(model, str) else model
    agent: Any = create_agent(chosen, list(tools), system_prompt=instructions(request), response_format=schema)
    with detached():
        found = await agent.ainvoke({"messages": [("human", marked(shown(request)))]})
    if not isinstance(found.get("structured_response"), schema):
        raise RunFailed("the model's answer is not in the form that was asked for")
    answer: BaseModel = found["structured_response"]
    return answer


def _no_answer(error: BaseException) -> RunFailed:
    """Say what is wrong with an answer, without repeating it."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, ValidationError):
        found = found.__cause__ or found.__context__
    if found is None:
        return RunFailed("the model's answer is not JSON of the form that was asked for")
    first = found.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the whole answer"
    return RunFailed(f"the model's answer does not fit ({where}: {first['msg']})")
