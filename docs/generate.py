"""Writes what the documentation takes from the code: settings, the Python API, pictures of graphs, options of commands.

`make docs` runs it; tests/docs/test_generated.py fails when a page is not what it would write.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import typer
from python_reference import python_page

from adjourn.cli.main import app
from adjourn.graphs import BUILT_IN
from adjourn.graphs.adaptive import graph as adaptive
from adjourn.graphs.council import graph as council
from adjourn.graphs.delegation import graph as delegation
from adjourn.graphs.review import graph as review
from adjourn.settings import Settings

ROOT = Path(__file__).parents[1]
SHARED = ("as_json", "database", "debug", "help")
GRAPHS: dict[str, Any] = {"adaptive": adaptive, "council": council, "delegation": delegation, "review": review}
MARK = re.compile(r"<!-- graph: (\w+) -->\n(?:```mermaid\n.*?```\n)?", re.DOTALL)
OPTIONS = re.compile(r"<!-- options: ([\w -]+) -->\n(?:\|[^\n]*\n|\n)*")


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


def with_options(text: str) -> str:
    """Put the arguments and options of each command below its mark; those that all commands share are left out."""
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]

    def table(found: re.Match[str]) -> str:
        first, *rest = found[1].split()
        command = commands[first]
        for name in rest:
            command = command.commands[name]
        rows = [row for parameter in command.params if (row := option_row(parameter, command))]
        rows = rows or ["| none of its own | |"]
        head = [found[0].split("\n")[0], "", "| Argument or option | Meaning |", "| --- | --- |"]
        return "\n".join([*head, *rows, "", ""])

    return OPTIONS.sub(table, text)


def option_row(parameter: Any, command: Any) -> str | None:
    if parameter.name in SHARED:
        return None
    metavar = parameter.metavar or ("" if getattr(parameter, "is_flag", False) else choices(parameter))
    name = metavar if parameter.param_type_name == "argument" else f"{parameter.opts[0]} {metavar}".strip()
    default = f" Default: {parameter.default}." if type(parameter.default) is int else ""
    return f"| `{name}` | {parameter.help}{' Required.' if parameter.required else ''}{default} |"


def choices(parameter: Any) -> str:
    values = getattr(parameter.type_descriptor, "choices", None)
    return "\\|".join(str(getattr(value, "value", value)) for value in values) if values else parameter.name.upper()


def pages() -> dict[Path, str]:
    """Return every page that is written here, or partly written, with its text."""
    reference = ROOT / "docs" / "reference"
    written = {reference / "settings.md": settings_page(), reference / "python.md": python_page()}
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = page.read_text(encoding="utf-8")
        if MARK.search(text) or OPTIONS.search(text):
            written[page] = with_options(with_graphs(text))
    return written


def main() -> None:
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")
        print(f"wrote {page.relative_to(ROOT)}", file=sys.stderr)


assert set(GRAPHS) == set(BUILT_IN), "a workflow has no picture"

if __name__ == "__main__":
    main()
