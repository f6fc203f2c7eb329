"""A request to the loopback server, and what a script or a test wants to know of it, in both APIs alike."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

__all__ = ["Api", "Json", "ModelRequest", "mask_headers"]

Json: TypeAlias = dict[str, Any]
Api = Literal["chat", "responses"]

_SECRET_HEADERS = frozenset({"authorization", "api-key", "x-api-key", "cookie"})


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers by lower-case name, with the secret ones masked.

    Args:
        headers: As they came.
    """
    return {name.lower(): "***" if name.lower() in _SECRET_HEADERS else value for name, value in headers.items()}


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One call of the model as it came over the wire.

    Args:
        api: `chat` for chat completions, `responses` for responses.
        body: The JSON body.
        headers: By lower-case name; secrets are masked.
    """

    api: Api
    body: Json
    headers: Mapping[str, str]

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.body.get("model", ""))

    @property
    def streaming(self) -> bool:
        """Whether the answer is to come as events."""
        return bool(self.body.get("stream"))

    @property
    def messages(self) -> list[tuple[str, str]]:
        """The conversation as (role, text): system, developer, user, assistant and tool, oldest first.

        Calls of tools have no text and are left out; their results have the role `tool`.
        """
        given = [("system", str(text))] if (text := self.body.get("instructions")) else []
        return given + [_spoken(item) for item in self.items if _is_spoken(item)]

    @property
    def items(self) -> list[Json]:
        """The messages or input items as they came; a plain text counts as one message of the user."""
        given = self.body.get("messages" if self.api == "chat" else "input", [])
        if isinstance(given, str):
            return [{"role": "user", "content": given}]
        return [item for item in given if isinstance(item, dict)] if isinstance(given, list) else []

    @property
    def last_text(self) -> str:
        """What the user said last; empty if nothing."""
        return next((text for role, text in reversed(self.messages) if role == "user"), "")

    @property
    def tool_results(self) -> list[str]:
        """The texts that tools returned, oldest first."""
        return [text for role, text in self.messages if role == "tool"]

    @property
    def tools(self) -> list[Json]:
        """The functions on offer: name, description, parameters, strict."""
        given = [tool for tool in self.body.get("tools") or [] if tool.get("type") == "function"]
        return [tool.get("function", tool) for tool in given]

    @property
    def forced_tool(self) -> str | None:
        """The one tool that must be called; None where the model may choose."""
        choice = self.body.get("tool_choice")
        if isinstance(choice, dict):
            name = choice.get("function", choice).get("name")
            return str(name) if name else None
        names = [tool["name"] for tool in self.tools]
        return names[0] if choice == "required" and len(names) == 1 else None

    @property
    def output_format(self) -> Json:
        """The format that is asked for: `{"type": "json_schema", "name": …, "schema": …, "strict": …}`, or empty."""
        if self.api == "responses":
            return dict((self.body.get("text") or {}).get("format") or {})
        given = dict(self.body.get("response_format") or {})
        return {**given, **given.pop("json_schema", {})}

    @property
    def schema_name(self) -> str | None:
        """The name of the object that is asked for, by format or by a forced tool; None for free text."""
        return self.output_format.get("name") or self.forced_tool

    def words(self) -> int:
        """Count the words of the conversation, which stand in for tokens."""
        return sum(len(text.split()) for _, text in self.messages)


def _is_spoken(item: Json) -> bool:
    return "role" in item or item.get("type") == "function_call_output"


def _spoken(item: Json) -> tuple[str, str]:
    if item.get("type") == "function_call_output":
        return "tool", _text_of(item.get("output"))
    return str(item["role"]), _text_of(item.get("content"))


def _text_of(content: Any) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(_texts(content)) if isinstance(content, list) else json.dumps(content)


def _texts(parts: list[Any]) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            yield str(part.get("text") or part.get("refusal") or "")
