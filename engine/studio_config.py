"""The configuration that `adjourn studio` gives to LangGraph's server: the project's own, with our saver in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from dotenv import dotenv_values

from ..errors import ConfigurationError
from ..graphs import BUILT_IN
from .registry import GROUP

__all__ = ["FILE", "SAVER", "STORE", "installed_config", "read_config", "with_our_saver", "without_set_variables"]

FILE: Final = "langgraph.json"
# The server reads the module from before the last dot (langgraph-api 0.16.7), although it documents a colon there.
SAVER: Final = f"{__package__}.studio.open_saver"
STORE: Final = f"{__package__}.studio.open_store"
_NAMES_OF_OURS: Final = (SAVER, f"{__package__}.studio:open_saver")


def read_config(file: Path) -> dict[str, Any]:
    """Read a `langgraph.json`.

    Raises:
        ConfigurationError: It is not there, or holds no JSON object.
    """
    try:
        config = json.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigurationError(f"There is no {file}; name the project's langgraph.json with --config.") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}. It must hold a JSON object.") from None
    if not isinstance(config, dict):
        raise ConfigurationError(f'{file} holds no JSON object; write {{"graphs": {{"name": "./file.py:graph"}}}}.')
    return config


def installed_config() -> dict[str, Any]:
    """Return a configuration that serves the workflows which are installed: adjourn's, and those of entry points."""
    package = __package__.rpartition(".")[0]
    graphs = {name: f"{package}.graphs.{target}" for name, target in BUILT_IN.items()}
    graphs |= {point.name: point.value for point in entry_points(group=GROUP)}
    return {"dependencies": ["."], "graphs": graphs}


def with_our_saver(config: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Return a configuration whose checkpointer is ours, and whose store is ours unless it names another.

    Args:
        config: The project's.
        file: Where it comes from, for the message.

    Raises:
        ConfigurationError: It names another checkpointer; threads that it stores are not ours to show.
    """
    named = config.get("checkpointer") or {}
    path, backend = (named.get("path"), named.get("backend")) if isinstance(named, dict) else (named, None)
    if (path is not None and path not in _NAMES_OF_OURS) or backend not in (None, "custom"):
        raise ConfigurationError(
            f"{file} names another checkpointer ({path or backend}), and adjourn keeps its threads with its own. "
            f'Take "checkpointer" out of it, or name {SAVER!r} there; or run that project with langgraph dev.'
        )
    return {**config, "checkpointer": {**named, "path": SAVER}, "store": {"path": STORE, **(config.get("store") or {})}}


def without_set_variables(config: Mapping[str, Any], folder: Path, already: Iterable[str]) -> dict[str, Any]:
    """Return a configuration whose `env` overrides nothing that is set, and none of adjourn's own settings.

    The server would let it: the saver in it could then open another database than the one that is looked at here.

    Args:
        config: The project's.
        folder: Where it lies; a file that `env` names is relative to it.
        already: The names that are set.
    """
    env = config.get("env") or {}
    named = dotenv_values(folder / env) if isinstance(env, str) else env
    taken = set(already)
    kept = {
        name: value for name, value in named.items() if name not in taken and not name.upper().startswith("ADJOURN_")
    }
    return {**config, "env": {name: value for name, value in kept.items() if value is not None}}
