"""From a line of a script to LangChain messages, whole or in chunks, as pure functions."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, InvalidToolCall, ToolCallChunk
from langchain_core.messages import ToolCall as MessageToolCall
from langchain_core.messages.ai import UsageMetadata
from langchain_core.output_parsers.openai_tools import make_invalid_tool_call, parse_tool_call
from langchain_core.outputs import ChatGenerationChunk

from .openai_chat import pieces
from .replies import Answer, Reply, ReplyLike, ToolCall, Usage, as_reply

__all__ = ["chunks", "ready", "written"]


def ready(message: AIMessage, prompt: Sequence[BaseMessage]) -> AIMessage:
    """Return a copy of a message of the script, with usage figures if it has none.

    Args:
        message: The message; it is not changed, so that one message may stand in a script twice.
        prompt: What the model was given.
    """
    copied = message.model_copy(deep=True)
    copied.usage_metadata = copied.usage_metadata or _usage(None, prompt, copied)
    return copied


def written(line: ReplyLike, prompt: Sequence[BaseMessage], forced_tool: str | None) -> AIMessage:
    """Return the message that a line of the script stands for.

    Args:
        line: The line.
        prompt: What the model was given.
        forced_tool: The tool that has to be called; structured output travels in its arguments.

    Raises:
        TypeError: The line needs HTTP, or is no line.
    """
    answer = _spoken(as_reply(line))
    calls, text = answer.tool_calls, answer.text
    if answer.json_text is not None and forced_tool:
        calls = (ToolCall(forced_tool, answer.json_text),)
    elif answer.json_text is not None:
        text = answer.json_text
    valid, invalid = _parsed(calls)
    reason = "length" if answer.truncated else "tool_calls" if calls else "stop"
    message = AIMessage(
        content=text,
        tool_calls=valid,
        invalid_tool_calls=invalid,
        additional_kwargs={"refusal": answer.refusal} if answer.refusal else {},
        response_metadata={"finish_reason": reason},
    )
    message.usage_metadata = _usage(answer.usage, prompt, message)
    return message


def chunks(message: AIMessage) -> Iterator[ChatGenerationChunk]:
    """Cut a message into stream chunks: its text piece by piece, then its tool calls, then its usage.

    Args:
        message: The message; added up, the chunks are this message again.
    """
    content = message.content
    for part in pieces(content) if isinstance(content, str) else [content]:
        yield ChatGenerationChunk(message=AIMessageChunk(content=part, id=message.id))
    for chunk in _call_chunks(message):
        yield ChatGenerationChunk(message=AIMessageChunk(content="", id=message.id, tool_call_chunks=[chunk]))
    last = AIMessageChunk(
        content="",
        id=message.id,
        additional_kwargs=message.additional_kwargs,
        response_metadata=message.response_metadata,
        usage_metadata=message.usage_metadata,
        chunk_position="last",
    )
    yield ChatGenerationChunk(message=last)


def _spoken(reply: Reply) -> Answer:
    travels = reply.silent or reply.until or reply.seconds or reply.cut_at is not None
    if travels or not isinstance(reply.outcome, Answer):
        raise TypeError(
            "A ScriptedChatModel has no HTTP: failures, waits and cuts need a ModelServer; "
            "to raise, put the exception itself into the script."
        )
    return reply.outcome


def _parsed(calls: Sequence[ToolCall]) -> tuple[list[MessageToolCall], list[InvalidToolCall]]:
    valid: list[MessageToolCall] = []
    invalid: list[InvalidToolCall] = []
    for index, call in enumerate(calls):
        # The ids of one answer differ from those of all others: results are matched to calls by id.
        raw = {
            "id": call.id or f"call_{uuid.uuid4().hex}_{index}",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        try:
            parsed = parse_tool_call(raw, return_id=True)
        except OutputParserException as error:
            invalid.append(make_invalid_tool_call(raw, str(error)))
        else:
            valid += [MessageToolCall(name=parsed["name"], args=parsed["args"], id=parsed["id"])] if parsed else []
    return valid, invalid


def _call_chunks(message: AIMessage) -> Iterator[ToolCallChunk]:
    whole = [(call["name"], json.dumps(call["args"]), call["id"]) for call in message.tool_calls]
    broken = [(call["name"], call["args"] or "", call["id"]) for call in message.invalid_tool_calls]
    for index, (name, arguments, call_id) in enumerate([*whole, *broken]):
        yield ToolCallChunk(name=name, args="", id=call_id, index=index)
        for piece in pieces(arguments):
            yield ToolCallChunk(name=None, args=piece, id=None, index=index)


def _usage(given: Usage | None, prompt: Sequence[BaseMessage], message: AIMessage) -> UsageMetadata:
    """Return the tokens to report, one per word unless the script says otherwise."""
    said = " ".join([str(message.text), *(json.dumps(call["args"]) for call in message.tool_calls)])
    usage = given or Usage(sum(len(str(m.text).split()) for m in prompt), len(said.split()))
    return UsageMetadata(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        total_tokens=usage.input_tokens + usage.output_tokens,
    )
