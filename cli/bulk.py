"""`adjourn approve-all`: approve what waits, by filter, after a look at the list."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ..errors import AdjournError, StorageUnavailable
from ..state.decisions import approve
from .deciding import ByRoles, acting
from .exits import Exit, exit_of_error
from .inbox import MOST, Filters, Limit, OfWorkflow, Overdue, Role
from .run import By
from .session import Session
from .text import one_line

if TYPE_CHECKING:
    from ..engine import Engine, Principal, Review, Run

__all__ = ["approve_all"]

_AT_ONCE: Final = 8
_STYLE: Final = {"approved": "bold green", "refused": "bold red", "failed": "bold red"}


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of one review.

    Args:
        review: As it was shown.
        what: `approved`; `failed`: approved, and then its run failed; `refused`.
        said: In words.
        code: The exit code that it alone would have.
        status: Where its run stands, if it was approved.
        error: Why it was refused.
    """

    review: Review
    what: str
    said: str
    code: int
    status: str | None = None
    error: AdjournError | None = None


def approve_all(
    session: Session,
    role: Role = None,
    workflow: OfWorkflow = None,
    overdue: Overdue = False,
    limit: Limit = MOST,
    comment: Annotated[str | None, typer.Option(metavar="TEXT", help="A comment to keep with each.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: By = None,
    by_role: ByRoles = None,
) -> int:
    """Approve what waits for you, or for whom --by names: first the list, then the question whether to.

    Exactly what the list shows is approved: a review that somebody changes in between is refused. Runs are driven on,
    up to eight at once. Ends with 0 if all were approved, otherwise with the code of the first that was not.

    Examples: `adjourn approve-all --workflow review`, `adjourn approve-all --by dana --by-role legal --yes`
    """
    if not yes:
        session.check_can_ask("inbox", "--mine")
    with session.engine() as engine:
        who = acting(engine, by, by_role)
        page = Filters(role, workflow, overdue).page(engine, limit, waiting_for=who)
        chosen = [review for review in page if "approve" in review.allowed]
        others = len(page) - len(chosen)
        if not session.as_json:
            _show_list(session, chosen, others, more=page.after is not None)
        if chosen and not yes and not typer.confirm(_question(chosen, who), err=True):
            session.err.print("Nothing was approved.")
            return Exit.PAUSED
        done = _approve(session, engine, chosen, who, comment)
    if session.as_json:
        session.result({"items": [_json(each) for each in done], "after": page.after})
    elif done:
        _show_sum(session, done)
    return next((each.code for each in done if each.code), Exit.COMPLETED)


def _show_list(session: Session, chosen: list[Review], others: int, *, more: bool) -> None:
    from .inbox_view import review_table
    from .layout import blank, paragraph

    if chosen:
        session.show(review_table(chosen, datetime.now(UTC), session.out.width, digests=True), blank())
    else:
        session.show(paragraph("Nothing that could be approved waits for you."))
    if others:
        wait = "1 review asks" if others == 1 else f"{others} reviews ask"
        session.show(paragraph(f"{wait} for another answer than an approval; see `adjourn inbox --mine`."))
    if more:
        session.show(paragraph("There are more than these; --limit shows more at once."))


def _question(chosen: list[Review], who: Principal) -> str:
    these = "this review" if len(chosen) == 1 else f"these {len(chosen)} reviews"
    return f"Approve {these}, exactly as shown, as {one_line(who.id)}?"


def _approve(
    session: Session, engine: Engine, chosen: list[Review], who: Principal, comment: str | None
) -> list[_Done]:
    """Approve reviews, several at once, and tell of each in the order of the list."""
    from .inbox_view import names_of

    done: list[_Done] = []
    at_work = ThreadPoolExecutor(max_workers=_AT_ONCE)
    begun = _begin(session, engine, at_work, chosen, who, comment)
    try:
        for future, name in zip(begun, names_of(chosen), strict=True):
            if future.cancelled():
                continue
            with session.working(f"approving {name}"):
                done.append(future.result())
            if isinstance(done[-1].error, StorageUnavailable):
                for each in begun:
                    each.cancel()  # those that have not begun would wait as long for the same
            if not session.as_json:
                _show_line(session, done[-1], name)
    except BaseException:
        at_work.shutdown(wait=False, cancel_futures=True)
        stopped = list(session.driven)
        engine.interrupt()
        wait(each for each in begun if not each.cancelled())
        session.driven = stopped
        raise
    at_work.shutdown()
    return done


def _begin(
    session: Session,
    engine: Engine,
    at_work: ThreadPoolExecutor,
    chosen: list[Review],
    who: Principal,
    comment: str | None,
) -> list[Future[_Done]]:
    """Begin to approve reviews in the order of the list; those of one run one after the other."""
    begun: list[Future[_Done]] = []
    last_of: dict[str, Future[_Done]] = {}

    def approve_next(review: Review, before: Future[_Done] | None) -> _Done:
        if before is not None:  # it was begun earlier, so this waits for nothing that has no worker
            wait([before])
        session.driven.append(review.thread_id)
        try:
            return _approve_one(engine, review, who, comment)
        finally:
            session.driven.remove(review.thread_id)

    for review in chosen:
        last_of[review.thread_id] = at_work.submit(approve_next, review, last_of.get(review.thread_id))
        begun.append(last_of[review.thread_id])
    return begun


def _approve_one(engine: Engine, review: Review, who: Principal, comment: str | None) -> _Done:
    try:
        run = engine.resume(review.thread_id, approve(comment), by=who, review_id=review.id, shown=review.digest)
    except AdjournError as error:
        return _Done(review, "refused", error.message, exit_of_error(error), error=error)
    if run.status == "failed":
        said = f"its run failed: {(run.error or {}).get('message')}"
        return _Done(review, "failed", said, Exit.FAILED, run.status)
    return _Done(review, "approved", _standing(review, run), Exit.COMPLETED, run.status)


def _standing(review: Review, run: Run) -> str:
    same = next((each for each in run.reviews if each.id == review.id), None)
    if same is not None:
        return f"{same.missing} more must approve"
    return {
        "completed": "its run has completed",
        "paused": "its run asks again",
        "running": "another process drives its run",
    }.get(run.status, f"its run is {run.status}")


def _show_line(session: Session, done: _Done, name: str) -> None:
    from rich.text import Text

    said = f"{one_line(done.review.thread_id)}: {one_line(done.said)}"
    line = Text.assemble((f"{done.what:<9}", _STYLE[done.what]), (f" {name}  ", "cyan"), said)
    if not session.out.is_terminal:  # what goes to a file stays on one line
        line.no_wrap, line.overflow = True, "ignore"
    session.show(line)


def _show_sum(session: Session, done: list[_Done]) -> None:
    from rich.text import Text

    from .layout import blank

    counts = {what: sum(each.what == what for each in done) for what in _STYLE}
    approved = counts["approved"] + counts["failed"]
    said = [f"{approved} approved", f"{counts['refused']} refused" if counts["refused"] else ""]
    said.append(f"{counts['failed']} failed then" if counts["failed"] else "")
    session.show(blank(), Text(", ".join(each for each in said if each) + ".", style="bold"))


def _json(done: _Done) -> dict[str, Any]:
    error = done.error and {"type": type(done.error).__name__, "message": done.error.message}
    return {
        "review_id": done.review.id,
        "thread_id": done.review.thread_id,
        "digest": done.review.digest,
        "outcome": done.what,
        "run_status": done.status,
        "error": error,
    }
