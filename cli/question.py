"""A question to a person, readably, with the commands that answer it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.text import Text

from .layout import blank, command_line, dictionary, grid, paragraph
from .policy_words import approvals
from .text import clean, one_line, summary, timestamp

if TYPE_CHECKING:
    from ..engine import Review

__all__ = ["DIGEST", "answers", "body", "edited", "is_cut", "question"]

# An argument is what is approved, so a reader should seldom need a second command to see it.
ARGUMENT: Final = 1200
CONTEXT: Final = 160
CHANGE: Final = 60
# Enough of a digest to tell two versions apart.
DIGEST: Final = 12
# Below this many columns arguments stand one below the other.
ROOMY: Final = 60

Command = Callable[..., str]


def question(review: Review, command: Command, *, several: bool = False, full: bool = False) -> RenderableType:
    """Return the view of a question: what is asked and why, the arguments, the context, and what to type.

    Args:
        review: The question.
        command: Makes a command line of words.
        several: Whether more questions are open, so that commands must name this one.
        full: Whether long values are shown whole.
    """
    parts: list[RenderableType] = [paragraph(review.description)]
    if several:
        parts.append(Text(f"  review {clean(review.id)}", style="dim"))
    if terms := _terms(review):
        parts.append(Padding(terms, (0, 0, 0, 2), expand=False))
    parts += [blank(), *body(review, full=full)]
    if not full and is_cut(review):
        parts += [Text("Read all of it with", style="bold"), command_line(command("show", review.thread_id, "--full"))]
        parts.append(blank())
    parts.append(Text("Answer with one of" if len(review.allowed) > 1 else "Answer with", style="bold"))
    parts += [command_line(line) for line in answers(review, command, several=several)]
    return Group(*parts)


def body(review: Review, *, full: bool = False) -> list[RenderableType]:
    """Return what is asked about: the arguments and the context, or the question as the workflow raised it.

    Args:
        review: The question.
        full: Whether long values are shown whole.
    """
    parts: list[RenderableType] = []
    if changed := edited(review):
        parts += [paragraph(f"Edited since it was asked: {changed}"), blank()]
    if review.action is not None:
        columns = {name: value for name, value in review.context.items() if _is_column(value, review.args)}
        if review.args:
            parts += [_Arguments(review, columns, full), blank()]
        rest = {name: value for name, value in review.context.items() if name not in columns}
        rest = {name: value for name, value in rest.items() if not _said(value, review.description)}
        if rest:
            parts += [dictionary(rest, 0 if full else CONTEXT), blank()]
    elif not isinstance(review.value, str):
        parts += [_raw(review.value, review.description, full), blank()]
    return parts


def edited(review: Review) -> str:
    """Return what people have changed in a question since it was asked, such as `amount 250 → 200`; or nothing."""
    if review.version == 1 or not isinstance(review.value, dict):
        return ""
    requests = review.value.get("action_requests")
    asked = (requests[0] if isinstance(requests, list) and requests else review.value).get("args")
    before = asked if isinstance(asked, dict) else {}
    changed = [name for name, value in review.args.items() if name not in before or before[name] != value]
    return ", ".join(
        f"{one_line(name)} {summary(before.get(name), CHANGE)} → {summary(review.args[name], CHANGE)}"
        for name in changed
    )


def answers(
    review: Review, command: Command, *, several: bool = False, target: tuple[str, str] | None = None
) -> list[str]:
    """Return the command lines that answer a question, ready to be typed.

    Whoever approves or edits what somebody has edited says which version they saw.

    Args:
        review: The question.
        command: Makes a command line of words.
        several: Whether they must name the question.
        target: The words that they begin with, instead of `resume` and the run.
    """
    which = ["--review", review.id] if several else []
    shown = ["--shown", review.digest[:DIGEST]] if review.version > 1 else []
    words: dict[str, list[str]] = {
        "approve": ["approve", *shown],
        "edit": ["edit", "--set", _example_edit(review), *shown],
        "reject": ["reject", "why it must not happen"],
        "respond": ["respond", "what the workflow should know"],
    }
    chosen = [words[kind] for kind in review.allowed if kind != "edit" or review.args]
    chosen = chosen or [["--value", json.dumps(_example(review.response_schema), ensure_ascii=False)]]
    return [command(*(target or ("resume", review.thread_id)), *each, *which) for each in chosen]


def _terms(review: Review) -> Text | None:
    """Return how far a review is and who is asked until when, where that is not one answer by anybody at any time."""
    said = []
    if review.policy.approvals > 1 or review.votes:
        standing = [one_line(vote.by) for vote in review.votes if vote.counts and vote.kind in ("approve", "edit")]
        said.append(f"{approvals(review)} approved" + (f" ({', '.join(standing)})" if standing else ""))
    if review.roles:
        said.append(f"asks {' or '.join(one_line(role) for role in review.roles)}")
    if review.due_at is not None:
        said.append(f"until {timestamp(review.due_at)}{', overdue' if review.overdue else ''}")
    return Text(" · ".join(said), style="red" if review.overdue else "yellow") if said else None


class _Arguments:
    """The arguments of the action: a table with a column for each remark; one below the other where it is narrow."""

    def __init__(self, review: Review, columns: Mapping[str, Mapping[str, Any]], full: bool) -> None:
        self._action = one_line(str(review.action))
        self._columns = [one_line(name).replace("_", " ") for name in columns]
        self._rows = [
            (
                one_line(name),
                self._value(review, name, full),
                [_remark(each.get(name, "")) for each in columns.values()],
            )
            for name in review.args
        ]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width < ROOMY:
            yield Text(f"  {self._action}", style="dim")
            for name, value, remarks in self._rows:
                said = [f"{column} {remark}" for column, remark in zip(self._columns, remarks, strict=True) if remark]
                head = Text.assemble((name, "cyan"), *((f"  {one}", "dim") for one in said))
                yield Padding(head, (0, 0, 0, 2), expand=False)
                yield Padding(value, (0, 0, 0, 4), expand=False)
            return
        table = grid(self._action, "proposed", *self._columns)
        for name, value, remarks in self._rows:
            table.add_row("", Text(name, style="cyan"), value, *map(Text, remarks))
        yield table

    @staticmethod
    def _value(review: Review, name: str, full: bool) -> Text:
        shown = Text(summary(review.args[name], 0 if full else ARGUMENT), overflow="fold")
        others = _choices(review, name)
        if others and "edit" in review.allowed:
            named = ", ".join(str(each) for each in others if each is not None)
            shown.append(f"  ({named})", style="dim")
        return shown


def _remark(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else summary(value, CONTEXT)


def _raw(value: Any, description: str, full: bool) -> RenderableType:
    if isinstance(value, dict) and value and not full:
        return dictionary({name: item for name, item in value.items() if item != description}, ARGUMENT)
    from .json_out import plain

    return Text(clean(json.dumps(plain(value), ensure_ascii=False, indent=2)))


def _is_column(value: Any, args: Mapping[str, Any]) -> bool:
    """Whether a part of the context says something about each of some arguments, such as a confidence."""
    return isinstance(value, dict) and bool(value) and value.keys() <= args.keys()


def _said(value: Any, description: str) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and item in description for item in value)


def is_cut(review: Review) -> bool:
    """Say whether something of a question is too long to be shown whole."""
    shown = [*((value, ARGUMENT) for value in review.args.values())]
    shown += [(value, CONTEXT) for value in review.context.values() if not _said(value, review.description)]
    return any(len(summary(value, 0)) > limit for value, limit in shown)


def _choices(review: Review, argument: str) -> list[Any]:
    found = ((review.edit_schema or {}).get("properties") or {}).get(argument)
    choices = found.get("enum") if isinstance(found, dict) else None
    return choices if isinstance(choices, list) else []


def _example_edit(review: Review) -> str:
    """Return a change that could be made: where the schema lists values, one beside the one that is shown."""
    for name, value in review.args.items():
        choices = _choices(review, name)
        if value not in choices and choices:
            return _assignment(name, choices[0])
        if len(choices) > 1:
            place = choices.index(value)
            return _assignment(name, choices[place - 1 if place else 1])
    name = next(iter(review.args), "name")
    return f"{name}=new text" if isinstance(review.args.get(name), str) else f"{name}:=…"


def _assignment(name: str, value: Any) -> str:
    return f"{name}={value}" if isinstance(value, str) else f"{name}:={json.dumps(value)}"


def _example(schema: Mapping[str, Any] | None) -> Any:
    schema = schema or {}
    if schema.get("enum"):
        return schema["enum"][0]
    examples = {"boolean": True, "integer": 1, "number": 1.5, "object": {"key": "value"}, "array": ["first"]}
    return examples.get(str(schema.get("type")), "your answer")
