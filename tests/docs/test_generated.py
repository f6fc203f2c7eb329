"""Pages that are generated say what the code says."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

import adjourn
from adjourn import testing
from adjourn.engine import events

ROOT = Path(__file__).parents[2]


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return importlib.import_module("generate")


def test_generated_pages_are_up_to_date(generate: ModuleType) -> None:
    stale = [
        str(page.relative_to(ROOT))
        for page, text in generate.pages().items()
        if not page.exists() or page.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run `make docs`"


def test_every_public_name_stands_in_the_python_reference(generate: ModuleType) -> None:
    page = generate.python_page()
    names = {*adjourn.__all__, *testing.__all__, *events.__all__} - {"Settings"}
    assert [name for name in sorted(names) if f"### {name}" not in page and f"| `{name}` |" not in page] == []


def test_every_verb_of_the_engine_stands_in_the_python_reference(generate: ModuleType) -> None:
    verbs = [name for name, verb in vars(adjourn.Engine).items() if callable(verb) and not name.startswith("_")]
    page = generate.python_page()
    assert [name for name in verbs if f"### {name}()" not in page] == []
    assert len(verbs) > 10
