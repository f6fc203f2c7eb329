"""The Responses API: the JSON of an answer, whole or as stream events, as pure functions.

Source of the shapes: the type `Response` and the events `response.*` of the `openai` package.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from .openai_chat import pieces, usage_of
from .openai_request import Json, ModelRequest
from .replies import Answer, Usage

__all__ = ["events", "response"]


def response(answer: Answer, request: ModelRequest, *, ident: str, created: int) -> Json:
    """Return the body of a whole response.

    Args:
        answer: The answer, fitted to the request.
        request: The request.
        ident: A text that no other reply has; ids are made of it.
        created: Seconds since 1970 (UTC).
    """
    return {
        **_head(request, ident, created),
        "status": "incomplete" if answer.truncated else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if answer.truncated else None,
        "output": _output(answer, ident),
        "usage": _usage(usage_of(answer, request)),
    }


def events(answer: Answer, request: ModelRequest, *, ident: str, created: int) -> Iterator[Json]:
    """Yield the events of a streamed response, numbered, from `response.created` to `response.completed`.

    Args:
        answer: The answer, fitted to the request.
        request: The request.
        ident: A text that no other reply has; ids are made of it.
        created: Seconds since 1970 (UTC).
    """
    number = itertools.count()
    for event in _events(answer, request, ident, created):
        yield {**event, "sequence_number": next(number)}


def _events(answer: Answer, request: ModelRequest, ident: str, created: int) -> Iterator[Json]:
    begun = {**_head(request, ident, created), "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    whole = response(answer, request, ident=ident, created=created)
    for index, item in enumerate(whole["output"]):
        opened = {**item, "status": "in_progress", **_emptied(item)}
        yield {"type": "response.output_item.added", "output_index": index, "item": opened}
        for event in _message_events(item) if item["type"] == "message" else _call_events(item):
            yield {**event, "item_id": item["id"], "output_index": index}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{whole['status']}", "response": whole}


def _emptied(item: Json) -> Json:
    return {"content": []} if item["type"] == "message" else {"arguments": ""}


def _message_events(item: Json) -> Iterator[Json]:
    for index, part in enumerate(item["content"]):
        # The part's text and its events are called `text` and `output_text`, those of a refusal both `refusal`.
        key = "refusal" if part["type"] == "refusal" else "text"
        extra: Json = {} if key == "refusal" else {"logprobs": []}
        name = f"response.{part['type']}"
        yield {"type": "response.content_part.added", "content_index": index, "part": {**part, key: ""}}
        for piece in pieces(part[key]):
            yield {"type": f"{name}.delta", "content_index": index, "delta": piece, **extra}
        yield {"type": f"{name}.done", "content_index": index, key: part[key], **extra}
        yield {"type": "response.content_part.done", "content_index": index, "part": part}


def _call_events(item: Json) -> Iterator[Json]:
    for piece in pieces(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", "delta": piece}
    whole = {"name": item["name"], "arguments": item["arguments"]}
    yield {"type": "response.function_call_arguments.done", **whole}


def _output(answer: Answer, ident: str) -> list[Json]:
    content: list[Json] = []
    if answer.text:
        content.append({"type": "output_text", "text": answer.text, "annotations": [], "logprobs": []})
    if answer.refusal:
        content.append({"type": "refusal", "refusal": answer.refusal})
    status = "incomplete" if answer.truncated else "completed"
    message = {"id": f"msg_{ident}", "type": "message", "role": "assistant", "status": status, "content": content}
    calls = [
        {
            "id": f"fc_{ident}_{index}",
            "type": "function_call",
            "status": status,
            "name": call.name,
            "arguments": call.arguments,
            "call_id": call.id or f"call_{ident}_{index}",
        }
        for index, call in enumerate(answer.tool_calls)
    ]
    return [message, *calls] if content else calls


def _head(request: ModelRequest, ident: str, created: int) -> Json:
    body = request.body
    return {
        "id": f"resp_{ident}",
        "object": "response",
        "created_at": created,
        "model": request.model,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "metadata": body.get("metadata") or {},
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "previous_response_id": body.get("previous_response_id"),
        "service_tier": "default",
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": body.get("truncation") or "disabled",
    }


def _usage(usage: Usage) -> Json:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
