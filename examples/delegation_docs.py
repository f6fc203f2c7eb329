"""Check the links of a folder of Markdown files, and write a page of contents for it: a plan made of the files themselves.

    python -m adjourn.examples.delegation_docs docs contents.md

Each file is outlined (headings, links). A file's links are checked as soon as the files that it links to are outlined, not
when all are. The contents are written when all is checked; the last step, `accept`, fails when links are broken, and then
what was written is put back as it was. Killed at any moment, `adjourn recover` goes on where it was.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from adjourn import Engine, Run
from adjourn.graphs.delegation import build
from adjourn.nodes.delegation.agents import Brief
from adjourn.nodes.delegation.compensation import Undo

HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*#*$")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^\s*(```|~~~)")


def plan_of(folder: Path, output: Path) -> dict[str, Any]:
    """Return the plan for a folder.

    Args:
        folder: Where the Markdown files are.
        output: The page of contents that is to be written.
    """
    files = {name_of(file, folder): file for file in sorted(folder.rglob("*.md")) if file.resolve() != output.resolve()}
    subtasks: list[dict[str, Any]] = []
    for name, file in files.items():
        linked = sorted({name_of(target, folder) for target, _ in links_of(file)} & set(files) - {name})
        subtasks.append({"id": f"outline {name}", "agent": "outline", "input_data": {"file": str(file)}})
        subtasks.append(
            {
                "id": f"check {name}",
                "agent": "check",
                "input_data": {"file": str(file)},
                "dependencies": [f"outline {each}" for each in [name, *linked]],
            }
        )
    subtasks += [
        {
            "id": "contents",
            "agent": "contents",
            "input_data": {"folder": str(folder), "output": str(output)},
            "dependencies": [f"outline {name}" for name in files],
            "compensation": "put_back",
        },
        {
            "id": "accept",
            "agent": "accept",
            "dependencies": ["contents", *(f"check {name}" for name in files)],
            "error_recovery_strategy": "fail",
        },
    ]
    return {"main_task": f"Check {folder} and write {output.name}", "subtasks": subtasks}


def outline(brief: Brief) -> dict[str, Any]:
    """Return the headings of a file, with their anchors."""
    file = Path(brief.input_data["file"])
    headings = [(len(found[1]), found[2]) for line in prose(file) if (found := HEADING.match(line))]
    return {
        "file": str(file),
        "title": headings[0][1] if headings else file.stem,
        "anchors": [anchor_of(title) for _, title in headings],
        "sections": [title for level, title in headings if level == 2],
    }


def check(brief: Brief) -> dict[str, Any]:
    """Return the links of a file that lead nowhere."""
    file = Path(brief.input_data["file"])
    outlines = {Path(each["file"]).resolve(): each for each in brief.results.values()}
    broken = []
    for target, anchor in links_of(file):
        if not target.exists():
            broken.append(f"{target.name}: there is no such file")
        elif anchor and target.resolve() in outlines and anchor not in outlines[target.resolve()]["anchors"]:
            broken.append(f"{target.name}#{anchor}: there is no such heading")
    return {"file": str(file), "links": len(links_of(file)), "broken": broken}


def contents(brief: Brief) -> dict[str, Any]:
    """Write the page of contents; the result holds what was there before."""
    folder, output = Path(brief.input_data["folder"]), Path(brief.input_data["output"])
    lines = ["# Contents", ""]
    for each in sorted(brief.results.values(), key=lambda found: found["file"]):
        lines.append(f"- [{each['title']}]({Path(each['file']).relative_to(folder)})")
        lines += [f"  - {section}" for section in each["sections"]]
    before = output.read_text(encoding="utf-8") if output.exists() else None
    output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"output": str(output), "pages": len(brief.results), "before": before}


def accept(brief: Brief) -> dict[str, Any]:
    """Add up what was found.

    Raises:
        ValueError: Links are broken.
    """
    checked = [each for each in brief.results.values() if "links" in each]
    broken = [f"{each['file']} → {what}" for each in checked for what in each["broken"]]
    if broken:
        raise ValueError(f"{len(broken)} links are broken: {'; '.join(broken[:10])}")
    return {
        "files": len(checked),
        "links": sum(each["links"] for each in checked),
        "contents": brief.results["contents"],
    }


def put_back(undo: Undo) -> None:
    """Undo `contents`."""
    output, before = Path(undo.output_data["output"]), undo.output_data["before"]
    if before is None:
        output.unlink(missing_ok=True)
    else:
        output.write_text(before, encoding="utf-8")


def name_of(file: Path, folder: Path) -> str:
    """Return a file's name as an id of the plan, which holds no slash."""
    try:
        return str(file.resolve().relative_to(folder.resolve())).replace("/", ":")
    except ValueError:
        return str(file)


def links_of(file: Path) -> list[tuple[Path, str]]:
    """Return the files and anchors that a file links to; links to other machines are left out."""
    found = []
    for line in prose(file):
        for link in LINK.findall(line):
            path, _, anchor = link.partition("#")
            if "://" not in link and not link.startswith("mailto:"):
                found.append((file.parent / path if path else file, anchor))
    return found


def prose(file: Path) -> list[str]:
    """Return the lines of a file that are not code."""
    lines, fenced = [], False
    for line in file.read_text(encoding="utf-8").splitlines():
        if FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            lines.append(line if line.startswith("#") else re.sub(r"`[^`]*`", "", line))
    return lines


def anchor_of(title: str) -> str:
    """Return the anchor of a heading, as Git hosts make it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-")


AGENTS = {"outline": outline, "check": check, "contents": contents, "accept": accept}
graph = build(agents=AGENTS, compensations={"put_back": put_back}).compile(name="delegation_docs")


def work(folder: Path, output: Path, url: str | None = None) -> Run:
    """Check a folder and write its contents.

    Args:
        folder: Where the Markdown files are.
        output: The page of contents.
        url: The database; otherwise that of the settings.
    """
    with Engine.open(url, workflows={"delegation_docs": graph}) as engine:
        return engine.start("delegation_docs", {"plan": plan_of(folder, output)})


def main() -> int:
    """Work on the folder and the file that the command line names."""
    if len(sys.argv) != 3 or not Path(sys.argv[1]).is_dir():
        print("usage: python -m adjourn.examples.delegation_docs FOLDER CONTENTS.md", file=sys.stderr)
        return 2
    folder, output = (Path(each) for each in sys.argv[1:])
    run = work(folder, output)
    result = run.state.get("final_result") or {}
    print(f"{run.status}: {result.get('result') or (run.error or {}).get('message')}")
    if result:
        print(f"{result['makespan_seconds']:.2f} s; critical path {result['critical_path_seconds']:.2f} s")
    print(f"Look at its plan with: adjourn plan {run.thread_id}")
    return 0 if run.status == "completed" else 1


if __name__ == "__main__":
    raise SystemExit(main())
