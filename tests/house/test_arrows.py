"""The map of the project: which package may import which."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# package → the packages of ours that it may import; `errors` and `settings` are open to all but `state`'s data
ALLOWED = {
    "": {"engine", "errors", "settings", "state"},  # the root only names things for type checkers
    "errors": set(),
    "settings": {"errors"},
    "state": {"errors", "state"},
    "nodes": {"errors", "settings", "state", "nodes"},
    "graphs": {"errors", "settings", "state", "nodes", "graphs"},
    "checkpoints": {"errors", "settings", "checkpoints"},
    "engine": {"", "errors", "settings", "state", "nodes", "graphs", "checkpoints", "engine"},
    "cli": {"", "errors", "settings", "state", "engine", "cli"},
    "testing": {"", "errors", "settings", "state", "engine", "testing"},
    "examples": {"", "errors", "settings", "state", "nodes", "graphs", "engine"},
}


def modules() -> list[Path]:
    folders = [ROOT / name for name in ALLOWED if (ROOT / name).is_dir() and name]
    return [*ROOT.glob("*.py"), *(path for folder in folders for path in folder.rglob("*.py"))]


def holding(*words: str) -> dict[Path, ast.Module]:
    """The modules in which one of these words stands, read; to read them all takes a second."""
    texts = {path: path.read_text(encoding="utf-8") for path in modules()}
    return {path: ast.parse(text) for path, text in texts.items() if any(word in text for word in words)}


def package_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return {"__init__.py": ""}.get(first, first.removesuffix(".py"))


def imported(path: Path) -> set[str]:
    """The packages of ours that a file imports, at its top, inside functions, and for type checkers."""
    return imports_in(path.read_text(encoding="utf-8"), ("adjourn", *path.relative_to(ROOT).with_suffix("").parts))


def imports_in(code: str, inside: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {
                target(tuple(name.name.split("."))) for name in node.names if name.name.split(".")[0] == "adjourn"
            }
        elif isinstance(node, ast.ImportFrom):
            found |= from_import(node, inside)
    return found


def from_import(node: ast.ImportFrom, inside: tuple[str, ...]) -> set[str]:
    base = tuple((node.module or "").split(".")) if node.module else ()
    if node.level == 0:
        return {target(base)} if base[:1] == ("adjourn",) else set()
    package = inside[:-1]  # of `a/b.py` and of `a/__init__.py` alike
    full = package[: len(package) - node.level + 1] + base
    return {target((*full, name.name)) if len(full) == 1 else target(full) for name in node.names}


def target(parts: tuple[str, ...]) -> str:
    if len(parts) == 1:
        return ""
    return parts[1] if parts[1] in ALLOWED else ""


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_package_may(path: Path) -> None:
    package = package_of(path)
    assert imported(path) <= ALLOWED[package], f"{path.relative_to(ROOT)} points against the arrows of the design"


def test_inside_the_package_imports_are_relative() -> None:
    absolute = [
        str(path.relative_to(ROOT))
        for path, tree in holding("from adjourn").items()
        if package_of(path) not in ("examples",)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "adjourn"
    ]
    assert absolute == []


@pytest.mark.parametrize(
    ("code", "points_at"),
    [
        ("def late():\n    from ..engine.model import Run\n", {"engine"}),
        ("from .. import engine\n", {"engine"}),
        ("import adjourn.cli.main\n", {"cli"}),
        ("from adjourn.nodes import analysis\n", {"nodes"}),
        ("from ..errors import AdjournError\n", {"errors"}),
        ("from . import decisions\n", {"state"}),
        ("from .. import __version__\n", {""}),
        ("import json\n", set()),
    ],
)
def test_the_guard_sees_every_form_of_import(code: str, points_at: set[str]) -> None:
    assert imports_in(code, ("adjourn", "state", "example")) == points_at


def test_only_settings_reads_the_environment() -> None:
    readers = [
        str(path.relative_to(ROOT))
        for path, tree in holding("environ", "getenv").items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr in ("environ", "getenv")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    ]
    assert set(readers) <= {"settings.py"}
