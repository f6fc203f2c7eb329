"""`langgraph.json`: read when an engine is opened, its code imported only when a run needs it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from anygraph.graphs import ask, graph_of

from adjourn import AsyncEngine, ConfigurationError, Settings, UnknownWorkflow
from adjourn.engine.langgraph_json import read_project
from adjourn.engine.project_code import missing_packages
from adjourn.engine.registry import Registry
from adjourn.settings import export_environment
from support.processes import child

TESTS = str(Path(__file__).parents[1])

ASKING = """
    from typing import TypedDict
    from langgraph.graph import END, START, StateGraph
    from langgraph.types import interrupt

    class State(TypedDict, total=False):
        said: str

    def builder(*nodes):
        made = StateGraph(State)
        for node in nodes:
            made.add_node(node.__name__, node)
            made.add_edge(START, node.__name__)
        return made

    def ask(state):
        return {"said": f"{__name__} {interrupt('Go on?')}"}

    graph = builder(ask)
    compiled = graph.compile()
"""


def write(folder: Path, **files: str) -> Path:
    """Write files; two underscores stand for a slash, one before `py` or `json` for the dot."""
    import textwrap

    for name, text in files.items():
        path = folder / (name.replace("__", "/").removesuffix("_py").replace("INIT", "__init__"))
        path = path.with_suffix(".py") if name.endswith("_py") else path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder


def project(folder: Path, content: dict[str, Any] | str, **files: str) -> Path:
    write(folder, **files)
    text = content if isinstance(content, str) else json.dumps(content, indent=2)
    (folder / "langgraph.json").write_text(text)
    return folder


def settings(folder: Path) -> Settings:
    return Settings(project=folder)


# -- reading


def test_a_folder_without_the_file_is_no_project(tmp_path: Path) -> None:
    assert read_project(tmp_path) is None


def test_graphs_are_named_in_every_form(tmp_path: Path) -> None:
    graphs = {
        "file": "./agent.py:graph",
        "module": "my_agent.main:make",
        "object": {"path": "src/agent.py:graph", "description": "Answers letters."},
        "script": "./agent.ts:graph",
    }
    found = read_project(project(tmp_path, {"graphs": graphs, "python_version": "3.11", "http": {"app": "x"}}))
    assert found is not None
    read = {name: (entry.target, entry.is_file, entry.description) for name, entry in found.graphs.items()}
    assert read == {
        "file": ("./agent.py:graph", True, None),
        "module": ("my_agent.main:make", False, None),
        "object": ("src/agent.py:graph", True, "Answers letters."),
        "script": ("./agent.ts:graph", True, None),
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n  "graphs": {\n    "a": "./a.py:graph",\n  }\n}', r"langgraph\.json, line [34], column \d+: not JSON"),
        ("[]", r"langgraph\.json: it must hold an object"),
        ('{\n "graphs": []\n}', r"langgraph\.json, line 2: graphs: it must be an object"),
        ('{"graphs": {\n "a": "./a.py"}}', r"line 2: graphs\.a: it must be"),
        ('{"graphs": {"a": {"description": "x"}}}', r"line 1: graphs\.a: it must be"),
        ('{"graphs": {"a": 7}}', r"graphs\.a: it must be"),
        ('{"graphs": {"a": "./a.py:no name"}}', r"graphs\.a: it must be"),
        ('{"graphs": {},\n\n "env": 3}', r"line 3: env: it must be"),
        ('{"graphs": {}, "env": {"A": 1}}', r"env: it must be"),
        ('{"graphs": {}, "dependencies": "."}', r"dependencies: it must be a list"),
    ],
)
async def test_a_mistake_is_named_by_file_line_and_key(text: str, said: str, tmp_path: Path, database: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        async with AsyncEngine.open(database, settings=settings(project(tmp_path, text))):
            pass


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "langgraph.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="text in UTF-8"):
        read_project(tmp_path)


# -- registering


def test_a_later_source_replaces_an_earlier_one(tmp_path: Path) -> None:
    project(tmp_path, {"graphs": {"review": "./own.py:graph", "mine": "./own.py:graph"}})
    registry = Registry({"mine": graph_of(ask)}, tmp_path)
    assert registry.find("review").source == f"{tmp_path}/langgraph.json: ./own.py:graph"
    assert not registry.find("review").built_in
    assert registry.find("mine").source == "a graph handed to the engine"


def test_a_built_in_workflow_that_the_file_names_for_langgraphs_server_stays_built_in(tmp_path: Path) -> None:
    registry = Registry({}, project(tmp_path, {"graphs": {"review": "adjourn.graphs.review:graph"}}))
    assert registry.find("review").built_in


async def test_looking_at_runs_in_the_folder_of_others_runs_nothing_of_theirs(tmp_path: Path, database: str) -> None:
    folder = project(
        tmp_path,
        {
            "graphs": {"asking": "./breaks.py:graph"},
            "env": {"ADJOURN_TEST_TOUCHED": "1"},
            "dependencies": ["not-there"],
        },
        breaks_py="import pathlib\npathlib.Path(__file__).with_name('ran').touch()\nraise RuntimeError('imported')",
    )
    async with AsyncEngine.open(database, workflows={"asking": graph_of(ask)}) as engine:
        run = await engine.start("asking", {"text": "t"})
    async with AsyncEngine.open(database, settings=settings(folder)) as engine:
        assert [each.thread_id for each in await engine.runs()] == [run.thread_id]
        assert await engine.get(run.thread_id) == run
        await engine.history(run.thread_id)
        await engine.timeline(run.thread_id)
        assert "asking" in engine.registry.names()
    assert not (folder / "ran").exists()


async def test_code_that_cannot_be_imported_says_why_and_stores_nothing(tmp_path: Path, database: str) -> None:
    folder = project(
        tmp_path,
        {
            "graphs": {
                "raises": "./raises_at_import.py:graph",
                "exits": "./exits_at_import.py:graph",
                "needs": "./needs_something.py:graph",
                "nameless": "./nameless_graphs.py:grahp",
                "number": "./nameless_graphs.py:number",
                "gone": "./gone.py:graph",
                "module": "no_such_module_anywhere:graph",
                "script": "./agent.ts:graph",
            }
        },
        raises_at_import_py="1 / 0",
        exits_at_import_py="raise SystemExit(3)",
        needs_something_py="import a_package_that_nobody_has",
        nameless_graphs_py=ASKING + "\n    number = 7\n",
    )
    (folder / "requirements.txt").touch()
    said = {
        "raises": r"graphs\.raises \(\./raises_at_import\.py:graph\) cannot be imported: ZeroDivisionError",
        "exits": "SystemExit: 3",
        "needs": r"a_package_that_nobody_has.*pip install -r requirements\.txt",
        "nameless": r"no 'grahp' in it. It has the graphs graph, compiled\.",
        "number": r"./nameless_graphs\.py:number is a int; a workflow is",
        "gone": r"there is no file .*/gone\.py",
        "module": "No module named 'no_such_module_anywhere'",
        "script": "JavaScript graph; adjourn runs Python",
    }
    async with AsyncEngine.open(database, settings=settings(folder)) as engine:
        for name, words in said.items():
            with pytest.raises(ConfigurationError, match=words):
                await engine.start(name, {})
        assert len(await engine.runs()) == 0


async def test_missing_packages_are_named_with_the_command_that_installs_them(tmp_path: Path, database: str) -> None:
    wanted = [
        ".",
        "langgraph>=1",
        "langgraph>=99",
        "no-such-package-here[extra]>=2",
        "nothing; python_version < '3'",
        "git+https://example.com/x.git",
        "-e ./else",
    ]
    folder = project(tmp_path, {"graphs": {"g": "./g.py:graph"}, "dependencies": wanted})
    found = read_project(folder)
    assert found is not None
    assert missing_packages(found) == ["langgraph>=99", "no-such-package-here[extra]>=2"]
    async with AsyncEngine.open(database, settings=settings(folder)) as engine:
        with pytest.raises(ConfigurationError, match=r"pip install 'langgraph>=99' 'no-such-package-here\[extra\]>=2'"):
            await engine.start("g", {})


async def test_a_local_dependency_that_is_not_there_is_refused(tmp_path: Path, database: str) -> None:
    folder = project(tmp_path, {"graphs": {"g": "./g.py:graph"}, "dependencies": ["./lib"]}, g_py="graph = 1")
    async with AsyncEngine.open(database, settings=settings(folder)) as engine:
        with pytest.raises(ConfigurationError, match=r"'\./lib' is no folder of the project"):
            await engine.start("g", {})


def test_the_environment_is_only_added_to(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    monkeypatch.setenv("SET_BEFORE", "mine")
    monkeypatch.delenv("NOT_SET", raising=False)
    values = {"SET_BEFORE": "theirs", "NOT_SET": "theirs", "ADJOURN_MODEL": "openai:x"}
    try:
        assert export_environment(values) == ["ADJOURN_MODEL"]
        assert (os.environ["SET_BEFORE"], os.environ["NOT_SET"]) == ("mine", "theirs")
        assert "ADJOURN_MODEL" not in os.environ
    finally:
        os.environ.pop("NOT_SET", None)


# -- running, in processes of their own: imports stay in a process

FACTORIES = """
    import contextlib
    from langchain_core.runnables import RunnableConfig
    from langgraph.types import interrupt
    from plain_graph import builder
    from typing import Any, TYPE_CHECKING
    if TYPE_CHECKING:
        from langgraph_sdk.runtime import ServerRuntime

    opened = []

    def made(word):
        def ask(state):
            return {"said": f"{word} {interrupt('Go on?')} {opened}"}
        return builder(ask)

    def nothing():
        return made("nothing").compile()

    def config(config: RunnableConfig):
        return made(f"{config['configurable']['thread_id']} {config['configurable']['word']}")

    def runtime(runtime: "ServerRuntime[Any]"):
        return made(f"runtime {runtime.execution_runtime.context['word']}")

    async def both(runtime: "ServerRuntime", config: RunnableConfig):
        return made(f"both {runtime.access_context} {config['configurable']['word']}")

    @contextlib.asynccontextmanager
    async def manager(config):
        opened.append("open")
        yield made("manager").compile()
        opened.append("closed")

    @contextlib.contextmanager
    def sync_manager():
        yield made("sync_manager")

    class Callable_:
        async def __call__(self):
            return made("object")
    instance = Callable_()

    def three(a, b, c): ...
    def wrong():
        return "no graph"
    def broken():
        raise ValueError("no token")
    def saved():
        from langgraph.checkpoint.memory import InMemorySaver
        return made("saved").compile(checkpointer=InMemorySaver())
"""
GRAPHS = {
    "file": "./plain_graph.py:graph",
    "compiled": {"path": "plain_graph.py:compiled", "description": "d"},
    "module": "lib_graphs.inner:graph",
    "package": "./src/shop/main.py:graph",
    "typed": "./typed graph.py:graph",
    **{
        name: f"./factories.py:{name}"
        for name in ("nothing", "config", "runtime", "both", "manager", "sync_manager", "instance")
    },
}
EXPECTED = {
    "file": "plain_graph yes",
    "compiled": "plain_graph yes",
    "module": "lib_graphs.inner yes",
    "package": "shop.main yes from a sibling",
    "typed": "Doc yes",
    "nothing": "nothing yes []",
    "config": "t-config hello yes []",
    "runtime": "runtime hello yes []",
    "both": "both threads.create_run hello yes []",
    "manager": "manager yes ['open']",
    "sync_manager": "sync_manager yes ['open', 'closed']",
    "instance": "object yes ['open', 'closed']",
}
START = """
    import os, json
    os.chdir(sys.argv[2])
    from adjourn import Engine
    with Engine.open(sys.argv[1]) as engine:
        for name in json.loads(sys.argv[3]):
            run = engine.start(name, {}, thread_id="t-" + name, context={"word": "hello"})
            assert run.status == "paused", run.error
        print("#", json.dumps([os.environ["FROM_ENV"], os.environ["ALREADY"]]))
"""
RESUME = """
    import os, json
    os.chdir(sys.argv[2])
    from adjourn import Engine
    with Engine.open(sys.argv[1]) as engine:
        for name in json.loads(sys.argv[3]):
            run = engine.resume("t-" + name, "yes")
            print("#", json.dumps([name, run.status, run.state.get("said"), run.source]))
        print("#", json.dumps(["times", os.environ["PLAIN_GRAPH_TIMES"], "", ""]))
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    counted = (
        ASKING
        + "\n    import os\n    os.environ['PLAIN_GRAPH_TIMES'] = os.environ.get('PLAIN_GRAPH_TIMES', '') + 'x'\n"
    )
    folder = project(
        tmp_path,
        {"graphs": GRAPHS, "dependencies": [".", "./lib", "langgraph"], "env": ".env"},
        plain_graph_py=counted,
        factories_py=FACTORIES,
        lib__lib_graphs__inner_py=ASKING,
        src__shop__INIT_py="",
        src__shop__words_py="WORD = 'from a sibling'",
        src__shop__main_py=ASKING.replace("interrupt('Go on?')}", "interrupt('Go on?')} {WORD}").replace(
            "from typing", "from .words import WORD\n    from typing"
        ),
    )
    (folder / "typed graph.py").write_text(
        "from dataclasses import dataclass\nfrom plain_graph import StateGraph, START, interrupt\n"
        "from typing import TypedDict\n\n@dataclass\nclass Doc:\n    title: str\n\n"
        "class State(TypedDict, total=False):\n    doc: Doc\n    said: str\n\n"
        "def write(state):\n    return {'doc': Doc('x')}\n\n"
        "def ask(state):\n    return {'said': f\"{type(state['doc']).__name__} {interrupt('Go on?')}\"}\n\n"
        "graph = StateGraph(State).add_node(write).add_node(ask).add_edge(START, 'write').add_edge('write', 'ask')\n"
    )
    (folder / ".env").write_text("FROM_ENV=from the file\nALREADY=from the file\n# a comment\n")
    return folder


def lines(program: str, *arguments: str, **environment: str) -> list[Any]:
    with child(program, *arguments, environment={"PYTHONPATH": TESTS, **environment}) as process:
        return [json.loads(line[1:]) for line in process.finish().splitlines() if line.startswith("# ")]


def test_graphs_of_every_form_pause_in_one_process_and_end_in_another(shop: Path, database: str) -> None:
    names = json.dumps(list(GRAPHS))
    assert lines(START, database, str(shop), names, ALREADY="set before") == [["from the file", "set before"]]
    ended = {name: (status, said, source) for name, status, said, source in lines(RESUME, database, str(shop), names)}
    assert ended.pop("times") == ("x", "", "")  # a file is executed once
    assert {name: said for name, (_, said, _) in ended.items()} == EXPECTED
    assert {status for status, _, _ in ended.values()} == {"completed"}
    assert ended["package"][2] == f"{shop}/langgraph.json: ./src/shop/main.py:graph"


async def test_a_run_from_another_folder_says_where_its_workflow_was_registered(shop: Path, database: str) -> None:
    lines(START, database, str(shop), '["file"]', ALREADY="x")
    async with AsyncEngine.open(database) as engine:
        with pytest.raises(UnknownWorkflow, match=rf"registered by {shop}/langgraph\.json: \./plain_graph\.py:graph"):
            await engine.resume("t-file", "yes")


async def test_functions_that_make_no_graph_are_refused(database: str) -> None:
    from langgraph.checkpoint.memory import InMemorySaver

    def three(a: Any, b: Any, c: Any) -> None: ...

    async def broken() -> None:
        raise ValueError("no token")

    def saved() -> Any:
        return graph_of(ask).compile(checkpointer=InMemorySaver())

    said: dict[Callable[..., Any], str] = {
        three: "at most a RunnableConfig and a ServerRuntime.*it takes a, b, c",
        broken: "failed to make its graph: ValueError: no token",
        saved: "compiled with a checkpointer of its own",
        lambda: "text": "is a str; a workflow is a StateGraph",
    }
    for function, words in said.items():
        async with AsyncEngine.open(database, workflows={"made": function}) as engine:
            with pytest.raises(ConfigurationError, match=words):
                await engine.start("made", {})
            assert len(await engine.runs()) == 0


def test_an_env_file_that_is_not_there_is_told_and_harms_nothing(tmp_path: Path, database: str) -> None:
    folder = project(tmp_path, {"graphs": {"g": "./plain.py:graph"}, "env": "absent.env"}, plain_py=ASKING)
    program = """
        import os
        os.chdir(sys.argv[2])
        from adjourn import Engine
        with Engine.open(sys.argv[1]) as engine:
            print(engine.start("g", {}).status)
    """
    with child(program, database, str(folder)) as process:
        said = process.finish()
    assert "paused" in said
    assert "absent.env" in said
