"""How things look: narrow and wide, coloured and plain, with text that would like to be obeyed."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from adjourn import DefaultValue, Principal, Review, ReviewPolicy, Run, Stage, Step, Timeline, Vote, reject
from adjourn.cli.doctor import doctor
from adjourn.cli.inbox_view import names_of, review_table
from adjourn.cli.layout import Hanging
from adjourn.cli.policy_words import policy_words, time_left
from adjourn.cli.question import answers, question
from adjourn.cli.render import outcome, whole_run
from adjourn.cli.review_view import whole_review
from adjourn.cli.session import Session
from adjourn.cli.timeline import bar, timeline_view

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOSTILE = "\x1b[31mred\x1b[0m [bold]not bold[/bold] \u202eevil\u202c :smile: [/nonsense]"
SCHEMA = {"properties": {"risk": {"enum": ["low", "medium", "high"]}}}


def command(*words: str) -> str:
    return " ".join(["adjourn", *words])


def review(**changes: Any) -> Review:
    values: dict[str, Any] = {
        "id": "q1", "thread_id": "t", "workflow": "w", "action": "sign", "args": {"risk": "high", "note": "as agreed"},
        "description": "May we sign?", "allowed": ("approve", "edit", "reject", "respond"), "edit_schema": SCHEMA,
    }  # fmt: skip
    return Review(**{**values, **changes})


def run(**changes: Any) -> Run:
    values: dict[str, Any] = {
        "thread_id": "t", "workflow": "w", "version": "1", "source": "a test", "status": "paused",
        "requested_by": "kim", "tenant": "default", "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip
    return Run(**{**values, **changes})


def shown(view: RenderableType, width: int = 100, *, colour: bool = False) -> str:
    out = io.StringIO()
    console = Console(
        file=out, width=width, highlight=False, markup=False, emoji=False, force_terminal=colour, _environ={}
    )
    console.print(view, crop=False)
    return out.getvalue()


def test_a_question_shows_what_is_asked_the_arguments_and_what_they_may_become() -> None:
    lines = shown(question(review(), command)).splitlines()
    assert lines[0].split() == ["May", "we", "sign?"]
    assert [line.split() for line in lines[2:5]] == [
        ["sign", "proposed"], ["risk", "high", "(low,", "medium,", "high)"], ["note", "as", "agreed"],
    ]  # fmt: skip


def test_context_about_each_argument_becomes_a_column() -> None:
    text = shown(question(review(context={"confidence": {"risk": 0.5}, "source": "a letter"}), command))
    assert ["risk", "high", "(low,", "medium,", "high)", "0.50"] in [line.split() for line in text.splitlines()]
    assert ["source", "a", "letter"] in [line.split() for line in text.splitlines()]


def test_context_that_the_question_says_already_is_not_repeated() -> None:
    text = shown(question(review(description="Why: it is late.", context={"reasons": ["it is late"]}), command))
    assert text.count("it is late") == 1


def test_a_long_argument_is_cut_and_the_command_to_read_it_is_named() -> None:
    long = review(args={"note": "word " * 1000})
    assert "adjourn show t --full" in shown(question(long, command))
    full = shown(question(long, command, full=True))
    assert "--full" not in full
    assert full.count("word") == 1000


@pytest.mark.parametrize(
    ("changes", "lines"),
    [
        ({"allowed": ("approve",)}, ["adjourn resume t approve"]),
        ({"allowed": ("edit",)}, ["adjourn resume t edit --set risk=medium"]),
        ({"allowed": ("edit",), "edit_schema": None}, ["adjourn resume t edit --set risk=new text"]),
        ({"allowed": ("edit",), "args": {"n": 1}}, ["adjourn resume t edit --set n:=…"]),
        ({"allowed": ("approve", "edit"), "args": {}}, ["adjourn resume t approve"]),
        ({"allowed": (), "action": None}, ['adjourn resume t --value "your answer"']),
        ({"allowed": (), "action": None, "response_schema": {"type": "boolean"}}, ["adjourn resume t --value true"]),
        ({"allowed": (), "action": None, "response_schema": {"enum": ["a"]}}, ['adjourn resume t --value "a"']),
    ],
)
def test_the_commands_are_those_that_the_question_takes(changes: dict[str, Any], lines: list[str]) -> None:
    assert answers(review(**changes), command) == lines


@pytest.mark.parametrize("width", [30, 40, 59, 60, 80, 200])
def test_everything_fits_the_window_but_lines_to_be_typed(width: int) -> None:
    asked = review(
        description="word " * 30,
        args={"risk": "high", "note": "x" * 90, "a_rather_long_name_of_an_argument": [1, 2]},
        context={"confidence": {"risk": 0.5}, "from": "word " * 40, "another_long_name_of_something": 1},
    )
    paused = run(reviews=(asked,), state={"key_" * 8: "v" * 50, "k": "word " * 40})
    for line in shown(whole_run(paused, command, full=False), width).splitlines():
        assert len(line.rstrip()) <= width or line.startswith(("  adjourn ", "run "))


def test_lines_to_be_typed_are_never_broken() -> None:
    lines = shown(question(review(thread_id="t" * 60), command), 40).splitlines()
    assert f"  adjourn resume {'t' * 60} edit --set risk=medium" in lines


def test_a_long_line_goes_on_under_its_words() -> None:
    line = Text.assemble("    ", ("who  ", "cyan"), "one two three")
    assert shown(Hanging(line, 9), 40).splitlines() == ["    who  one two three"]
    assert [each.rstrip() for each in shown(Hanging(line, 9), 19).splitlines()] == [
        "    who  one two",
        "         three",
    ]
    assert shown(Hanging(line, 9), 15).splitlines()[0].rstrip() == "    who  one"  # too narrow for two columns


def test_a_value_that_stands_for_none_is_no_choice_to_read() -> None:
    optional = {"properties": {"risk": {"enum": [None, "low"]}}}
    text = shown(question(review(args={"risk": None}, edit_schema=optional), command))
    assert "-  (low)" in text
    assert "edit --set risk=low" in text


def test_what_is_none_yet_is_edited_to_one_of_its_choices() -> None:
    assert "edit --set risk=low" in shown(question(review(args={"risk": None}), command))


def test_the_doctor_shows_nothing_while_its_spinner_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    turning: list[bool] = []

    @contextmanager
    def working(self: Session, text: str) -> Iterator[None]:
        turning.append(True)
        yield
        turning.pop()

    def show(self: Session, *views: RenderableType) -> None:
        assert not turning

    monkeypatch.setattr(Session, "working", working)
    monkeypatch.setattr(Session, "show", show)
    monkeypatch.setenv("ADJOURN_DATABASE_URL", "nonsense")
    doctor(Session())


def hostile_review() -> Review:
    policy = ReviewPolicy(approvals=2, exclude_requester=True, deadline=60.0, on_deadline=reject(HOSTILE))
    vote = Vote(HOSTILE, "reject", NOW, {}, "", "", "", message=HOSTILE)
    return review(
        description=HOSTILE, action=HOSTILE, workflow=HOSTILE, thread_id=HOSTILE, requested_by=HOSTILE,
        args={HOSTILE: HOSTILE}, roles=(HOSTILE,), policy=policy, votes=(vote,), asked_at=NOW, due_at=NOW, version=2,
        value={"args": {HOSTILE: 1}},
    )  # fmt: skip


HOSTILE_VIEWS: list[Callable[[int], RenderableType]] = [
    lambda _: question(
        review(description=HOSTILE, action=HOSTILE, args={HOSTILE: HOSTILE}, context={HOSTILE: HOSTILE}), command
    ),
    lambda _: question(review(action=None, allowed=(), value={HOSTILE: [HOSTILE]}), command, full=True),
    lambda _: outcome(run(status="failed", error={"type": "E", "message": HOSTILE, "node": HOSTILE}), command),
    lambda _: outcome(run(status="cancelled", error={"by": HOSTILE, "message": HOSTILE}), command),
    lambda _: whole_run(run(workflow=HOSTILE, requested_by=HOSTILE, state={HOSTILE: HOSTILE}), command, full=True),
    lambda width: review_table([hostile_review()], NOW, width),
    lambda _: whole_review(hostile_review(), command, NOW, Principal("ann")),
    lambda width: timeline_view(timeline(step(1, 1.0, nodes=(HOSTILE,), changed=(HOSTILE,))), NOW, width),
]


@pytest.mark.parametrize("view", HOSTILE_VIEWS)
@pytest.mark.parametrize("width", [40, 120])
def test_text_of_models_and_users_is_never_obeyed(view: Callable[[int], RenderableType], width: int) -> None:
    text = shown(view(width), width)
    assert "red" in text
    assert "[bold]" in text.replace("\n", "").replace(" ", "")
    assert not [letter for letter in text if not letter.isprintable() and letter != "\n"]


def test_a_policy_is_told_in_words() -> None:
    chain = ReviewPolicy(
        approvals=3,
        reject_approvals=2,
        require_authenticated=True,
        deadline=7200.0,
        escalate_to=(Stage(("lead",), 86400.0), Stage(("board",), 60.0, on_deadline=DefaultValue("no"))),
    )
    asked = review(policy=chain, missing=3, asked_at=NOW, due_at=NOW + timedelta(minutes=90))
    words = policy_words(asked, NOW)
    assert words["who"] == "anybody; authenticated, a name that is only given is not enough"
    assert words["how many"] == "3 different people must approve the same version; 2 different people must reject"
    assert words["until"].endswith(", 1 h 30 min left")
    assert (
        words["then"]
        == "lead is asked (1 d), then board is asked (1 min), then the answer is 'no', given by the deadline"
    )
    later = replace(asked, stage=2, overdue=True, due_at=NOW - timedelta(hours=3))
    assert policy_words(later, NOW)["then"] == "the answer is 'no', given by the deadline"
    assert time_left(later, NOW) == "overdue 3 h"
    plain = policy_words(review(), NOW)
    assert plain == {"who": "anybody", "how many": "one answer is enough", "until": "no deadline"}


def test_reviews_are_named_by_as_little_of_their_id_as_tells_them_apart() -> None:
    ids = ("a" * 31 + "1", "a" * 31 + "2", "breakpoint:1f0c5b1e-0000")
    assert names_of([review(id=each) for each in ids]) == [ids[0], ids[1], ids[2]]
    assert names_of([review(id=ids[0]), review(id=ids[2])]) == ["aaaaaaaa", "breakpoint:1f0c5b1e"]
    assert names_of([review(id="x", thread_id="one"), review(id="x", thread_id="two")]) == ["one", "two"]


@pytest.mark.parametrize("width", [40, 60, 84, 120, 200])
def test_the_inbox_fits_the_window(width: int) -> None:
    asked = [
        review(id=str(n) * 32, description="word " * 40, workflow="a rather long name of a workflow", asked_at=NOW,
               due_at=NOW, roles=("legal", "head of purchasing"), policy=ReviewPolicy(approvals=3, priority=n), missing=2)
        for n in (1, 2)
    ]  # fmt: skip
    lines = shown(review_table(asked, NOW, width, digests=True), width).splitlines()
    assert [line for line in lines if len(line.rstrip()) > width] == []
    assert "1 of 3" in "\n".join(lines)


def test_colours_come_only_where_a_terminal_takes_them() -> None:
    assert "\x1b[" in shown(outcome(run(), command), colour=True)
    assert "\x1b[" not in shown(outcome(run(), command))


def test_an_interrupted_run_is_continued_without_a_cause_to_mend() -> None:
    interrupted = run(status="failed", error={"type": "Interrupted", "message": "stopped", "node": None})
    assert "Go on with\n  adjourn retry t" in shown(outcome(interrupted, command))
    failed = run(status="failed", error={"type": "ValueError", "message": "no", "node": "pay"})
    assert "Failed: in pay: ValueError: no" in shown(outcome(failed, command))
    assert "When the cause is mended" in shown(outcome(failed, command))


def test_a_run_that_another_process_drives_is_said_to_be_so() -> None:
    assert "Running: another process drives it" in shown(outcome(run(status="running"), command))


def step(number: int, seconds: float, *, waited: bool = False, **changes: Any) -> Step:
    values: dict[str, Any] = {"nodes": (f"node{number}",), "changed": ("key",), "at": NOW}
    took = timedelta(seconds=seconds)
    return Step(number=number, checkpoint_id=str(number), took=took, waited=waited, **{**values, **changes})


def timeline(*steps: Step, status: str = "completed", updated_at: datetime = NOW) -> Timeline:
    total = sum((each.took for each in steps), timedelta())
    waiting = sum((each.took for each in steps if each.waited), timedelta())
    return Timeline(run(status=status, updated_at=updated_at), steps, total, waiting)


def test_bars_of_work_and_of_waiting_have_scales_of_their_own() -> None:
    steps = (step(1, 2.0), step(2, 1.0), step(3, 3600.0, waited=True))
    lines = shown(timeline_view(timeline(*steps), NOW, 80)).split("\n")
    long, half, waited = (next(line for line in lines if f"node{number}" in line) for number in (1, 2, 3))
    assert (long.count("█"), half.count("█"), waited.count("░")) == (24, 12, 24)
    assert lines[0].strip() == "w · completed · 1 h in all: 3.0 s at work, 1 h waiting for people"


def test_a_question_that_is_open_counts_as_waiting_until_now() -> None:
    open_since = NOW - timedelta(hours=2)
    text = shown(timeline_view(timeline(step(1, 1.0), status="paused", updated_at=open_since), NOW, 80))
    assert "waiting now   2 h" in text
    assert "1.0 s at work, 2 h waiting for people" in text


def test_what_took_any_time_shows_a_trace() -> None:
    hour = timedelta(hours=1)
    assert bar(timedelta(milliseconds=1), hour, 10, waiting=False, unicode=True).plain == "▏"
    assert bar(timedelta(milliseconds=1), hour, 10, waiting=True, unicode=True).plain == "░"
    assert bar(timedelta(0), hour, 10, waiting=False, unicode=True).plain == ""
    assert bar(timedelta(0), timedelta(0), 10, waiting=False, unicode=True).plain == ""
    assert bar(hour, hour, 3, waiting=False, unicode=False).plain == "###"
    assert bar(hour, hour, 3, waiting=True, unicode=False).plain == "..."


def test_many_changed_keys_are_counted() -> None:
    text = shown(timeline_view(timeline(step(1, 1.0, changed=tuple(f"a_long_key_{n}" for n in range(9)))), NOW, 110))
    assert "a_long_key_0, a_long_key_1 + 7 more" in text
