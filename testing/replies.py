"""What a scripted model may reply: one vocabulary for `ModelServer` and `ScriptedChatModel`.

    text structured malformed_json tool_calls refusal                    answers of the model
    rate_limit server_error unauthorized context_too_long failure        HTTP errors (over the wire only)
    slow silence cut                                                     how it arrives (over the wire only)

A plain `str` in a script counts as `text`, a `dict` or Pydantic model as `structured`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias, runtime_checkable

__all__ = [
    "Answer",
    "Failure",
    "Reply",
    "ReplyLike",
    "ToolCall",
    "Usage",
    "as_reply",
    "context_too_long",
    "cut",
    "failure",
    "malformed_json",
    "rate_limit",
    "refusal",
    "server_error",
    "silence",
    "slow",
    "structured",
    "text",
    "tool_call",
    "tool_calls",
    "unauthorized",
]


@runtime_checkable
class _DumpsJson(Protocol):
    def model_dump_json(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens that the model reports.

    Args:
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens of the answer.
    """

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool.

    Args:
        name: The tool.
        arguments: JSON text, sent as it stands (it may be broken on purpose).
        id: The id of the call; None: a fresh one is made.
    """

    name: str
    arguments: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says.

    Args:
        text: Plain content.
        json_text: JSON text that answers a request for structured output. It travels where the request wants it:
            in the arguments of the tool that the request forces, otherwise in the content.
        tool_calls: Calls of tools; several of them are parallel calls.
        refusal: The model's refusal, in place of content.
        usage: Tokens to report; None: one per word, so that figures are stable and never zero for words.
        truncated: The model stopped at its output limit.
    """

    text: str = ""
    json_text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: str | None = None
    usage: Usage | None = None
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """An HTTP error in OpenAI's form.

    Args:
        status: HTTP status, 400 to 599.
        message: For people.
        kind: OpenAI's `type`, such as `invalid_request_error`.
        code: OpenAI's `code`, such as `context_length_exceeded`.
        param: The parameter at fault.
        headers: Extra response headers.
    """

    status: int
    message: str
    kind: str
    code: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """An outcome and the way in which it arrives.

    Args:
        outcome: What is sent.
        seconds: How long to wait first.
        until: An event to wait for first.
        silent: Nothing is ever sent.
        cut_at: The share (0 ≤ share < 1) of the bytes after which the connection is cut; None: it is not.
    """

    outcome: Answer | Failure
    seconds: float = 0.0
    until: threading.Event | None = None
    silent: bool = False
    cut_at: float | None = None


# Any: a dict and a Pydantic model may hold whatever JSON can.
ReplyLike: TypeAlias = Reply | str | Mapping[str, Any] | _DumpsJson


def as_reply(line: ReplyLike) -> Reply:
    """Read one line of a script.

    Args:
        line: A reply, a text, or an object for structured output.

    Raises:
        TypeError: It is something else.
    """
    if isinstance(line, Reply):
        return line
    if isinstance(line, str):
        return text(line)
    if isinstance(line, Mapping | _DumpsJson):
        return structured(line)
    raise TypeError(
        f"A script holds replies (adjourn.testing.replies), texts, dicts or Pydantic models, not {type(line).__name__}."
    )


def text(content: str, *, usage: Usage | None = None, truncated: bool = False) -> Reply:
    """The model says a text.

    Args:
        content: The text.
        usage: Tokens to report; None: one per word.
        truncated: The model stopped at its output limit.
    """
    return Reply(Answer(text=content, usage=usage, truncated=truncated))


def structured(value: Mapping[str, Any] | _DumpsJson, *, usage: Usage | None = None) -> Reply:
    """The model answers with an object, in content or as a forced tool call, as the request wants it.

    Nothing checks the value against the schema of the request: give one that violates it to see what the caller does.

    Args:
        value: A JSON-safe mapping or a Pydantic model.
        usage: Tokens to report; None: one per word.
    """
    written = json.dumps(value) if isinstance(value, Mapping) else value.model_dump_json()
    return Reply(Answer(json_text=written, usage=usage))


def malformed_json(content: str = 'Here you are: {"summary": fine}') -> Reply:
    """The model answers a request for structured output with something that is no JSON.

    LangChain's parsers of JSON mode mend JSON that merely ends early, so the default is beyond mending.

    Args:
        content: What it sends.
    """
    return Reply(Answer(json_text=content))


def tool_call(name: str, args: Mapping[str, Any] | str | None = None, *, call_id: str | None = None) -> ToolCall:
    """One call for `tool_calls`.

    Args:
        name: The tool.
        args: Its arguments (JSON-safe); a `str` is sent as it stands, so that it may be broken JSON.
        call_id: The id of the call; None: a fresh one is made.
    """
    return ToolCall(name, args if isinstance(args, str) else json.dumps(args or {}), call_id)


def tool_calls(*calls: ToolCall, content: str = "", usage: Usage | None = None) -> Reply:
    """The model calls tools, all in one answer.

    Args:
        *calls: The calls, made with `tool_call`.
        content: A text beside the calls.
        usage: Tokens to report; None: one per word.
    """
    return Reply(Answer(text=content, tool_calls=calls, usage=usage))


def refusal(reason: str = "I cannot help with that.") -> Reply:
    """The model refuses, as OpenAI marks it.

    Args:
        reason: The text of the refusal.
    """
    return Reply(Answer(refusal=reason))


def failure(
    status: int, message: str, *, kind: str = "server_error", code: str | None = None, headers: Mapping[str, str] = {}
) -> Reply:
    """Any HTTP error.

    Args:
        status: HTTP status, 400 to 599.
        message: For people.
        kind: OpenAI's `type`.
        code: OpenAI's `code`.
        headers: Extra response headers.
    """
    return Reply(Failure(status, message, kind, code, headers=dict(headers)))


def rate_limit(*, retry_after: float | None = None) -> Reply:
    """HTTP 429.

    Args:
        retry_after: Seconds for the `Retry-After` header; None: no header.
    """
    headers = {} if retry_after is None else {"Retry-After": f"{retry_after:g}"}
    return failure(429, "Rate limit reached.", kind="tokens", code="rate_limit_exceeded", headers=headers)


def server_error(status: int = 500) -> Reply:
    """HTTP 500 or another 5xx.

    Args:
        status: HTTP status, 500 to 599.
    """
    return failure(status, "The server had an error while processing your request.")


def unauthorized() -> Reply:
    """HTTP 401: the key is wrong."""
    return failure(401, "Incorrect API key provided.", kind="invalid_request_error", code="invalid_api_key")


def context_too_long() -> Reply:
    """HTTP 400: the prompt is longer than the model's context."""
    return failure(
        400,
        "Your input exceeds the context window of this model. Please shorten it and try again.",
        kind="invalid_request_error",
        code="context_length_exceeded",
    )


def slow(line: ReplyLike, *, seconds: float = 0.0, until: threading.Event | None = None) -> Reply:
    """A reply that is sent later.

    Args:
        line: The reply.
        seconds: How long to wait.
        until: An event to wait for, in place of a guess; the test sets it. Both may be given.
    """
    return replace(as_reply(line), seconds=seconds, until=until)


def silence() -> Reply:
    """No reply at all: the connection stays open until the caller gives up or the server is closed."""
    return Reply(Answer(), silent=True)


def cut(line: ReplyLike = "This text does not arrive in full.", *, after: float = 0.5) -> Reply:
    """A reply whose connection breaks on the way.

    Args:
        line: The reply.
        after: The share (0 ≤ share < 1) of its bytes that are sent before; 0 sends not even the status line.

    Raises:
        ValueError: The share is out of range.
    """
    if not 0 <= after < 1:
        raise ValueError(f"cut(after=…) takes a share from 0 up to, not including, 1; it got {after}.")
    return replace(as_reply(line), cut_at=after)
