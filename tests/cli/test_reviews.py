"""review: what is asked, under which policy, who decided what; and the answers that resume and review both take."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adjourn import Engine, Principal, approve, edit
from adjourn.state.policies import DAY, ReviewPolicy, Stage

from .conftest import Command

RISKY = "The supplier is liable without any limit, and the agreement cannot be terminated."
LEGAL = ReviewPolicy(
    roles=("legal",),
    approvals=2,
    exclude_requester=True,
    deadline=2 * DAY,
    escalate_to=(Stage(roles=("lead",), deadline=DAY),),
)
ANN = Principal("ann", frozenset({"legal"}))
Asked = Callable[..., str]


@pytest.fixture
def asked(engine: Engine) -> Asked:
    """Start the run `r` of `review`, under a policy; returns the id of its question."""

    def start(policy: ReviewPolicy | None = None) -> str:
        run = engine.start("review", {"input_text": RISKY}, thread_id="r", by="kim", policies=policy)
        return run.reviews[0].id

    return start


def test_a_review_shows_the_question_its_policy_who_decided_and_what_to_type(
    cli: Command, asked: Asked, engine: Engine
) -> None:
    name = asked(LEGAL)
    engine.resume("r", approve("fine with me"), by=ANN)
    said = cli("review", name[:6])
    text = " ".join(said.out.split())
    assert (said.code, said.err) == (0, "")
    for part in (
        "Pending: accept_analysis run r · review · started by kim",
        "Please check this analysis",
        "who people with the role legal but kim, who started the run",
        "how many 2 different people must approve the same version; one person must reject",
        "left then lead is asked (1 d), then the run fails",
        "ann approved just now fine with me",
        "1 of 2 approved, 1 more person must approve.",
        "holds no role. Whoever does adds --by NAME --by-role legal.",
        f"review {name[:8]} approve",
    ):
        assert part in text
    assert cli("review", "r").out.splitlines()[0] == "Pending: accept_analysis"
    assert "shown whole" not in cli("review", "r", "--full").out


def test_people_of_a_role_decide_and_it_is_said_who_is_missing(cli: Command, asked: Asked) -> None:
    name = asked(LEGAL)
    first = cli("review", name[:8], "approve", "--by", "ann", "--by-role", "legal", "--comment", "fine")
    assert first.code == 10
    assert "Recorded: ann approved; 1 of 2 approved, 1 more person must approve." in first.out
    assert "1 of 2 approved (ann) · asks legal · until" in first.out
    second = cli("resume", "r", "approve", "--by", "bob", "--by-role", "legal")
    assert (second.code, "Completed: approved" in second.out) == (0, True)
    closed = cli("review", name)
    assert closed.out.startswith("Decided: accept_analysis")
    assert "show r" in closed.out.splitlines()[-1]
    votes = cli("review", name, "--json").json["votes"]
    assert [(vote["by"], vote["message"], vote["roles"], vote["channel"]) for vote in votes] == [
        ("ann", "fine", ["legal"], "cli"),
        ("bob", None, ["legal"], "cli"),
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["review", "r", "approve"], "and root holds no role. Say with --by-role"),
        (["resume", "r", "approve", "--by", "ann"], "and ann holds no role. Say with --by-role"),
        (["resume", "r", "approve", "--by", "ann", "--by-role", "sales"], "and ann holds sales."),
        (["review", "r", "approve", "--by", "kim", "--by-role", "legal"], "kim started this run"),
    ],
)
def test_whoever_may_not_answer_is_told_why(cli: Command, asked: Asked, arguments: list[str], said: str) -> None:
    import getpass

    asked(LEGAL)
    refused = cli(*arguments)
    assert refused.code == 4
    assert said.replace("root", getpass.getuser()) in refused.err
    assert cli("review", "r", "--json").json["votes"] == []


def test_my_roles_are_those_of_the_setting(cli: Command, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(LEGAL)
    monkeypatch.setenv("ADJOURN_ROLES", "legal,sales")
    assert "You may not answer" not in cli("review", "r").out
    assert cli("resume", "r", "approve").code == 10
    assert cli("review", "r", "--json").json["votes"][0]["roles"] == ["legal", "sales"]


def test_whoever_approves_an_edited_version_says_that_they_saw_it(cli: Command, asked: Asked, engine: Engine) -> None:
    name = asked(LEGAL)
    engine.resume("r", edit({"risk_level": "high"}), by=ANN)
    view = cli("review", name)
    assert "Edited since it was asked: risk_level low → high" in view.out
    assert "[risk_level low → high]" in cli("inbox").out
    digest = engine.review(name).digest
    assert f"review {name[:8]} approve --shown {digest[:12]}" in view.out
    who = ["--by", "bob", "--by-role", "legal"]
    blind = cli("resume", "r", "approve", *who)
    assert (blind.code, "ann changed it" in blind.err, "adjourn review r" in blind.err) == (4, True, True)
    stale = cli("review", name, "approve", "--shown", "0" * 12, *who)
    assert (stale.code, f"adjourn review {name}" in stale.err) == (4, True)
    assert cli("review", name, "approve", "--shown", digest[:12], *who).code == 0
    assert cli("show", "r", "--json").json["state"]["analysis_results"]["risk_level"] == "high"


def test_a_review_that_is_closed_takes_no_answer(cli: Command, asked: Asked) -> None:
    name = asked()
    assert cli("review", name, "approve", "--by", "dana").code == 0
    for words in (["approve"], ["edit", "--editor"]):
        refused = cli("review", name, *words, "--by", "eve")
        assert (refused.code, "dana" in refused.err or "decided" in refused.err) == (4, True)


def test_names_that_fit_none_or_several_are_refused(cli: Command, engine: Engine) -> None:
    unknown = cli("review", "nothing")
    assert (unknown.code, "There is no review 'nothing' here" in unknown.err) == (4, True)
    assert cli("review", "").code == 4
    reviews = engine.start("pair", {}, thread_id="p").reviews
    several = cli("review", "p")
    assert several.code == 4
    assert all(review.id in several.err for review in reviews)
    assert "There is no review '____' here" in cli("review", "____").err  # no pattern, just text
    assert cli("resume", "p", "--value", '"yes"', "--review", reviews[1].id[:8]).code == 10
    assert cli("review", reviews[1].id, "--json").json["status"] == "decided"
    assert cli("review", "p", "--json").json["id"] == reviews[0].id


def test_a_fork_asks_under_the_id_of_the_original_and_is_named_by_its_run(cli: Command, engine: Engine) -> None:
    (asked,) = engine.start("colour", {}, thread_id="c").reviews
    fork = engine.fork("c", at=0)
    assert fork.reviews[0].id == asked.id
    several = cli("review", asked.id)
    assert (several.code, "Several runs ask" in several.err, fork.thread_id in several.err) == (4, True, True)
    rows = [line.split() for line in cli("inbox").out.splitlines()]
    assert [row[0] for row in rows[1:3]] == ["c", fork.thread_id]
    assert cli("review", "c", "--value", '"red"').code == 0
    assert engine.get(fork.thread_id).status == "paused"


EDITOR = """\
import pathlib, sys
seen, turns, file = (pathlib.Path(name) for name in (*sys.argv[1:3], sys.argv[3]))
text = file.read_text()
file.with_name(file.name + "~").write_text(text)  # as many editors do
with seen.open("a") as out:
    out.write(text + "====")
name, *rest = turns.read_text().split("|")
turns.write_text("|".join(rest))
old, new = name.split(">")
file.write_text(text.replace(old, new))
"""


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Install an editor that makes a replacement, another each time; returns where it notes what it was shown."""
    import sys

    program, seen, turns = tmp_path / "editor.py", tmp_path / "seen", tmp_path / "turns"
    program.write_text(EDITOR)
    monkeypatch.setenv("EDITOR", f"{sys.executable} {program} {seen} {turns}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def install(*replacements: str) -> Path:
        turns.write_text("|".join(replacements))
        return seen

    return install


def kept(folder: Path) -> list[Path]:
    return [file for file in folder.glob("adjourn-edit-*/*") if not file.name.endswith("~")]


def test_an_edit_that_does_not_fit_comes_back_with_what_is_wrong_and_what_was_typed(
    cli: Command, asked: Asked, editor: Callable[..., Path], tmp_path: Path
) -> None:
    asked(ReviewPolicy(approvals=2))
    seen = editor('"risk_level": "low">"risk_level": "enormous"', '"enormous">high', ' high> "high"')
    said = cli("review", "r", "edit", "--editor", "--by", "ann", "--comment", "less")
    assert said.code == 10
    assert "Recorded: ann edited" in said.out
    first, second, third, _ = seen.read_text().split("====")
    assert first.startswith("// Change what should be different")
    assert '// risk_level: "low", "medium", "high"' in first
    assert second.startswith("// Not taken: risk_level: 'enormous' is not one of")
    assert '"risk_level": "enormous"' in second
    assert third.startswith('// Not taken: this is no JSON: Expecting value in \'"risk_level": high')
    vote = cli("review", "r", "--json").json["votes"][0]
    assert (vote["kind"], vote["message"]) == ("edit", "less")
    assert cli("review", "r", "--json").json["args"]["risk_level"] == "high"
    assert list(tmp_path.glob("adjourn-edit-*")) == []


def test_an_edit_that_changes_nothing_is_not_sent(cli: Command, asked: Asked, editor: Callable[..., Path]) -> None:
    asked()
    editor("x>x")
    said = cli("resume", "r", "edit", "--editor")
    assert (said.code, said.err) == (10, "Nothing was changed, so nothing was sent.\n")
    assert cli("review", "r", "--json").json["votes"] == []


def test_what_was_typed_is_kept_when_it_is_not_taken(
    cli: Command, asked: Asked, editor: Callable[..., Path], tmp_path: Path
) -> None:
    asked(LEGAL)
    editor('"risk_level": "low">"risk_level": "enormous"', "x>x")
    left = cli("resume", "r", "edit", "--editor", "--by", "ann", "--by-role", "legal")
    assert (left.code, "This edit was not sent: risk_level: 'enormous' is not one of" in left.err) == (2, True)
    (file,) = kept(tmp_path)
    assert f"--edit @{file} sends it" in left.err
    assert json.loads(file.read_text())["risk_level"] == "enormous"
    file.unlink()
    editor('"risk_level": "low">"risk_level": "high"')
    refused = cli("review", "r", "edit", "--editor", "--by", "eve")
    assert (refused.code, "eve holds no role" in refused.err) == (4, True)
    (file,) = kept(tmp_path)
    assert cli("resume", "r", "edit", "--edit", f"@{file}", "--by", "ann", "--by-role", "legal").code == 10
    assert cli("review", "r", "--json").json["args"]["risk_level"] == "high"


def test_an_editor_that_does_not_work_is_told_and_nothing_is_sent(
    cli: Command, asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked()
    for name, said in (
        ("no-such-editor", "cannot be started"),
        ("'no end", "cannot be started: No closing quotation"),
        ("false", "ended with 1"),
    ):
        monkeypatch.setenv("EDITOR", name)
        refused = cli("resume", "r", "edit", "--editor")
        assert (refused.code, said in refused.err) == (2, True)
    cli("run", "colour", "--thread", "c")
    plain = cli("resume", "c", "--editor")
    assert (plain.code, "asks for a plain value: --value JSON" in plain.err) == (2, True)
