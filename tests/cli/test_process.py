"""The program in processes of its own: what it costs, signals, pipes, the demo.

Where nothing is said of the installed program, its processes are forked from one that has imported it.
"""

import os
import pty
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import typer

from adjourn import Engine
from adjourn.cli.demo import IN_PYTHON
from adjourn.cli.main import InterruptOnce, run_command
from support.eventually import eventually
from support.forking import fork_server

from .conftest import PROGRAM, Command

ENGINE = ("langgraph", "langchain", "langchain_core", "psycopg", "structlog", "anyio")


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [
        (["--help"], (*ENGINE, "pydantic")),
        (["run", "--help"], ENGINE),  # Typer itself loads Pydantic to read a command's options
    ],
)
def test_help_loads_nothing_heavy(arguments: list[str], heavy: tuple[str, ...]) -> None:
    code = (
        f"import sys; from adjourn.cli.main import run_command; run_command({arguments})\n"
        f"print([name for name in sys.modules if name.split('.')[0] in {heavy}], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert "Usage" in done.stdout


def test_help_takes_well_under_half_a_second() -> None:
    def cost() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([PROGRAM, "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # processor time, because the tests beside this one take their share of the clock
    assert min(cost() for _ in range(3)) < 0.4


def test_the_program_tells_its_version_and_explains_itself_without_arguments(program: Command) -> None:
    from adjourn import __version__

    assert program("--version").out == f"{__version__}\n"
    assert (program().code, "Usage: adjourn" in program().out) == (0, True)


@contextmanager
def started(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    command = [fork_server() / "adjourn", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_an_interrupted_run_is_recorded_and_says_how_to_go_on(
    program: Command, database: str, tmp_path: Path, number: int, code: int
) -> None:
    file = tmp_path / "awaited"
    with started("run", "slow", "--set", f"file={file}", "--thread", "s") as process:
        await eventually(Path(f"{file}.waiting").exists)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert "Interrupted; the run is kept." in err
    assert "retry s" in err
    assert "Traceback" not in err
    with Engine.open(database) as engine:
        assert engine.get("s").status == "failed"
        file.touch()
        assert engine.retry("s").status == "completed"


def test_a_second_signal_lets_the_first_finish_its_work() -> None:
    now = 100.0
    interrupt = InterruptOnce(lambda: now)
    with pytest.raises(KeyboardInterrupt) as interrupted:
        interrupt(signal.SIGTERM, None)
    assert interrupted.value.args == (143,)
    now += 1
    interrupt(signal.SIGTERM, None)
    now += 10
    with pytest.raises(KeyboardInterrupt):
        interrupt(signal.SIGINT, None)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_the_exit_code_of_an_interrupted_command_names_the_signal_whatever_typer_makes_of_it(
    number: signal.Signals, code: int
) -> None:
    interrupt = InterruptOnce()
    assert interrupt.exit_code(130) == 130, "nobody sent a signal"
    with pytest.raises(KeyboardInterrupt):
        interrupt(number, None)
    assert (interrupt.exit_code(130), interrupt.exit_code(code), interrupt.exit_code(0)) == (code, code, 0)


@pytest.mark.parametrize("by", ["itself", "typer"])
def test_a_signal_before_the_command_has_begun_is_told_in_one_line(
    by: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> int:
        try:
            raise KeyboardInterrupt(143)
        except KeyboardInterrupt as error:
            if by == "itself":
                raise
            raise typer.Abort from error

    monkeypatch.setattr("adjourn.cli.main.app", interrupted)
    assert run_command(["worker"]) == 143
    assert "Interrupted." in capsys.readouterr().err


async def test_a_reader_that_leaves_harms_neither_the_run_nor_the_peace(
    program: Command, database: str, tmp_path: Path
) -> None:
    file = tmp_path / "awaited"
    with started("run", "slow", "--set", f"file={file}", "--thread", "s") as process:
        await eventually(Path(f"{file}.waiting").exists)
        assert process.stdout is not None
        process.stdout.close()
        file.touch()
        assert process.wait(timeout=20) == 141
        assert process.stderr is not None
        assert process.stderr.read().split()[0] == "wait_for_file"
    with Engine.open(database) as engine:
        assert engine.get("s").status == "completed"


def test_the_demo_pauses_in_one_process_and_completes_in_another(program: Command, database: str) -> None:
    said = program("demo", NO_COLOR="1", COLUMNS="100")
    assert said.code == 0, said.err
    steps = ["1 A process starts", "Paused: review asks a person", "2 A second process", "Completed: approved",
             "3 Where its time went", "waiting for people", "The same in Python", "Where the run is kept"]  # fmt: skip
    places = [said.out.index(step) for step in steps]
    assert places == sorted(places)
    assert "\x1b" not in said.out + said.err
    thread = said.out.partition("--thread ")[2].split()[0]
    with Engine.open(database) as engine:
        assert engine.get(thread).state["final_decision"] == "approved"


def test_the_demo_prints_one_object_on_request(program: Command) -> None:
    said = program("demo", "--json")
    shown = said.json
    assert (said.code, set(shown)) == (0, {"thread_id", "paused", "run", "timeline"})
    assert (shown["paused"]["status"], shown["run"]["status"]) == ("paused", "completed")
    assert shown["timeline"]["thread_id"] == shown["thread_id"]


def test_the_demo_ends_with_the_error_of_its_process(program: Command) -> None:
    refused = program("demo", ADJOURN_DATABASE_URL="postgresql://kim:x@127.0.0.1:1/work")
    assert refused.code == 3
    assert refused.err.startswith("Error: Cannot connect")


def test_the_python_that_the_demo_shows_does_the_same(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADJOURN_DATABASE_URL", database)
    exec(IN_PYTHON, {})
    first, second = capsys.readouterr().out.splitlines()
    assert (first.split()[0], second) == ("paused", "completed approved")


class Terminal:
    """A terminal with a program in it."""

    def __init__(self, *command: str | Path, **environment: str) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm", **environment}
        )
        os.close(slave)
        self.seen = ""

    def wait_for(self, text: str, timeout: float = 30.0, again: Callable[[], None] = lambda: None) -> None:
        """Wait until the program has written a text; whenever it is silent for half a second, do something again."""
        deadline = time.monotonic() + timeout
        while text not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if not select.select([self.master], [], [], 0.5)[0]:
                again()
            else:
                self.seen += os.read(self.master, 65536).decode(errors="replace")

    def type(self, line: str) -> None:
        self.seen = ""
        os.write(self.master, f"{line}\n".encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


@pytest.fixture
def in_terminal(program: Command) -> Iterator[Callable[..., Terminal]]:
    with ExitStack() as stack:

        def opened(*command: str | Path) -> Terminal:
            terminal = Terminal(*command)
            stack.callback(terminal.close)
            return terminal

        yield opened


def test_on_a_terminal_the_demo_asks_and_a_refused_answer_is_asked_again(in_terminal: Callable[..., Terminal]) -> None:
    terminal = in_terminal(fork_server() / "adjourn", "demo")
    terminal.wait_for("a, e, r or s")
    terminal.type("e")
    terminal.wait_for("low, medium or high")
    terminal.type("enormous")
    terminal.wait_for("'enormous' is not one of")
    terminal.wait_for("a, e, r or s")
    terminal.type("e")
    terminal.wait_for("low, medium or high")
    terminal.type("medium")
    terminal.wait_for("approved_with_edits")
    terminal.wait_for("The same in Python")
    assert terminal.process.wait(timeout=20) == 0


def test_the_installed_demo_that_is_left_says_that_the_run_waits(
    in_terminal: Callable[..., Terminal], database: str
) -> None:
    terminal = in_terminal(PROGRAM, "demo")
    terminal.wait_for("a, e, r or s")
    # Python does not see a signal between the prompt and the reading behind it; a person presses the keys again
    terminal.wait_for("The run waits as long as it takes", again=lambda: terminal.process.send_signal(signal.SIGINT))
    assert terminal.process.wait(timeout=20) == 130
    with Engine.open(database) as engine:
        assert [run.status for run in engine.runs()] == ["paused"]


EDITOR = """\
#!/bin/sh
test -t 0 && test -t 1 || exit 9
change='s/level": "low"/level": "enormous"/'
grep -q 'Not taken' "$1" && change='s/"enormous"/"high"/'
sed -i "$change" "$1"
"""


def test_an_edit_in_an_editor_on_a_terminal_comes_back_until_it_fits(
    program: Command, database: str, tmp_path: Path
) -> None:
    (tmp_path / "editor").write_text(EDITOR)
    (tmp_path / "editor").chmod(0o755)
    with Engine.open(database) as engine:
        text = "The supplier is liable without any limit, and the agreement cannot be terminated."
        engine.start("review", {"input_text": text}, thread_id="r")
        terminal = Terminal(
            fork_server() / "adjourn", "resume", "r", "edit", "--editor", EDITOR=str(tmp_path / "editor")
        )
        try:
            terminal.wait_for("'enormous' is not one of")
            terminal.wait_for("approved_with_edits")
            assert terminal.process.wait(timeout=20) == 0
        finally:
            terminal.close()
        assert engine.get("r").state["analysis_results"]["risk_level"] == "high"
