"""Requests to agents, built from the state; and what of their answers is text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from ...state.council import Kind, Request
from ...state.values import JsonValue
from .members import Member

__all__ = ["findings", "request_for", "text_of"]


def request_for(member: Member, kind: Kind, state: Mapping[str, Any]) -> Request:
    """Return what every request to an agent holds.

    Args:
        member: Whom.
        kind: What for.
        state: The state; `task` wins over `main_task` in it.
    """
    request: Request = {
        "kind": kind,
        "agent": member.name,
        "role": member.agent.role,
        "task": str(state.get("task") or state.get("main_task") or ""),
        "material": state.get("material"),
        "notes": list(state.get("notes") or []),
    }
    if results := findings(state):
        request["results"] = results
    return request


def findings(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was found so far: subtask → who found it, and what; sorted."""
    results = cast("Mapping[str, Any]", state.get("execution_results") or {})
    return {
        name: {"agent": result["agent"], "output": result["output"]}
        for name, result in sorted(results.items())
        if result["status"] == "completed"
    }


def text_of(output: JsonValue) -> str:
    """Return an answer in words: its text, what stands under `answer`, or all of it as JSON."""
    if isinstance(output, str):
        return output.strip()
    if output is None:
        return ""
    if isinstance(output, dict) and isinstance(output.get("answer"), str):
        return str(output["answer"]).strip()
    return json.dumps(output, ensure_ascii=False, sort_keys=True)
