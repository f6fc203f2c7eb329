"""Logs: structlog throughout, with thread, workflow and node on every line, secrets masked, on standard error."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from langchain_core.runnables.config import var_child_runnable_config

from ..settings import Settings

__all__ = ["add_run", "configure_logs", "mask_secrets"]

_SECRET_NAME = re.compile(
    r"password|passwd|secret|(^|_)token$|api_?key|authorization|credential|private_?key", re.IGNORECASE
)
_SECRET_IN_URL = re.compile(r"(\w+://[^\s:/@]*):[^\s@]+@")
_SECRET_VALUE = re.compile(r"\b(sk-[\w-]{4})[\w-]{8,}|\b(Bearer )\S+", re.IGNORECASE)

EventDict = MutableMapping[str, Any]


def configure_logs(settings: Settings) -> None:
    """Set structlog up, unless the application has done so already."""
    if structlog.is_configured():
        return
    console = settings.log_format == "console"
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            add_run,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask_secrets,
            # structlog 25 warns of a traceback that is text already, unless plain text is what is asked for
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
            if console
            else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.log_level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def add_run(_: Any, __: str, event: EventDict) -> EventDict:
    """Add the thread and the node to a line that is written inside a node, wherever the node runs."""
    config = var_child_runnable_config.get()
    if config:
        metadata = config.get("metadata") or {}
        if node := metadata.get("langgraph_node"):
            event.setdefault("node", node)
        if thread := (config.get("configurable") or {}).get("thread_id"):
            event.setdefault("thread", thread)
    return event


def mask_secrets(_: Any, __: str, event: EventDict) -> EventDict:
    """Mask values whose name says that they are secret, and passwords and keys inside texts."""
    return {name: "***" if _SECRET_NAME.search(name) else _masked(value) for name, value in event.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        value = _SECRET_IN_URL.sub(r"\1:***@", value)
        return _SECRET_VALUE.sub(lambda found: f"{found[1] or found[2]}***", value)
    if isinstance(value, dict):
        return mask_secrets(None, "", value)
    if isinstance(value, list | tuple):
        return [_masked(item) for item in value]
    return value
