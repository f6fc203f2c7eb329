"""Prompts of the model-backed nodes, one file each."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["load_prompt"]


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
