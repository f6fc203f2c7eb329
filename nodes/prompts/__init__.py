"""Prompts and personas of the model-backed nodes, one file each.

`versions.json` holds the version of each, with the SHA-256 of its text; a test wants a new version for a changed text.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

__all__ = ["load_prompt", "prompt_version"]


@cache
def load_prompt(name: str) -> str:
    """Load a prompt, once per process.

    Args:
        name: The name of the file beside this one, without `.md`.

    Returns:
        Its text without white space at the ends.

    Raises:
        FileNotFoundError: There is no such prompt, which is a mistake in the calling code.
    """
    return files(__package__).joinpath(f"{name}.md").read_text(encoding="utf-8").strip()


def prompt_version(name: str) -> int:
    """Return the version of a prompt.

    Args:
        name: As in `load_prompt`.
    """
    return int(_versions()[name]["version"])


@cache
def _versions() -> dict[str, dict[str, str | int]]:
    found: dict[str, dict[str, str | int]] = json.loads(files(__package__).joinpath("versions.json").read_text("utf-8"))
    return found
