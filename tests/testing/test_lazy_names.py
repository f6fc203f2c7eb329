"""`adjourn.testing` costs nothing until it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import adjourn.testing


def loaded_after(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after some code."""
    show = f"{code}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


HEAVY = {"langchain_core", "langgraph", "langchain", "openai"}


def test_importing_it_loads_no_langchain() -> None:
    assert not loaded_after("import adjourn.testing") & {*HEAVY, "http", "pydantic"}


def test_the_server_and_the_decider_need_no_langchain_either() -> None:
    assert not loaded_after("from adjourn.testing import Decider, ModelServer, replies") & HEAVY


@pytest.mark.parametrize("name", adjourn.testing.__all__)
def test_each_public_name_can_be_had(name: str) -> None:
    assert getattr(adjourn.testing, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = adjourn.testing.Nothing


def test_the_list_of_names_is_the_same_in_all_three_places() -> None:
    module = adjourn.testing
    assert sorted([*module._MODULE_OF, "replies"]) == sorted(module.__all__)
    assert set(module.__all__) <= set(dir(module))
