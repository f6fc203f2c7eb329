"""Every block in README and docs is executed: a page's blocks in order, in one fresh folder and one namespace.

A block may stand below `<!-- not run: why -->`; everything else runs against a fresh database. In bash blocks `adjourn` and
`python` begin as forks of a process that has imported adjourn (support/forking.py); in the README's first, which is what
people try first, they are the installed programs.
"""

import ast
import asyncio
import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from support.blocks import blocks_of
from support.forking import fork_server

INSTALLED = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_blocks_of_a_page_run(
    page: Path, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADJOURN_DATABASE_URL", database)
    monkeypatch.setattr(sys, "path", list(sys.path))  # a project that a page builds is importable on that page only
    installed = os.pathsep.join([str(INSTALLED), os.environ["PATH"]])
    forked = os.pathsep.join([str(fork_server()), installed])
    path = installed if page.name == "README.md" else forked
    namespace: dict[str, Any] = {"__name__": "__main__"}
    request.addfinalizer(lambda: forget_modules(tmp_path))
    with patch.dict(os.environ), asyncio.Runner() as loop:
        for block in blocks_of(page):
            where = f"{page.relative_to(ROOT)}:{block.line}"
            if block.not_run is not None:
                continue
            if block.kind == "python":
                run_python("\n" * block.line + block.code, where, namespace, loop)
            else:
                assert run_shell(block.code, where, path) == ""
                path = forked


def forget_modules(folder: Path) -> None:
    """Forget what was imported from a folder: another page may build a project of the same name."""
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


def run_python(code: str, where: str, namespace: dict[str, Any], loop: asyncio.Runner) -> None:
    """Run a block; what awaits at its top level shares one event loop with the rest of its page, as in a notebook."""
    compiled = compile(code, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    waiting = eval(compiled, namespace)
    if inspect.iscoroutine(waiting):
        loop.run(waiting)


def run_shell(code: str, where: str, path: str) -> str:
    """Run a block; the programs of a search path are found. Returns what went wrong; nothing if it ended well."""
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", code], capture_output=True, text=True, env=environment)
    return f"{where}\n{code}\n{done.stdout}\n{done.stderr}" if done.returncode else ""


def test_a_failing_block_would_be_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text\n```bash\nfalse\n```\n<!-- not run: why -->\n```python\nboom\n```\n```python\nx = 1\n```\n")
    first, second, third = blocks_of(page)
    assert [block.kind for block in (first, second, third)] == ["bash", "python", "python"]
    assert (first.not_run, second.not_run, third.not_run) == (None, "why", None)
    assert run_shell(first.code, "page", os.environ["PATH"]).startswith("page\nfalse")
    assert run_shell("true", "page", os.environ["PATH"]) == ""


def test_every_link_to_a_file_leads_somewhere() -> None:
    import re

    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
