"""What the server is given: the project's own configuration, with our saver in it."""

import json
import socket
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from langgraph.graph import StateGraph

from adjourn import ConfigurationError
from adjourn.engine import studio
from adjourn.engine.studio_config import (
    SAVER,
    installed_config,
    read_config,
    with_our_saver,
    without_set_variables,
)
from adjourn.engine.studio_server import ServerOptions, open_server

ROOT = Path(__file__).parents[2]


def test_the_name_of_our_saver_leads_to_it() -> None:
    module, _, name = SAVER.rpartition(".")
    assert vars(import_module(module))[name] is studio.open_saver


def test_adjourns_own_file_serves_every_built_in_workflow_with_our_saver() -> None:
    config = read_config(ROOT / "langgraph.json")
    assert with_our_saver(config, "langgraph.json") == config
    assert set(config["graphs"]) == set(installed_config()["graphs"])


def test_without_a_project_the_installed_workflows_are_served() -> None:
    for target in installed_config()["graphs"].values():
        module, _, name = target.partition(":")
        assert isinstance(getattr(import_module(module), name), StateGraph)


@pytest.mark.parametrize(
    "checkpointer", [None, {}, {"path": SAVER}, {"path": "adjourn.engine.studio:open_saver"}, {"backend": "custom"}]
)
def test_a_project_without_another_checkpointer_gets_ours(checkpointer: Any) -> None:
    config = {"graphs": {"a": "./a.py:a"}, "checkpointer": checkpointer}
    assert with_our_saver(config, "x")["checkpointer"]["path"] == SAVER
    assert config["checkpointer"] is checkpointer


def test_the_rest_of_a_checkpointers_entry_is_kept() -> None:
    given = {"checkpointer": {"ttl": {"default_ttl": 60}}}
    assert with_our_saver(given, "x")["checkpointer"] == {"ttl": {"default_ttl": 60}, "path": SAVER}


@pytest.mark.parametrize("checkpointer", [{"path": "./mine.py:make"}, {"backend": "mongo"}, {"backend": "default"}])
def test_a_project_with_another_checkpointer_is_refused(checkpointer: Any) -> None:
    with pytest.raises(ConfigurationError, match="another checkpointer") as refused:
        with_our_saver({"checkpointer": checkpointer}, "/p/langgraph.json")
    assert "/p/langgraph.json" in str(refused.value)
    assert "langgraph dev" in str(refused.value)


def test_the_env_of_a_project_overrides_nothing_that_is_set_and_nothing_of_adjourns(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=file\nB=file\nADJOURN_DATABASE_URL=postgresql://elsewhere\n")
    for env in (".env", {"A": "file", "B": "file", "ADJOURN_DATABASE_URL": "postgresql://elsewhere"}):
        assert without_set_variables({"env": env}, tmp_path, {"A": "set"})["env"] == {"B": "file"}


def test_a_project_without_env_has_none(tmp_path: Path) -> None:
    assert without_set_variables({}, tmp_path, ())["env"] == {}


@pytest.mark.parametrize(("text", "said"), [(None, "There is no"), ("[]", "no JSON object"), ("{", "cannot be read")])
def test_a_file_that_is_no_configuration_is_refused(text: str | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "langgraph.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        read_config(file)


async def refused(options: ServerOptions) -> str:
    with pytest.raises(ConfigurationError) as error:
        async with open_server(options, None):
            raise AssertionError("a server was started")
    return str(error.value)


async def test_without_the_server_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adjourn.engine.studio_server.find_spec", lambda name: None)
    assert "pip install 'adjourn[studio]'" in await refused(ServerOptions())


async def test_a_port_that_is_taken_is_refused_with_its_number(tmp_path: Path) -> None:
    file = tmp_path / "langgraph.json"
    file.write_text(json.dumps({"graphs": {}}))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"Port {port} " in await refused(ServerOptions(file, port=port))
