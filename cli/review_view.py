"""What the command shows of one review: the question, its policy in words, and who has decided what."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final

from rich.console import Group, RenderableType
from rich.text import Text

from .inbox_view import short_id
from .layout import blank, command_line, dictionary, grid, paragraph
from .policy_words import approvals, policy_words
from .question import answers, body, is_cut
from .text import age, clean, one_line, shortened

if TYPE_CHECKING:
    from ..engine import Principal, Review, Vote

__all__ = ["recorded", "whole_review"]

COMMENT: Final = 200
Command = Callable[..., str]

_COLOUR: Final = {"pending": "bold yellow", "decided": "bold green", "expired": "bold red", "withdrawn": "bold magenta"}
_DID: Final = {
    "approve": "approved",
    "edit": "edited",
    "reject": "rejected",
    "respond": "responded",
    "value": "answered",
    "remind": "reminded",
    "escalate": "escalated",
    "expire": "expired",
    "ask": "asked again",
}


def whole_review(
    review: Review, command: Command, now: datetime, who: Principal, *, full: bool = False
) -> RenderableType:
    """Return the view of a review.

    Args:
        review: The review.
        command: Makes a command line of words.
        now: The time now (aware).
        who: Who looks; they are told whether they may answer.
        full: Whether long values are shown whole.
    """
    parts: list[RenderableType] = [_head(review), _origin(review, now), blank()]
    parts += [paragraph(review.description), blank(), *body(review, full=full)]
    if not full and is_cut(review):
        parts += [Text("Read all of it with", style="bold")]
        parts += [command_line(command("review", short_id(review.id), "--full")), blank()]
    parts += [Text("Policy", style="bold"), dictionary(policy_words(review, now), 0), blank()]
    if review.votes:
        parts += [Text("Decided so far" if review.status == "pending" else "Decided", style="bold")]
        parts += [_votes(review, now), blank()]
    if review.status == "pending":
        parts += _next(review, command, who)
    else:
        parts += [Text("See what came of it with", style="bold"), command_line(command("show", review.thread_id))]
    return Group(*parts)


def recorded(review: Review, who: str) -> Text:
    """Return the line that says that an answer was taken and the review waits for more people."""
    vote = next(vote for vote in reversed(review.votes) if vote.by == who and vote.counts)
    return Text.assemble(("Recorded", "bold green"), f": {one_line(who)} {_DID[vote.kind]}; {_standing(review)}.")


def _head(review: Review) -> Text:
    about = one_line(str(review.action)) if review.action is not None else "a question"
    shown = Text.assemble((review.status.capitalize(), _COLOUR[review.status]), f": {about}")
    if review.version > 1:
        shown.append(f", version {review.version}")
    if review.overdue:
        shown.append("  overdue", style="bold red")
    return shown


def _origin(review: Review, now: datetime) -> Text:
    asked = f" · asked {age(review.asked_at, now)}" if review.asked_at else ""
    text = f"run {clean(review.thread_id)} · {one_line(review.workflow)} · started by {one_line(review.requested_by)}{asked}"
    ids = f"review {clean(review.id)}\nshows  {review.digest}"
    return Text(f"{text}\n{ids}", style="dim", overflow="fold")


def _votes(review: Review, now: datetime) -> RenderableType:
    table = grid()
    for no_wrap in (True, True, True, False):
        table.add_column(no_wrap=no_wrap, overflow="fold")
    for vote in review.votes:
        style = "" if vote.counts else "dim"
        what = _DID[vote.kind] + (f" (version {vote.version})" if vote.kind == "edit" else "")
        table.add_row("", *(Text(part, style=style) for part in (
            one_line(vote.by), what, age(vote.at, now), _remark(vote),
        )))  # fmt: skip
    standing = Text(f"  {_standing(review)[:1].upper()}{_standing(review)[1:]}.")
    return Group(table, *([blank(), standing] if review.status == "pending" else []))


def _remark(vote: Vote) -> str:
    said = [shortened(vote.message, COMMENT)] if vote.message else []
    if vote.kind == "value":
        said.append(shortened(str(vote.answer), COMMENT))
    if not vote.counts and vote.kind in ("approve", "edit", "reject", "respond", "value"):
        said.append("(does not count any more)")
    return " ".join(said)


def _standing(review: Review) -> str:
    if review.missing == 0:
        return "nobody is missing"
    more = "1 more person" if review.missing == 1 else f"{review.missing} more people"
    verb = "approve" if review.action is not None else "answer the same"
    version = f" version {review.version}" if review.version > 1 else ""
    return f"{approvals(review)} approved{version}, {more} must {verb}"


def _next(review: Review, command: Command, who: Principal) -> list[RenderableType]:
    from ..engine.review_rules import why_not

    parts: list[RenderableType] = []
    if problem := why_not(review, who):
        name = f"review {review.id} of run {review.thread_id}"
        said = problem.replace(name, "it")
        parts += [Text(f"You may not answer: {one_line(said)}.{_hint(review, who)}", style="yellow"), blank()]
    parts.append(Text("Answer with one of" if len(review.allowed) > 1 else "Answer with", style="bold"))
    lines = answers(review, command, target=("review", short_id(review.id)))
    return [*parts, *(command_line(line) for line in lines)]


def _hint(review: Review, who: Principal) -> str:
    if not review.roles or who.roles & set(review.roles):
        return ""
    return f" Whoever does adds --by NAME --by-role {shlex.quote(one_line(review.roles[0]))}."
