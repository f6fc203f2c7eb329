"""The commands with which people answer: review, resume. They share one way from the words typed to the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ..errors import DigestMismatch, InvalidDecision, NotAuthorized, ReviewClosed, UnknownReview
from .answers import Given, read_answer
from .exits import Exit
from .inputs import mistaken_for_text
from .run import By, Submit, Thread, show_outcome, show_submitted
from .session import Session

if TYPE_CHECKING:
    from ..engine import Engine, Principal, Review, Run

__all__ = ["ByRoles", "acting", "resume", "review"]

# As much of a digest as must be typed, at least.
SHORTEST_DIGEST: Final = 8

Word = Annotated[
    str | None, typer.Argument(metavar="DECISION", help="approve, edit, reject or respond.", show_default=False)
]
Text = Annotated[
    str | None,
    typer.Argument(metavar="TEXT", help="The reason of a rejection, or the response.", show_default=False),
]
Comment = Annotated[
    str | None,
    typer.Option("--comment", "--message", metavar="TEXT", help="The same as TEXT; a comment beside an edit."),
]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="For edit: a changed argument, as in run. Repeatable."),
]
Edit = Annotated[
    str | None, typer.Option("--edit", metavar="JSON", help="For edit: the changed arguments: JSON, @file or -.")
]
Editor = Annotated[
    bool, typer.Option("--editor", help="For edit: change the arguments in your editor ($VISUAL, $EDITOR).")
]
Value = Annotated[
    str | None,
    typer.Option(metavar="JSON", help="The answer to a question that asks for a plain value: JSON, @file or -."),
]
Shown = Annotated[
    str | None,
    typer.Option(metavar="DIGEST", help="What you saw, or its first 8 characters; anything else is refused."),
]
ByRoles = Annotated[
    list[str] | None,
    typer.Option(
        "--by-role", metavar="ROLE", help="A role that they hold. Default: for you ADJOURN_ROLES. Repeatable."
    ),
]


@dataclass(frozen=True, slots=True)
class _Target:
    """What an answer is about.

    Args:
        thread: The run.
        review_id: Which of its questions; None while it is the only one.
        review: That question, where it was looked at.
        submit: Whether the run is left to a worker.
    """

    thread: str
    review_id: str | None = None
    review: Review | None = None
    submit: bool = False


def resume(
    session: Session,
    thread: Thread,
    decision: Word = None,
    text: Text = None,
    comment: Comment = None,
    assignments: Assignments = None,
    edit: Edit = None,
    editor: Editor = False,
    value: Value = None,
    review: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Which question, or how its id begins; needed only while several are open."),
    ] = None,
    shown: Shown = None,
    by: By = None,
    by_role: ByRoles = None,
    submit: Submit = False,
) -> int:
    """Answer a question and drive the run on.

    Examples: `adjourn resume note-1 approve`, `adjourn resume note-1 edit --set risk_level=low`,
    `adjourn resume note-1 reject "The figures are old."`
    """
    given = Given(decision, text, comment, tuple(assignments or ()), edit, value, editor)
    answer = read_answer(given)
    with session.engine() as engine:
        target = _Target(thread, review, submit=submit)
        if review or shown or editor:
            target = replace(_open_question(engine, thread, review), submit=submit)
        return _send(session, engine, target, given, answer, by=acting(engine, by, by_role), shown=shown)


def review(
    session: Session,
    which: Annotated[
        str,
        typer.Argument(metavar="REVIEW", help="Its id, or how that begins; or the thread id of its run."),
    ],
    decision: Word = None,
    text: Text = None,
    comment: Comment = None,
    assignments: Assignments = None,
    edit: Edit = None,
    editor: Editor = False,
    value: Value = None,
    shown: Shown = None,
    by: By = None,
    by_role: ByRoles = None,
    full: Annotated[bool, typer.Option("--full", help="Show long values whole.")] = False,
) -> int:
    """Show a question to people: what is asked, under which policy, who has decided what. Or answer it.

    Examples: `adjourn review 3fa9c1d2`, `adjourn review 3fa9c1d2 approve`, `adjourn review note-1 edit --editor`
    """
    given = Given(decision, text, comment, tuple(assignments or ()), edit, value, editor)
    answer = read_answer(given) if given.answers else None
    with session.engine() as engine:
        found = engine.review(which)
        who = acting(engine, by, by_role)
        if given.answers:
            target = _Target(found.thread_id, found.id, found)
            return _send(session, engine, target, given, answer, by=who, shown=shown)
    _show(session, found, who, full=full)
    return Exit.COMPLETED


def acting(engine: Engine, by: str | None, roles: Sequence[str] | None) -> Principal:
    """Return who acts, from `--by` and `--by-role`; a shell is trusted, and so vouches for both.

    Args:
        engine: It knows who is at the shell.
        by: Their name, if somebody else is named.
        roles: Those that they hold; by default your own, if it is you.
    """
    from ..engine import Principal

    own = engine.principal
    if by in (None, own.id) and not roles:
        return own
    return Principal(by or own.id, frozenset(roles or ()), tenant=own.tenant)


def _show(session: Session, found: Review, who: Principal, *, full: bool) -> None:
    if session.as_json:
        from .json_out import review_json

        session.result(review_json(found))
        return
    from .review_view import whole_review

    session.show(whole_review(found, session.command, datetime.now(UTC), who, full=full))


def _open_question(engine: Engine, thread: str, start: str | None) -> _Target:
    """Find the open question of a run that is meant; where none fits, leave it to the engine to say so."""
    asking = engine.get(thread).reviews
    fitting = [each for each in asking if start is None or each.id.startswith(start)]
    if len(fitting) == 1:
        return _Target(thread, fitting[0].id, fitting[0])
    if start is not None and len(fitting) > 1:
        names = ", ".join(each.id for each in fitting)
        raise UnknownReview(f"Several questions of {thread} begin with {start!r}: {names}.", thread_id=thread)
    return _Target(thread, start)


def _send(
    session: Session,
    engine: Engine,
    target: _Target,
    given: Given,
    answer: Any,
    *,
    by: Principal,
    shown: str | None,
) -> int:
    """Give an answer to the engine, and show where the run stands then."""
    if not given.editor:
        with _explained(session, target, given):
            return _told(session, _answer(session, engine, target, answer, by, shown), by, submit=target.submit)
    from .editor import Editing

    if target.review is None:
        look = session.command("show", target.thread)
        raise UnknownReview(f"No single open question is meant; see what it asks: {look}", thread_id=target.thread)
    if target.review.status != "pending":
        raise ReviewClosed(f"Review {target.review.id} is {target.review.status}.", thread_id=target.thread)
    with Editing(target.review, colour=session.err) as editing:
        changed = editing.changes()
        if changed is None:
            session.err.print("Nothing was changed, so nothing was sent.")
            return Exit.PAUSED
        decided = replace(answer, args=changed)
        with _explained(session, target, given):
            run = _answer(session, engine, target, decided, by, shown or target.review.digest)
    return _told(session, run, by, submit=target.submit)


def _answer(session: Session, engine: Engine, target: _Target, answer: Any, by: Principal, shown: str | None) -> Run:
    if shown and target.review and len(shown) >= SHORTEST_DIGEST and target.review.digest.startswith(shown):
        shown = target.review.digest
    if target.submit:
        return engine.resume(target.thread, answer, by=by, review_id=target.review_id, shown=shown, wait=False)
    with session.progress() as progress:
        return engine.resume(target.thread, answer, by=by, review_id=target.review_id, shown=shown, on_event=progress)


@contextmanager
def _explained(session: Session, target: _Target, given: Given) -> Iterator[None]:
    """Say in the words of the command line what is to be done about an answer that was refused."""
    try:
        yield
    except InvalidDecision as error:
        hint = mistaken_for_text(given.assignments, error.message)
        raise InvalidDecision(error.message + hint, thread_id=target.thread) from None
    except UnknownReview as error:
        raise UnknownReview(f"{error.message} Name one with --review ID.", thread_id=target.thread) from None
    except NotAuthorized as error:
        hint = " Say with --by-role what they hold, or in ADJOURN_ROLES what you do." if _no_role(error) else ""
        raise NotAuthorized(error.message + hint, thread_id=target.thread) from None
    except DigestMismatch as error:
        look = session.command("review", target.review_id or target.thread)
        raise DigestMismatch(f"{error.message} See it with: {look}", thread_id=target.thread) from None


def _no_role(error: NotAuthorized) -> bool:
    return error.message.rstrip(".").endswith("holds no role")


def _told(session: Session, run: Run, by: Principal, *, submit: bool) -> int:
    """Show the outcome; first of all that the answer was taken, where the review waits for more people."""
    waiting = [each for each in run.reviews if any(vote.by == by.id and vote.counts for vote in each.votes)]
    if waiting and not session.as_json:
        from .layout import blank
        from .review_view import recorded

        session.show(*(recorded(each, by.id) for each in waiting), blank())
    return show_submitted(session, run) if submit else show_outcome(session, run)
