"""Chat completions: the JSON of an answer, whole or as stream chunks, as pure functions.

Source of the shapes: the types `ChatCompletion` and `ChatCompletionChunk` of the `openai` package.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .openai_request import Json, ModelRequest
from .replies import Answer, ToolCall, Usage

__all__ = ["chunks", "completion", "fit", "pieces", "usage_of"]


def fit(answer: Answer, request: ModelRequest) -> Answer:
    """Put structured output where the request wants it: into the forced tool's arguments, or into the content.

    Args:
        answer: The scripted answer.
        request: The request that it answers.

    Returns:
        The same answer without `json_text`.
    """
    if answer.json_text is None:
        return answer
    forced = request.forced_tool
    calls = (ToolCall(forced, answer.json_text),) if forced else answer.tool_calls
    text = answer.text if forced else answer.json_text
    return Answer(text, None, calls, answer.refusal, answer.usage, answer.truncated)


def usage_of(answer: Answer, request: ModelRequest) -> Usage:
    """Return the tokens to report: those of the script, otherwise one per word.

    Args:
        answer: The answer, fitted to the request.
        request: The request.
    """
    said = " ".join([answer.text, answer.refusal or "", *(call.arguments for call in answer.tool_calls)])
    return answer.usage or Usage(request.words(), len(said.split()))


def pieces(content: str) -> list[str]:
    """Cut a text into stream deltas behind spaces, commas and colons; joined they are the text again.

    Args:
        content: The text.
    """
    return [piece for piece in re.split(r"(?<=[\s,:])", content) if piece]


def completion(answer: Answer, request: ModelRequest, *, ident: str, created: int) -> Json:
    """Return the body of a whole chat completion.

    Args:
        answer: The answer, fitted to the request.
        request: The request.
        ident: A text that no other reply has; ids are made of it.
        created: Seconds since 1970 (UTC).
    """
    message: Json = {"role": "assistant", "content": answer.text or None, "refusal": answer.refusal, "annotations": []}
    if answer.tool_calls:
        message["tool_calls"] = [
            {"id": _call_id(call, ident, index), "type": "function", "function": _function(call.name, call.arguments)}
            for index, call in enumerate(answer.tool_calls)
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(answer)}
    return {
        **_head("chat.completion", request, ident, created),
        "choices": [choice],
        "usage": _usage(usage_of(answer, request)),
    }


def chunks(answer: Answer, request: ModelRequest, *, ident: str, created: int) -> Iterator[Json]:
    """Yield the chunks of a streamed chat completion, the usage chunk (if it was asked for) last.

    Args:
        answer: The answer, fitted to the request.
        request: The request.
        ident: A text that no other reply has; ids are made of it.
        created: Seconds since 1970 (UTC).
    """
    head = _head("chat.completion.chunk", request, ident, created)
    for delta in _deltas(answer, ident):
        yield {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": _finish(answer)}]}
    if (request.body.get("stream_options") or {}).get("include_usage"):
        yield {**head, "choices": [], "usage": _usage(usage_of(answer, request))}


def _deltas(answer: Answer, ident: str) -> Iterator[Json]:
    yield {"role": "assistant", "content": None if answer.tool_calls else "", "refusal": None}
    yield from ({"content": piece} for piece in pieces(answer.text))
    yield from ({"refusal": piece} for piece in pieces(answer.refusal or ""))
    for index, call in enumerate(answer.tool_calls):
        opening = {"id": _call_id(call, ident, index), "type": "function", "function": _function(call.name, "")}
        yield {"tool_calls": [{"index": index, **opening}]}
        for piece in pieces(call.arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _head(kind: str, request: ModelRequest, ident: str, created: int) -> Json:
    return {
        "id": f"chatcmpl-{ident}",
        "object": kind,
        "created": created,
        "model": request.model,
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _call_id(call: ToolCall, ident: str, index: int) -> str:
    return call.id or f"call_{ident}_{index}"


def _function(name: str, arguments: str) -> Json:
    return {"name": name, "arguments": arguments}


def _finish(answer: Answer) -> str:
    if answer.truncated:
        return "length"
    return "tool_calls" if answer.tool_calls else "stop"


def _usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
