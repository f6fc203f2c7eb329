"""What OpenAI refuses with HTTP 400 whatever the model would say, as pure functions.

A loopback server that took everything would hide the mistakes that cost most in production: a schema that strict
mode does not take, a tool call whose result is missing after a pause, JSON mode without the word JSON. The rules are
those of OpenAI's guides on structured outputs and function calling; the wording is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .openai_request import Json, ModelRequest
from .replies import Failure

__all__ = ["find_fault", "strict_faults"]


def find_fault(request: ModelRequest) -> Failure | None:
    """Return the error that OpenAI answers such a request with; None for a sound one.

    Args:
        request: The request.
    """
    for param, message in _faults(request):
        return Failure(400, message, "invalid_request_error", param=param)
    return None


def _faults(request: ModelRequest) -> Iterator[tuple[str, str]]:
    if not request.model:
        yield "model", "You must provide a model parameter."
    conversation = "messages" if request.api == "chat" else "input"
    if not request.items and not request.body.get("previous_response_id"):
        yield conversation, f"'{conversation}' must hold at least one message."
    if request.body.get("n", 1) != 1:
        yield "n", "This loopback server gives one choice per request: leave 'n' out."
    yield from ((conversation, message) for message in _unpaired_tool_calls(request))
    output = request.output_format
    if output.get("type") == "json_object" and "json" not in " ".join(t for _, t in request.messages).lower():
        yield conversation, f"'{conversation}' must contain the word 'json' to use the format 'json_object'."
    if output.get("strict"):
        for fault in strict_faults(output.get("schema") or {}):
            yield "response_format", f"Invalid schema for response_format '{output.get('name')}': {fault}"
    for tool in request.tools:
        for fault in strict_faults(tool.get("parameters") or {}) if tool.get("strict") else ():
            yield "tools", f"Invalid schema for function '{tool['name']}': {fault}"


def _unpaired_tool_calls(request: ModelRequest) -> Iterator[str]:
    """Name tool calls without a result and results without a call."""
    if request.api == "chat":
        yield from _unpaired_in_messages(request.items)
    elif not request.body.get("previous_response_id"):
        yield from _unpaired_in_items(request.items)


def _unpaired_in_messages(messages: list[Json]) -> Iterator[str]:
    # Chat completions want the results directly behind their calls.
    waiting: list[str] = []
    for message in messages:
        if message.get("role") == "tool":
            call_id = str(message.get("tool_call_id"))
            if call_id not in waiting:
                yield f"A message with role 'tool' must answer a preceding 'tool_calls'; {call_id} does not."
                return
            waiting.remove(call_id)
        elif waiting:
            break
        else:
            waiting = [str(call.get("id")) for call in message.get("tool_calls") or []]
    if waiting:
        yield (
            "An assistant message with 'tool_calls' must be followed by tool messages for each 'tool_call_id'. "
            f"No result follows for: {', '.join(waiting)}."
        )


def _unpaired_in_items(items: list[Json]) -> Iterator[str]:
    called = {str(item.get("call_id")) for item in items if item.get("type") == "function_call"}
    answered = {str(item.get("call_id")) for item in items if item.get("type") == "function_call_output"}
    for call_id in sorted(called - answered):
        yield f"No tool output found for function call {call_id}."
    for call_id in sorted(answered - called):
        yield f"No tool call found for function call output with call_id {call_id}."


def strict_faults(schema: Json, path: str = "root") -> Iterator[str]:
    """Name what strict mode refuses in a JSON Schema: open objects and optional properties.

    Args:
        schema: The schema, or a part of it.
        path: Where the part stands, for messages.
    """
    if "$ref" in schema:
        return
    properties = schema.get("properties") or {}
    if schema.get("type") == "object" or properties:
        if schema.get("additionalProperties") is not False:
            yield f"in {path}, 'additionalProperties' must be given and be false."
        missing = sorted(set(properties) - set(schema.get("required") or ()))
        if missing:
            yield f"in {path}, 'required' must name every property; missing: {', '.join(missing)}."
    for name, part in _parts(schema):
        yield from strict_faults(part, f"{path}.{name}")


def _parts(schema: Json) -> Iterator[tuple[str, Json]]:
    nested: dict[str, Any] = {**(schema.get("properties") or {}), **(schema.get("$defs") or {})}
    if isinstance(schema.get("items"), dict):
        nested["items"] = schema["items"]
    nested.update({f"anyOf[{index}]": part for index, part in enumerate(schema.get("anyOf") or ())})
    yield from ((name, part) for name, part in nested.items() if isinstance(part, dict))
