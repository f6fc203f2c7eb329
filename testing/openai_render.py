"""From a reply of the script to the bytes of an HTTP answer, as pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from . import openai_chat, openai_responses
from .openai_request import Json, ModelRequest
from .replies import Answer, Failure, Reply

__all__ = ["Rendered", "models_page", "render", "render_failure", "render_json"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """An HTTP answer.

    Args:
        status: HTTP status.
        headers: All headers that describe the body.
        body: The bytes as they travel, chunked framing included.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


def render(reply: Reply, request: ModelRequest, *, ident: str, created: int) -> Rendered:
    """Return the HTTP answer to a request, in the API and the form (whole or streamed) that it asks for.

    Args:
        reply: The scripted reply; how it arrives (waits, cuts) is the server's business.
        request: The request.
        ident: A text that no other reply has; ids are made of it.
        created: Seconds since 1970 (UTC).
    """
    if isinstance(reply.outcome, Failure):
        return render_failure(reply.outcome, ident=ident)
    answer = openai_chat.fit(reply.outcome, request)
    if request.streaming:
        return _stream(_event_texts(answer, request, ident, created), ident)
    whole = openai_chat.completion if request.api == "chat" else openai_responses.response
    return render_json(200, whole(answer, request, ident=ident, created=created), ident=ident)


def render_failure(failed: Failure, *, ident: str) -> Rendered:
    """Return an error in OpenAI's form.

    Args:
        failed: The error.
        ident: A text that no other reply has.
    """
    error = {"message": failed.message, "type": failed.kind, "param": failed.param, "code": failed.code}
    return render_json(failed.status, {"error": error}, ident=ident, headers=failed.headers)


def render_json(status: int, body: Json, *, ident: str, headers: Mapping[str, str] | None = None) -> Rendered:
    """Return a JSON answer.

    Args:
        status: HTTP status.
        body: The object.
        ident: A text that no other reply has.
        headers: Extra headers.
    """
    written = json.dumps(body).encode()
    described = {"Content-Type": "application/json", "Content-Length": str(len(written))}
    return Rendered(status, {**described, "x-request-id": f"req_{ident}", **(headers or {})}, written)


def models_page(names: Iterable[str], *, created: int) -> Json:
    """Return the body of `GET /v1/models`.

    Args:
        names: The models on offer.
        created: Seconds since 1970 (UTC).
    """
    listed = [{"id": name, "object": "model", "created": created, "owned_by": "adjourn"} for name in names]
    return {"object": "list", "data": listed}


def _event_texts(answer: Answer, request: ModelRequest, ident: str, created: int) -> list[str]:
    if request.api == "chat":
        given = openai_chat.chunks(answer, request, ident=ident, created=created)
        return [*(f"data: {json.dumps(chunk)}\n\n" for chunk in given), "data: [DONE]\n\n"]
    named = openai_responses.events(answer, request, ident=ident, created=created)
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in named]


def _stream(texts: list[str], ident: str) -> Rendered:
    # Chunked, as OpenAI does it: only so can a client tell a stream that was cut from one that ended.
    parts = [text.encode() for text in texts]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    headers = {"Content-Type": "text/event-stream; charset=utf-8", "Transfer-Encoding": "chunked"}
    return Rendered(200, {**headers, "x-request-id": f"req_{ident}"}, framed)
