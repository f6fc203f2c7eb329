"""How the command shows child runs."""

from adjourn import Child
from adjourn.cli.json_out import run_json
from adjourn.cli.render import outcome, whole_run

from .test_views import command, run, shown

BOTTOM = Child("ask", "c2", "review", "paused", waited_for=True, questions=1)
FAILED = Child("gone\x1b[31m", "c3", "review", "failed", error={"type": "ValueError", "message": "no", "node": "n"})
TREE = (Child("check", "c1", "checks", "paused", waited_for=True, children=(BOTTOM, FAILED)),)


def test_a_run_that_waits_shows_the_tree_and_the_command_for_each_that_holds_it_up() -> None:
    lines = shown(outcome(run(children=TREE), command)).splitlines()
    assert lines[0] == "Paused: w waits for its child runs"
    assert [line.rstrip() for line in lines[3:6]] == [
        "  check paused · checks · waited for · run c1",
        "    ask paused · review · asks a person, waited for · run c2",
        "    gone failed · review · run c3",
    ]
    assert [line.strip() for line in lines[-2:]] == ["adjourn show c2", "adjourn show c3"]


def test_a_whole_run_shows_its_tree_and_its_parent() -> None:
    text = shown(whole_run(run(status="completed", children=TREE, parent="p"), command, full=False))
    assert "asks a person" in text
    assert "child of" in text


def test_json_has_the_tree() -> None:
    told = run_json(run(children=TREE, parent="p"))
    assert (told["parent"], told["children"][0]["children"][0]["thread_id"]) == ("p", "c2")
    assert "children" not in run_json(run(children=TREE), whole=False)
