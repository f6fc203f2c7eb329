"""graph, workflows, doctor: what is here, and whether it works. None of them needs a database but doctor's look at it."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from adjourn.checkpoints.inspection import Found
from adjourn.cli.main import run_command

from .conftest import Command, Said

GOOD = """
print("said while it is imported")
from typing import TypedDict
from langgraph.graph import END, START, StateGraph

class Order(TypedDict):
    amount: int

graph = StateGraph(Order)
graph.add_node("pay", lambda order: order)
graph.add_edge(START, "pay")
graph.add_edge("pay", END)
"""


@pytest.fixture
def here(
    tmp_path: Path, samples: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Said]:
    """Run the command in a folder of its own, where a database cannot be reached."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("ADJOURN_DATABASE_URL", "postgresql://kim:geheim@127.0.0.1:1/none")

    def run(*arguments: str) -> Said:
        capsys.readouterr()
        code = run_command(arguments)
        return Said(int(code), *capsys.readouterr())

    return run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write a LangGraph project into the working folder."""

    def write(**graphs: str) -> None:
        for name, code in graphs.items():
            (tmp_path / f"{name}.py").write_text(code)
        listed = {name: f"./{name}.py:graph" for name in graphs}
        (tmp_path / "langgraph.json").write_text(json.dumps({"dependencies": ["."], "graphs": listed}))

    monkeypatch.setattr(sys, "path", list(sys.path))
    return write


def state_of(said: Said, name: str) -> tuple[str, str]:
    return next(
        (item["state"], f"{item['found']} {item['mend']}") for item in said.json["items"] if item["name"] == name
    )


def test_a_graph_is_drawn_without_a_database(here: Command) -> None:
    said = here("graph", "review")
    assert said.code == 0
    assert "│  analyze  │" in said.out
    assert here("graph", "review", "--format", "mermaid").out.startswith("graph TD;\n    __start__ --> analyze;")


@pytest.mark.parametrize(
    ("name", "begins"),
    [("g.svg", b"<svg "), ("g.png", b"\x89PNG"), ("g.mmd", b"graph TD;"), ("g.txt", b"  "), ("g", b"  ")],
)
def test_the_name_of_the_file_says_the_format(here: Command, tmp_path: Path, name: str, begins: bytes) -> None:
    said = here("graph", "review", "--output", name)
    assert (said.code, said.out, said.err) == (0, "", f"Wrote {name}.\n")
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_a_graph_as_json_names_nodes_edges_and_the_file(here: Command, tmp_path: Path) -> None:
    said = here("graph", "colour", "--output", "g.svg", "--json").json
    assert said["nodes"] == ["__start__", "ask_colour", "__end__"]
    assert said["edges"][0] == {"from": "__start__", "to": "ask_colour", "conditional": False}
    assert (said["output"], (tmp_path / "g.svg").exists()) == ("g.svg", True)


def test_a_file_that_cannot_be_written_and_an_unknown_workflow_are_refused(here: Command) -> None:
    refused = here("graph", "review", "--output", "no/such/folder/g.svg")
    assert (refused.code, "cannot be written" in refused.err) == (2, True)
    assert here("graph", "reviw").code == 4


def test_without_pillow_a_png_is_refused_with_what_to_install(here: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    refused = here("graph", "review", "--output", "g.png")
    assert (refused.code, "pip install 'adjourn[png]'" in refused.err) == (2, True)


def test_workflows_are_shown_with_their_origin_and_input(here: Command) -> None:
    lines = [line.split() for line in here("workflows").out.splitlines()]
    at = lines.index(["counting", "1"])
    assert lines[at + 1] == ["from", "the", "entry", "point", "cli_samples:counting"]
    assert lines[at + 2] == ["input", "count", "(int),", "text", "(str)"]


def test_a_workflow_that_does_not_load_is_shown_with_the_reason(here: Command, project: Callable[..., None]) -> None:
    project(ground_good=GOOD, ground_bad="import ground_nowhere", ground_quits="raise SystemExit(3)")
    said = here("workflows", "--json")
    assert (said.code, "said while it is imported" in said.err) == (0, True)
    found = {item["name"]: item for item in said.json["items"]}
    assert found["ground_good"]["problem"] is None
    assert found["ground_good"]["input"] == [{"key": "amount", "type": "int", "required": False}]
    assert "No module named 'ground_nowhere'" in found["ground_bad"]["problem"]
    assert "SystemExit" in found["ground_quits"]["problem"]
    assert "ground_bad 1  does not load" in here("workflows").out


def test_the_doctor_is_content_with_a_machine_that_works(cli: Command, database: str) -> None:
    said = cli("doctor")
    assert said.code == 0
    assert {line.split()[0] for line in said.out.splitlines() if not line.startswith(" ")} == {"ok"}
    assert "tables up to date" in said.out
    assert cli("doctor", "--json").json["ok"] is True


def test_the_doctor_names_a_database_that_does_not_answer_without_its_password(here: Command) -> None:
    said = here("doctor", "--json")
    assert said.code == 2
    state, found = state_of(said, "database")
    assert (state, "Connection refused" in found) == ("problem", True)
    assert "geheim" not in said.out + here("doctor").out


def test_the_doctor_changes_nothing_in_a_fresh_database(cli: Command, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create database fresh_for_doctor")
        try:
            url = database.replace(f"/{connection.info.dbname}", "/fresh_for_doctor")
            state, found = state_of(cli("doctor", "--database", url, "--json"), "database")
            assert (state, "by the next run" in found) == ("ok", True)
            with psycopg.connect(url) as fresh:
                assert fresh.execute("select count(*) from pg_namespace where nspname = 'adjourn'").fetchone() == (0,)
        finally:
            connection.execute("drop database fresh_for_doctor")


def test_the_doctor_sees_a_role_without_rights(cli: Command, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create role doctors_guest login password 'x'")
        try:
            url = f"{database}&user=doctors_guest&password=x"
            state, found = state_of(cli("doctor", "--database", url, "--json"), "database")
        finally:
            connection.execute("drop role doctors_guest")
    assert (state, "ON SCHEMA adjourn TO doctors_guest" in found) == ("problem", True)


def test_the_doctor_looks_at_the_place_of_the_embedded_server(
    here: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ADJOURN_DATABASE_URL")
    monkeypatch.setenv("ADJOURN_HOME", "/var/lib/adjourn-doctor-test/home")
    said = here("doctor", "--json")
    assert not Path("/var/lib/adjourn-doctor-test").exists()
    (tmp_path / "file").touch()
    monkeypatch.setenv("ADJOURN_HOME", str(tmp_path / "file" / "home"))
    state, found = state_of(here("doctor", "--json"), "database")
    assert (state, "is no folder" in found) == ("problem", True)
    assert state_of(said, "database")[0] in ("ok", "problem")  # by the rights of whoever runs the tests


@pytest.mark.parametrize(
    ("variable", "value", "check", "says"),
    [
        ("ADJOURN_MODEL", "openai:gpt-5-mini", "model", "OPENAI_API_KEY"),
        ("ADJOURN_ENCRYPTION_KEY", "short", "encryption", "ADJOURN_ENCRYPTION_KEY"),
        ("ADJOURN_POOL_SIZE", "many", "settings", "ADJOURN_POOL_SIZE is not usable"),
    ],
)
def test_the_doctor_names_the_setting_to_mend(
    cli: Command, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, check: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    said = cli("doctor", "--json")
    state, found = state_of(said, check)
    assert (said.code, state, says in found) == (2, "problem", True)


def test_the_doctor_looks_at_the_project_of_the_folder(
    here: Command, project: Callable[..., None], tmp_path: Path
) -> None:
    project(doctor_bad="import doctor_nowhere")
    said = here("doctor", "--json")
    assert state_of(said, "langgraph.json")[0] == "ok"
    assert "doctor_nowhere" in state_of(said, "workflow doctor_bad")[1]
    (tmp_path / "langgraph.json").write_text('{"dependencies": ["no-such-package>=3"], "graphs": {}, "env": ".env"}')
    assert "pip install 'no-such-package>=3'" in state_of(here("doctor", "--json"), "langgraph.json")[1]
    (tmp_path / "langgraph.json").write_text('{"graphs": {}, "env": ".env"}')
    assert state_of(here("doctor", "--json"), "langgraph.json")[0] == "warning"
    (tmp_path / "langgraph.json").write_text("{")
    broken = here("doctor", "--json")
    assert (broken.code, state_of(broken, "langgraph.json")[0]) == (2, "problem")


def test_a_check_that_fails_by_itself_is_a_problem_and_the_others_go_on(
    cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adjourn.engine import checkup

    def broken(_: str) -> None:
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(checkup, "check_model", broken)
    monkeypatch.setenv("ADJOURN_MODEL", "openai:x")
    said = cli("doctor", "--json")
    assert "nobody thought of this" in state_of(said, "model")[1]
    assert state_of(said, "workflows")[0] == "ok"


def test_the_doctor_looks_at_what_finds_past_cases(
    cli: Command, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert state_of(cli("doctor", "--json"), "past cases")[0] == "ok"
    monkeypatch.setenv("ADJOURN_EMBEDDING_MODEL", "openai:text-embedding-3-small")
    state, found = state_of(cli("doctor", "--json"), "past cases")
    assert (state, "OPENAI_API_KEY" in found) == ("problem", True)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    assert state_of(cli("doctor", "--json"), "past cases")[0] == "ok"
    monkeypatch.setattr("adjourn.engine.checkup.inspect_database", without_pgvector)
    state, found = state_of(cli("doctor", "--json"), "database")
    assert (state, "CREATE EXTENSION vector" in found) == ("problem", True)
    monkeypatch.setenv("ADJOURN_CASE_LANGUAGE", "klingon")
    assert "one of: " in state_of(cli("doctor", "--json"), "past cases")[1]


async def without_pgvector(*given: object) -> Found:
    return Found("18", "kim", "work", read_only=False, missing=0, refused=None, closed_tables=(), vectors=False)
