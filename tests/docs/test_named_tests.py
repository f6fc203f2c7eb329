"""The tests that pages name as their proof are there."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAULTS = ROOT / "docs" / "explanation" / "what-happens-when.md"
NAMED = re.compile(r"\[`(test_\w+)`\]\(([^)#]+\.py)\)")
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if NAMED.search(page.read_text(encoding="utf-8"))]


@cache
def names_in(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


def missing(page: Path) -> list[str]:
    named = NAMED.findall(page.read_text(encoding="utf-8"))
    files = [(name, (page.parent / target).resolve()) for name, target in named]
    return [f"{file.name}: {name}" for name, file in files if not file.is_file() or name not in names_in(file)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_test_that_a_page_names_exists(page: Path) -> None:
    assert missing(page) == []


def test_every_fault_of_the_table_names_its_test() -> None:
    lines = FAULTS.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith(("| ---", "| What happens |"))]
    assert len(rows) > 40
    assert [row for row in rows if not NAMED.search(row)] == []


def test_a_test_that_is_gone_would_be_noticed(tmp_path: Path) -> None:
    (tmp_path / "test_some.py").write_text("async def test_there():\n    pass\n")
    page = tmp_path / "page.md"
    page.write_text("[`test_there`](test_some.py) [`test_gone`](test_some.py) [`test_there`](test_none.py)")
    assert missing(page) == ["test_some.py: test_gone", "test_none.py: test_there"]
