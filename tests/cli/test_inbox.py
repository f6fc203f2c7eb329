"""inbox, approve-all and sweep: what waits, for whom, and what many answers at once come to."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from adjourn import Engine, Principal, approve, edit
from adjourn.state.policies import DAY, ReviewPolicy, Stage

from .conftest import Command

LEGAL = ReviewPolicy(roles=("legal",), approvals=2, exclude_requester=True, priority=3)
Start = Callable[..., str]


@pytest.fixture
def asked(engine: Engine) -> Start:
    """Start a run of `hostile`, which asks about an action, or of another workflow, under a policy."""

    def start(thread: str, policy: ReviewPolicy | None = None, *, workflow: str = "hostile", by: str = "kim") -> str:
        return engine.start(workflow, {}, thread_id=thread, by=by, policies=policy).reviews[0].id

    return start


def ids(said: Any) -> list[str]:
    return [item["id"] for item in said.json["items"]]


def test_the_inbox_shows_what_waits_the_urgent_first_and_the_next_command(cli: Command, asked: Start) -> None:
    first, urgent = asked("a"), asked("b", LEGAL)
    said = cli("inbox")
    rows = [line.split() for line in said.out.splitlines()]
    assert (said.code, rows[0]) == (0, ["review", "workflow", "asks", "age", "approved", "roles", "priority"])
    assert [row[0] for row in rows[1:3]] == [urgent[:8], first[:8]]
    assert rows[1][-5:] == ["0", "of", "2", "legal", "3"]
    assert f"review {urgent[:8]}" in said.out.splitlines()[-1]
    assert "\x1b" not in said.out
    assert cli("review", urgent[:8], "--json").json["id"] == urgent


def test_the_inbox_is_empty_and_says_so(cli: Command) -> None:
    assert cli("inbox").out.split() == ["Nothing", "waits", "for", "an", "answer."]
    assert cli("inbox", "--role", "legal").out.split()[:3] == ["No", "such", "review"]


def test_filters_say_which_reviews_are_meant(cli: Command, asked: Start, engine: Engine) -> None:
    plain, legal = asked("a", workflow="colour"), asked("b", LEGAL)
    late = asked("c", ReviewPolicy(deadline=0.001))
    assert ids(cli("inbox", "--workflow", "colour", "--json")) == [plain]
    assert ids(cli("inbox", "--role", "legal", "--json")) == [legal]
    assert ids(cli("inbox", "--overdue", "--json")) == [late]
    assert " overdue " in cli("inbox", "--overdue").out
    page = cli("inbox", "--limit", "1", "--json").json
    assert ids(cli("inbox", "--json", "--after", page["after"])) == [plain, late]
    assert f"inbox --limit 1 --after {page['after']}" in cli("inbox", "--limit", "1").out.splitlines()[-1]


def test_mine_are_those_that_i_may_answer_and_have_not(
    cli: Command, asked: Start, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybodys, legal = asked("a"), asked("b", LEGAL)
    assert ids(cli("inbox", "--mine", "--json")) == [everybodys]
    monkeypatch.setenv("ADJOURN_ROLES", "sales, legal")
    assert ids(cli("inbox", "--mine", "--json")) == [legal, everybodys]
    assert ids(cli("inbox", "--mine", "--by", "dana", "--json")) == [everybodys]
    dana = ["--by", "dana", "--by-role", "legal"]
    assert ids(cli("inbox", "--mine", *dana, "--json")) == [legal, everybodys]
    # kim started both runs, and four eyes are asked for in one
    assert ids(cli("inbox", "--mine", "--by", "kim", "--by-role", "legal", "--json")) == [everybodys]
    engine.resume("b", approve(), by=Principal("dana", frozenset({"legal"})))
    assert ids(cli("inbox", "--mine", *dana, "--json")) == [everybodys]
    # pages are filled with those that fit
    assert ids(cli("inbox", "--mine", *dana, "--limit", "1", "--json")) == [everybodys]


def test_a_watched_inbox_is_written_again_when_it_changes_and_ends_well_with_the_keyboard(
    cli: Command, asked: Start, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked("c", workflow="colour")

    def meanwhile() -> Iterator[None]:
        yield None  # nothing changes: nothing is written
        yield engine.resume("c", "red") and None
        raise KeyboardInterrupt(130)

    steps = meanwhile()
    monkeypatch.setattr("time.sleep", lambda _: next(steps))
    said = cli("inbox", "--watch", "--json")
    pages = [json.loads(line)["items"] for line in said.out.splitlines()]
    assert (said.code, said.err, [len(page) for page in pages]) == (0, "", [1, 0])


def test_a_terminal_that_watches_shows_the_newest(
    cli: Command, asked: Start, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked("c", workflow="colour")

    def meanwhile() -> Iterator[None]:
        yield engine.resume("c", "red") and None
        raise KeyboardInterrupt(143)

    steps = meanwhile()
    monkeypatch.setattr("time.sleep", lambda _: next(steps))
    monkeypatch.setenv("FORCE_COLOR", "1")  # what rich takes for a terminal
    said = cli("inbox", "--watch")
    assert said.code == 143
    assert said.out.index("Which colour?") < said.out.index("Nothing waits for an answer.")
    assert "Ctrl-C ends" in said.out


def test_everything_listed_is_approved_and_told_one_by_one(cli: Command, asked: Start, engine: Engine) -> None:
    first, legal, plain = asked("a"), asked("b", LEGAL), asked("c", workflow="colour")
    digest = engine.review(first).digest[:12]
    said = cli("approve-all", "--yes", "--comment", "checked", "--by", "dana", "--by-role", "legal")
    assert said.code == 0
    listed, _, told = said.out.partition("\n\n")
    assert digest in listed
    assert plain[:8] not in said.out
    assert "1 review asks for another answer" in said.out
    assert f"{legal[:8]}  b: 1 more must approve" in told
    assert f"{first[:8]}  a: its run has completed" in told
    assert said.out.splitlines()[-1] == "2 approved."
    vote = engine.review(first).votes[0]
    assert (vote.by, vote.message, vote.channel) == ("dana", "checked", "cli")
    assert cli("approve-all", "--yes", "--by", "dana", "--by-role", "legal").out.split()[:2] == ["Nothing", "that"]


def test_exactly_what_was_listed_is_approved(
    cli: Command, asked: Start, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the list is looked at, one review is edited and one is approved by others."""
    changed, closed, left, edited = (asked(name, ReviewPolicy(approvals=2)) for name in ("a", "b", "c", "d"))
    engine.resume("d", edit({"to": "the bank"}), by="eve")

    def meanwhile(prompt: str, **_: Any) -> bool:
        assert "these 4 reviews" in prompt
        engine.resume("a", edit({"to": "somebody else"}), by="eve")
        for who in ("eve", "fay"):
            engine.resume("b", approve(), by=who)
        return True

    monkeypatch.setattr("typer.confirm", meanwhile)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    said = cli("approve-all", "--by", "dana")
    assert said.code == 4
    lines = said.out.splitlines()
    assert "[to " in lines[4]  # what eve had changed before is shown, and is what is approved
    assert [line.split()[:2] for line in lines[-6:-2]] == [
        ["refused", changed[:8]], ["refused", closed[:8]], ["approved", left[:8]], ["approved", edited[:8]],
    ]  # fmt: skip
    assert "eve changed it" in lines[-6]
    assert "answered by fay" in lines[-5]
    assert lines[-3].endswith("d: its run has completed")
    assert lines[-1] == "2 approved, 2 refused."
    assert [vote.by for vote in engine.review(changed).votes] == ["eve"]


def test_the_outcomes_are_one_object_on_request(cli: Command, asked: Start) -> None:
    first = asked("a")
    said = cli("approve-all", "--yes", "--json")
    (item,) = said.json["items"]
    assert set(item) == {"review_id", "thread_id", "digest", "outcome", "run_status", "error"}
    assert (item["review_id"], item["outcome"], item["run_status"], said.err) == (first, "approved", "completed", "")


def test_a_run_that_fails_after_its_approval_is_told_as_failed(
    cli: Command, asked: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked("a")

    def broken(*_: Any, **__: Any) -> None:
        raise ValueError("no such account")

    monkeypatch.setattr("cli_samples.question", broken)
    structlog.reset_defaults()  # the fixture's engine logs to an output that is closed by now
    said = cli("approve-all", "--yes")
    assert (said.code, said.out.splitlines()[-1]) == (1, "1 approved, 1 failed then.")
    assert "a: its run failed: no such account" in said.out


def test_nothing_is_approved_without_a_yes(cli: Command, asked: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    asked("a")
    refused = cli("approve-all")
    assert (refused.code, "say --yes" in refused.err) == (2, True)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: False)
    declined = cli("approve-all")
    assert (declined.code, declined.err) == (10, "Nothing was approved.\n")
    assert cli("show", "a", "--json").json["status"] == "paused"


def test_a_sweep_does_what_is_due_and_says_what(cli: Command, asked: Start) -> None:
    assert cli("sweep").out.split() == ["Nothing", "is", "due."]
    soon = 0.001
    asked("waits", ReviewPolicy(deadline=DAY))
    escalated = asked("e", ReviewPolicy(deadline=soon, escalate_to=(Stage(roles=("lead",), deadline=DAY),)))
    asked("d", ReviewPolicy(deadline=soon, on_deadline=approve()))
    asked("f", ReviewPolicy(deadline=soon))
    lines = {line.split()[3]: " ".join(line.split()) for line in cli("sweep").out.splitlines()[1:4]}
    assert lines["e"].startswith(f"escalated {escalated[:8]} hostile e asks lead until 20")
    assert lines["d"].endswith("hostile d the deadline's answer: approve")
    assert lines["f"].endswith("hostile f its run has failed")
    assert cli("show", "d", "--json").json["status"] == "completed"
    assert ids(cli("inbox", "--role", "lead", "--json")) == [escalated]
    asked("g", ReviewPolicy(deadline=soon))
    (item,) = cli("sweep", "--json").json["items"]
    assert (item["what"], item["review"]["thread_id"], item["review"]["status"]) == ("expired", "g", "expired")
