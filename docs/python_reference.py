"""The page of the Python API, from signatures and docstrings.

Docstrings are in Google's form: text, then sections (`Args:`, `Returns:`, `Raises:`, …) whose entries are `name: text`.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

from pydantic import BaseModel
from typing_extensions import is_typeddict

from adjourn import (
    AsyncEngine,
    AuditEntry,
    AuditReport,
    Breaker,
    Budget,
    Cache,
    Case,
    Child,
    Coping,
    Decision,
    DefaultValue,
    Engine,
    Limit,
    LimitStatus,
    Loops,
    Page,
    Price,
    Principal,
    Rate,
    Retry,
    Review,
    ReviewPolicy,
    Run,
    Schedule,
    Stage,
    Step,
    Swept,
    Timeline,
    Timetable,
    ToolRules,
    Vote,
    errors,
    testing,
)
from adjourn.engine import Finding, QueueStatus, Status, WorkerStatus, events
from adjourn.graphs.adaptive import build as build_adaptive
from adjourn.graphs.council import build as build_council
from adjourn.graphs.delegation import build as build_delegation
from adjourn.nodes.adaptive import (
    Attempted,
    Output,
    Part,
    Rules,
    Strategy,
    Task,
    Work,
    accuracy,
    adapting,
    ask_person,
    attempting,
    choosing,
    completeness,
    finishing,
    measuring,
    response_time,
    shipped_strategies,
)
from adjourn.nodes.adaptive.records import by_record
from adjourn.nodes.assignment import assign, reputation_after, trust_after
from adjourn.nodes.cases import recall, remember
from adjourn.nodes.children import ChildCall, child, child_sync, children, children_sync, gather
from adjourn.nodes.conflicts import find_conflicts
from adjourn.nodes.council import (
    Procedure,
    aggregation,
    ask_council,
    assignment,
    comparison,
    consensus,
    decomposition,
    member,
    members_of,
    remembrance,
    resolution,
    rule_agent,
    synthesis,
    take_answer,
    work,
)
from adjourn.nodes.delegation.agents import Brief, NeedsPerson
from adjourn.nodes.delegation.answers import PersonsAnswer
from adjourn.nodes.delegation.asking import human_review
from adjourn.nodes.delegation.compensation import Undo, compensation
from adjourn.nodes.delegation.consolidation import consolidation
from adjourn.nodes.delegation.executing import execution
from adjourn.nodes.delegation.planners import model_planner, rule_planner
from adjourn.nodes.delegation.planning import planning
from adjourn.nodes.delegation.plans import load_plan, read_plan
from adjourn.nodes.delegation.recovery import recovery
from adjourn.nodes.delegation.reopening import undoing_id
from adjourn.nodes.delegation.separate import awaiting
from adjourn.nodes.effects import once, once_for, once_sync
from adjourn.nodes.roster import load_roster, read_roster
from adjourn.nodes.voting import abstention, agreed, decide, read_vote
from adjourn.state.adaptive import AdaptiveResult, AttemptState, ResourceConstraints, Start
from adjourn.state.assignments import Assignment, Subtask, Unassigned
from adjourn.state.conflicts import Conflict
from adjourn.state.council import ConsensusResults, FinalResult, Request
from adjourn.state.decisions import approve, edit, reject, respond
from adjourn.state.delegation import CompensationState, SubtaskState
from adjourn.state.inputs import checked_together
from adjourn.state.minutes import minutes
from adjourn.state.plans import Plan, PlannedSubtask
from adjourn.state.questions import question, read_answer
from adjourn.state.roster import Agent
from adjourn.state.votes import AgentVote, Outcome, Round
from adjourn.testing import replies

SHOWN = (
    *(Run, Child, Review, Vote, Page, Step, Timeline, Swept),
    *(Status, QueueStatus, WorkerStatus),
    *(Limit, LimitStatus, Schedule, Timetable),
    *(AuditEntry, AuditReport, Finding, Principal),
)
PARTS_OF_ASSIGNMENT = (
    *(assign, reputation_after, trust_after, load_roster, read_roster, find_conflicts),
    *(Agent, Subtask, Assignment, Unassigned, Conflict),
)
PARTS_OF_COUNCIL = (
    *(build_council, member, members_of, rule_agent, Procedure),
    *(consensus, decomposition, assignment, work, comparison, resolution, aggregation, synthesis),
    *(remembrance, ask_council, take_answer, minutes),
    *(Request, ConsensusResults, FinalResult),
)
PARTS_OF_DELEGATION = (
    *(build_delegation, Brief, PersonsAnswer, NeedsPerson, Undo),
    *(load_plan, read_plan, rule_planner, model_planner, Plan, PlannedSubtask),
    *(planning, execution, recovery, awaiting, human_review, compensation, consolidation),
    *(SubtaskState, CompensationState, undoing_id),
)
PARTS_OF_ADAPTIVE = (
    *(build_adaptive, Work, Part, Strategy, Task, Output, Attempted, Rules),
    *(shipped_strategies, response_time, accuracy, completeness),
    *(choosing, attempting, measuring, adapting, finishing, ask_person, by_record),
    *(ResourceConstraints, Start, AttemptState, AdaptiveResult),
)
ADAPTIVE = """\
`from adjourn.graphs.adaptive import build`, `from adjourn.nodes.adaptive import Work, Strategy, …`; the data are in
`adjourn.state.adaptive`. A tutorial: [Let a workflow change its strategy](../tutorial/adaptive.md).
"""
DELEGATION = """\
`from adjourn.graphs.delegation import build`; the rest is in the modules of `adjourn.nodes.delegation`. A tutorial:
[Split a task into parts that depend on each other](../tutorial/delegation.md).
"""
VERBS = (
    *("start", "submit", "wait", "resume", "retry", "cancel", "recover", "fork"),
    *("get", "runs", "reviews", "review", "history", "timeline", "stream", "follow"),
    *("audit", "verify_audit", "anchor_audit", "export_audit", "erase"),
    *("cases", "forget"),
    *("set_limit", "remove_limit", "limits", "schedule", "unschedule", "schedules"),
    *("status", "sweep", "rebuild"),
)
SECTION = re.compile(r"^(Args|Returns|Raises|Yields)( \([^\n]*\))?:$")
ENTRY = re.compile(r"^([\w*, .]+): (.*)$", re.DOTALL)
WIDEST = 100

HEAD = """\
# Python

The public names of `adjourn`, from their docstrings; this page is generated. Each verb is shown as `AsyncEngine` has it.
`Engine` has the same verbs without `await`, and `stream` and `follow` as ordinary iterators.

Contents: [engine](#engine) · [decisions](#decisions) · [policies](#policies) · [coping](#coping) ·
[what the engine shows](#what-the-engine-shows) · [events](#events) · [errors](#errors) · [questions](#questions) ·
[inputs](#inputs) · [effects](#effects) · [past cases](#past-cases) · [child runs](#child-runs) · [voting](#voting) ·
[assignment](#assignment) · [council](#council) · [delegation](#delegation) · [adaptive](#adaptive) · [testing](#testing) ·
[settings](settings.md)
"""

CASES = """\
`from adjourn.nodes.cases import recall, remember`. How to use them: [Remember past cases](../how-to/memory.md).
"""

INPUTS = """\
`from adjourn.state.inputs import Words, checked_together`. `Words` is the type of a key whose text must say something. How
to use them: [What may be in the graph](../how-to/langgraph-project.md#what-may-be-in-the-graph).
"""

CHILDREN = """\
`from adjourn.nodes.children import child, children, ChildCall, gather, child_sync, children_sync`. How to use them:
[Leave work to child runs](../how-to/child-runs.md).
"""

VOTING = """\
`from adjourn.nodes.voting import read_vote, abstention, decide, agreed`; the data are in `adjourn.state.votes`. Which rule
when: [Agreement](../explanation/agreement.md).
"""

ASSIGNMENT = """\
`from adjourn.graphs.council import build as build_council
from adjourn.nodes.assignment import assign, reputation_after, trust_after`, `from adjourn.nodes.roster import load_roster,
read_roster`, `from adjourn.nodes.conflicts import find_conflicts`; the data are in `adjourn.state.roster`, `.assignments`
and `.conflicts`. How to use them: [Agreement](../explanation/agreement.md#who-does-what).
"""


COUNCIL = """\
`from adjourn.graphs.council import build`, `from adjourn.nodes.council import member, consensus, …`; the data are in
`adjourn.state.council`. Step by step: [Build a council of agents](../tutorial/council.md).
"""


def python_page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    for title, shown in sections().items():
        parts += [f"## {title}\n", *(each if isinstance(each, str) else part(each) for each in shown)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).rstrip() + "\n"


def sections() -> dict[str, Sequence[Any]]:
    """Return what stands under each title: texts as they are, and classes and functions to be shown."""
    verbs = (callable_part(f"{name}()", getattr(AsyncEngine, name)) for name in ("open", *VERBS))
    return {
        "Engine": (Engine, AsyncEngine, *verbs, Engine.interrupt),
        "Decisions": (approve, edit, reject, respond, Decision),
        "Policies": (
            "What each part means in practice: [Review policies](review-policies.md).\n",
            *(ReviewPolicy, Stage, DefaultValue),
        ),
        "Coping": (
            "How to use them: [Cope with faults](../how-to/coping-with-faults.md).\n",
            *(Coping, Retry, Breaker, Budget, Price, Loops, Cache, Rate, ToolRules),
        ),
        "What the engine shows": SHOWN,
        "Events": (events_part(),),
        "Errors": (errors_part(),),
        "Questions": ("`from adjourn.state.questions import question, read_answer`\n", question, read_answer),
        "Inputs": (INPUTS, checked_together),
        "Effects": ("`from adjourn.nodes.effects import once, once_sync, once_for`\n", once, once_sync, once_for),
        "Past cases": (CASES, recall, remember, Case),
        "Child runs": (CHILDREN, child, children, ChildCall, gather, child_sync, children_sync),
        "Voting": (VOTING, read_vote, abstention, decide, agreed, AgentVote, Outcome, Round),
        "Assignment": (ASSIGNMENT, *PARTS_OF_ASSIGNMENT),
        "Council": (COUNCIL, *PARTS_OF_COUNCIL),
        "Delegation": (DELEGATION, *PARTS_OF_DELEGATION),
        "Adaptive": (ADAPTIVE, *PARTS_OF_ADAPTIVE),
        "Testing": (
            "`from adjourn.testing import …`. How to use them: [Test your workflow](../how-to/test-your-workflow.md).\n",
            *testing_parts(),
        ),
    }


def part(shown: Any) -> str:
    """Show a class or a function."""
    if not inspect.isclass(shown):
        return callable_part(f"{shown.__name__}()", shown)
    return model_part(shown) if issubclass(shown, BaseModel) else class_part(shown)


def testing_parts() -> Iterator[str]:
    for name in testing.__all__:
        found = getattr(testing, name)
        if isinstance(found, ModuleType):
            continue
        yield class_part(found) if inspect.isclass(found) else callable_part(f"{name}()", found)
    yield f"### replies\n\n{markdown(paragraph(replies.__doc__))}\n"
    for name, function in vars(replies).items():
        if inspect.isfunction(function) and function.__module__ == replies.__name__ and not name.startswith("_"):
            yield callable_part(f"replies.{name}()", function)


def callable_part(title: str, function: Callable[..., Any], level: int = 3) -> str:
    name = title.removesuffix("()")
    return f"{'#' * level} {title}\n\n{signature(name, function)}\n\n{markdown(function.__doc__)}\n"


def class_part(kind: type) -> str:
    """Show a class: how it is made (a dataclass, a TypedDict: its fields), and its own public methods and properties."""
    types = types_of(kind)
    parts = [f"### {kind.__name__}", "", markdown(kind.__doc__, types), ""]
    if kind in (Engine, AsyncEngine):
        return "\n".join(parts)
    if not types and "__init__" in vars(kind):
        parts[2:2] = [signature(kind.__name__, kind.__init__), ""]
    for name, value in vars(kind).items():
        if name.startswith("_"):
            continue
        if isinstance(value, property):
            parts += [f"**`{name}`**: {markdown(value.__doc__)}", ""]
        elif (isinstance(value, classmethod) or inspect.isfunction(value)) and value.__module__ == kind.__module__:
            parts.append(callable_part(f"{kind.__name__}.{name}()", getattr(kind, name), level=4))
    return "\n".join(parts)


def types_of(kind: type) -> dict[str, str]:
    if dataclasses.is_dataclass(kind):
        return {each.name: str(each.type) for each in dataclasses.fields(kind)}
    if is_typeddict(kind):
        return {name: getattr(found, "__forward_arg__", str(found)) for name, found in kind.__annotations__.items()}
    return {}


def model_part(kind: type[BaseModel]) -> str:
    """Show a Pydantic model: its fields with their descriptions and defaults."""
    rows = ["| Field | Meaning | Default |", "| --- | --- | --- |"]
    for name, field in kind.model_fields.items():
        default = "required" if field.is_required() else f"`{field.get_default(call_default_factory=True)!r}`"
        rows.append(f"| `{name}` | {field.description} | {default} |")
    return "\n".join([f"### {kind.__name__}", "", markdown(kind.__doc__), "", *rows, ""])


def events_part() -> str:
    rows = ["| Event | `kind` | What it tells | Fields |", "| --- | --- | --- | --- |"]
    shared = {each.name for each in dataclasses.fields(events.Event)}
    for name in sorted(events.__all__, key=lambda name: list(vars(events)).index(name)):
        kind = getattr(events, name)
        fields = [each.name for each in dataclasses.fields(kind) if kind is events.Event or each.name not in shared]
        shown = ", ".join(f"`{field}`" for field in fields)
        rows.append(f"| `{name}` | `{kind.kind}` | {cell(kind.__doc__)} | {shown} |")
    intro = (
        "`stream`, `follow` and `on_event=` give these, from `adjourn.engine.events`; `adjourn.Event` is their base."
    )
    return "\n".join([intro, "", *rows, ""])


def errors_part() -> str:
    rows = ["| Error | What it means |", "| --- | --- |"]
    for name in errors.__all__:
        kind = getattr(errors, name)
        extra = [each for each in inspect.signature(kind).parameters if each not in ("message", "thread_id")]
        carried = f" Carries {', '.join(f'`{each}`' for each in extra)}." if extra else ""
        rows.append(f"| `{name}` | {cell(kind.__doc__)}{carried} |")
    tree = [line[4:] for line in (errors.__doc__ or "").splitlines() if line.startswith("    ")]
    return "\n".join(
        [
            "Every error is an `AdjournError` and has `message` and `thread_id` (None when it concerns no run).",
            "",
            *["```text", *tree, "```", ""],
            *rows,
            "",
        ]
    )


def signature(name: str, function: Callable[..., Any]) -> str:
    """Return a function's signature as code; a line for each parameter when it is long."""
    found = inspect.signature(function)
    parameters = [each for each in found.parameters.values() if each.name not in ("self", "cls")]
    short = found.replace(parameters=parameters)
    text = plain(f"{name}{short}")
    if len(text) > WIDEST:
        pieces = list(pieces_of(parameters))
        arrow = "" if found.return_annotation is inspect.Signature.empty else f" -> {found.return_annotation}"
        text = plain(f"{name}(\n" + "".join(f"    {piece},\n" for piece in pieces) + f"){arrow}")
    return f"```py\n{text}\n```"


def pieces_of(parameters: list[inspect.Parameter]) -> Iterator[str]:
    """Yield parameters as they are written, with the marks between their kinds."""
    for index, each in enumerate(parameters):
        before = parameters[index - 1].kind if index else None
        if each.kind is each.KEYWORD_ONLY and before not in (each.KEYWORD_ONLY, each.VAR_POSITIONAL):
            yield "*"
        yield str(each)
        after = parameters[index + 1].kind if index + 1 < len(parameters) else None
        if each.kind is each.POSITIONAL_ONLY and after is not each.POSITIONAL_ONLY:
            yield "/"


def plain(code: str) -> str:
    """Take the quotes off annotations, which are text in modules with postponed evaluation, and name functions."""
    return re.sub(r"<function (\w+) at 0x\w+>", r"\1", re.sub(r"(: |-> )'([^'\n]*)'", r"\1\2", code))


def markdown(doc: str | None, types: dict[str, str] | None = None) -> str:
    """Turn a docstring into Markdown; the parameters of a dataclass get their types and are called fields."""
    lines, out = inspect.cleandoc(doc or "").splitlines(), []
    index = 0
    while index < len(lines):
        head = SECTION.match(lines[index])
        index += 1
        if head is None:
            out.append(lines[index - 1])
            continue
        body = []
        while index < len(lines) and (not lines[index] or lines[index].startswith(" ")):
            body.append(lines[index])
            index += 1
        title = "Fields" if types and head[1] == "Args" else head[1]
        out += [f"{title}{head[2] or ''}:", "", *entries(inspect.cleandoc("\n".join(["", *body])), types or {}), ""]
    return "\n".join(out).strip()


def entries(body: str, types: dict[str, str]) -> Iterator[str]:
    """Yield the entries of a section as a list; text that is no entry stays a paragraph."""
    for block in re.split(r"\n(?=\S)", body):
        found = ENTRY.match(block)
        if found is None:
            yield block
            continue
        kind = f" (`{types[found[1]]}`)" if found[1] in types else ""
        yield f"- `{found[1]}`{kind}: {' '.join(found[2].split())}"


def paragraph(doc: str | None) -> str:
    return inspect.cleandoc(doc or "").split("\n\n")[0]


def cell(doc: str | None) -> str:
    """Return the text of a docstring before its sections, for a cell of a table."""
    text = re.split(r"\n(?=(?:Args|Returns|Raises)[^\n]*:\n)", inspect.cleandoc(doc or ""))[0]
    return " ".join(text.split()).replace("|", "\\|")
