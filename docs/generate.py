"""Writes what the documentation takes from the code: the page of settings, and the pictures of graphs.

`make docs` runs it; tests/docs/test_generated.py fails when a page is not what it would write.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from adjourn.graphs import BUILT_IN
from adjourn.graphs.review import graph as review
from adjourn.settings import Settings

ROOT = Path(__file__).parents[1]
GRAPHS: dict[str, Any] = {"review": review}
MARK = re.compile(r"<!-- graph: (\w+) -->\n(?:```mermaid\n.*?```\n)?", re.DOTALL)


def settings_page() -> str:
    rows = ["| Variable | Meaning | Default |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = "unset" if field.default is None else f"`{field.default}`"
        if field.default_factory is not None:
            default = "the user's data folder"
        rows.append(f"| `ADJOURN_{name.upper()}` | {field.description} | {default} |")
    return "\n".join(
        [
            "# Settings",
            "",
            "Settings are environment variables, or a `Settings` object given to `Engine.open(settings=…)`.",
            "Nothing else in adjourn reads the environment. Secrets are masked wherever settings are shown.",
            "",
            "This page is generated from `settings.py`.",
            "",
            *rows,
            "",
            "Chat models read the variables of their providers too, such as `OPENAI_API_KEY` and `OPENAI_BASE_URL`.",
            "",
            "```python",
            "from adjourn import Settings",
            "",
            'print(Settings(database_url="postgresql://kim:secret@localhost/work"))  # the password is masked',
            "```",
            "",
        ]
    )


def with_graphs(text: str) -> str:
    """Put the picture of each graph below its mark."""

    def picture(found: re.Match[str]) -> str:
        drawn = GRAPHS[found[1]].get_graph().draw_mermaid(with_styles=False).replace("\t", "    ")
        return f"<!-- graph: {found[1]} -->\n```mermaid\n{drawn}```\n"

    return MARK.sub(picture, text)


def pages() -> dict[Path, str]:
    """Return every page that is written here, or partly written, with its text."""
    written = {ROOT / "docs" / "reference" / "settings.md": settings_page()}
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        if MARK.search(text):
            written[page] = with_graphs(text)
    return written


def main() -> None:
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")
        print(f"wrote {page.relative_to(ROOT)}", file=sys.stderr)


assert set(GRAPHS) == set(BUILT_IN), "a workflow has no picture"

if __name__ == "__main__":
    main()
