"""What the benchmarks' commands share: options, the line that says where was measured, and the files they write."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser for the options that every benchmark has: `quick`, `url` and `out`."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a short run that proves that it works")
    parser.add_argument("--url", help="a PostgreSQL server to use; default: an embedded one, thrown away afterwards")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results", help="folder for what is written"
    )
    return parser


def where(machine: dict[str, Any]) -> str:
    """Say where was measured; see `machine.describe`."""
    return f"{machine['processors']} processors, {machine['processor']}; PostgreSQL {machine['postgres']}"


def write(folder: Path, name: str, figures: dict[str, Any], page: list[str]) -> None:
    """Write figures as JSON, and a page for people.

    Args:
        folder: Where; it is made.
        name: Of both files.
        figures: JSON-safe.
        page: The lines of the page, in Markdown.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n")
    (folder / f"{name}.md").write_text("\n".join([*page, ""]))
