"""What the engine shows: runs, reviews, steps, and who acts."""

from __future__ import annotations

import getpass
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from ..errors import RunFailed
from ..state.decisions import DecisionKind
from ..state.policies import ReviewPolicy

__all__ = [
    "DEFAULT_TENANT",
    "Child",
    "Page",
    "Principal",
    "Review",
    "ReviewStatus",
    "Run",
    "RunStatus",
    "Step",
    "Timeline",
    "Vote",
    "VoteKind",
]

RunStatus = Literal["queued", "running", "stalled", "paused", "completed", "failed", "cancelled"]
ReviewStatus = Literal["pending", "decided", "expired", "withdrawn"]
VoteKind: TypeAlias = DecisionKind | Literal["value", "remind", "escalate", "expire", "ask"]
DEFAULT_TENANT = "default"

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts.

    Args:
        id: Their name.
        roles: What they may be asked for.
        tenant: Whose runs they see; runs of other tenants are unknown to them.
        source: How we know: `trusted` (the caller says so: a program, a shell) or `authenticated` (a door proved it).
            Only a trusted source may name somebody else with `by=`.
    """

    id: str
    roles: frozenset[str] = frozenset()
    tenant: str = DEFAULT_TENANT
    source: Literal["trusted", "authenticated"] = "trusted"

    @classmethod
    def from_system(cls, roles: Iterable[str] = ()) -> Principal:
        """Return the operating-system user.

        Args:
            roles: Those that they hold.
        """
        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # a container may run under a number that has no name
            name = "unknown"
        return cls(name, frozenset(roles))


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's decision on a review, as it was recorded; or a note of what time did to it, by `system:deadline`.

    Args:
        by: Who.
        kind: What: approve, edit, reject, respond; `value` for a plain answer. Of notes: `remind`, `escalate`, `expire`,
            and `ask` when it was asked again.
        at: When (database time).
        answer: The whole answer in its one form.
        answer_digest: SHA-256 of its canonical JSON.
        shown: SHA-256 of exactly what was shown to them.
        proposal: SHA-256 of what they want: what was shown, or their edit of it.
        version: Which version of the proposal that is.
        counts: Whether it stands: an edit clears the votes of others, and a newer vote replaces an older one.
        source: How it is known who they are: trusted or authenticated.
        channel: Through which door it came: python, cli, http, page, studio, deadline.
        roles: The roles that they held.
        message: Their comment.
    """

    by: str
    kind: VoteKind
    at: datetime
    answer: Any
    answer_digest: str
    shown: str
    proposal: str
    version: int = 1
    counts: bool = True
    source: str = "trusted"
    channel: str = "python"
    roles: tuple[str, ...] = ()
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """One question to people, raised by a pause.

    Args:
        id: The review's id: LangGraph's interrupt id, or `breakpoint:<checkpoint id>` for a static breakpoint.
        thread_id: The run that waits.
        workflow: Its workflow.
        action: The name of what would be done; None for a question that is not about one action.
        args: The action's arguments in the current version: exactly what is approved or edited.
        description: The question, in words.
        allowed: Decisions that are possible; empty for a question that asks for a plain JSON value.
        edit_schema: JSON Schema of an edit's arguments, if the question or its policy gives one.
        response_schema: JSON Schema of a plain answer, if the question gives one.
        context: What else people should see.
        value: The question as the workflow raised it.
        status: pending; decided; expired (its deadline failed the run); withdrawn (the run does not ask it any more).
        policy: Who may answer, how many must agree, until when.
        requested_by: Who started the run.
        roles: Who is asked now, after escalations; empty for everybody.
        stage: How often it was escalated.
        version: 1, and one more with each edit that other people must still approve.
        digest: SHA-256 of exactly what is shown: the canonical JSON of the question in its current version. Give it as
            `shown=` with an answer, so that nobody decides about something that they did not see.
        asked_at: When it was asked (database time).
        due_at: When its deadline is; None without one.
        overdue: Whether that has passed, at the moment of reading.
        votes: What people have decided so far, in order.
        missing: How many more people must approve the current version.
        closed_by: Who closed it.
        closed_at: When.
    """

    id: str
    thread_id: str
    workflow: str
    action: str | None
    args: dict[str, Any]
    description: str
    allowed: tuple[DecisionKind, ...]
    edit_schema: dict[str, Any] | None = None
    response_schema: dict[str, Any] | None = None
    context: dict[str, Any] = field(default_factory=dict)
    value: Any = None
    status: ReviewStatus = "pending"
    policy: ReviewPolicy = field(default_factory=ReviewPolicy)
    requested_by: str = ""
    roles: tuple[str, ...] = ()
    stage: int = 0
    version: int = 1
    digest: str = ""
    asked_at: datetime | None = None
    due_at: datetime | None = None
    overdue: bool = field(default=False, compare=False)
    votes: tuple[Vote, ...] = ()
    missing: int = 1
    closed_by: str | None = None
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Child:
    """A run that a node of another run started.

    Args:
        id: Its own id in the node that started it.
        thread_id: The run.
        workflow: Its workflow.
        status: Where it stands.
        waited_for: Whether its parent is paused until it has ended.
        questions: How many questions it asks.
        error: As in `Run`.
        children: The runs that its nodes started.
    """

    id: str
    thread_id: str
    workflow: str
    status: RunStatus
    waited_for: bool = False
    questions: int = 0
    error: dict[str, Any] | None = None
    children: tuple[Child, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """What the engine knows about a thread, at the moment it was asked.

    Args:
        thread_id: Its id.
        workflow: The workflow's name.
        version: The workflow's version when the run was started.
        source: Where the workflow was registered.
        status: Where the run stands; `stalled` is a running run whose driver is gone (`recover` continues it).
        requested_by: Who started it.
        tenant: Whose it is.
        created_at: When it was accepted (database time).
        updated_at: When its status last changed.
        ended_at: When it completed, failed or was cancelled.
        error: For a failed run `type`, `message` and `node`, and `child` where a child run failed it; for a cancelled one
            `message` and `by`.
        forked_from: The thread it was forked from.
        parent: The run whose node started it.
        state: The workflow's state; empty before the first checkpoint and in listings.
        reviews: The open questions; empty in listings. A paused run without any waits for its children.
        children: The runs that its nodes started, with theirs, in the order in which they were started; empty in listings.
    """

    thread_id: str
    workflow: str
    version: str
    source: str
    status: RunStatus
    requested_by: str
    tenant: str
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    error: dict[str, Any] | None = None
    forked_from: str | None = None
    parent: str | None = None
    state: dict[str, Any] = field(default_factory=dict)
    reviews: tuple[Review, ...] = ()
    children: tuple[Child, ...] = ()

    def raise_for_failure(self) -> Run:
        """Return the run itself, unless it failed.

        Raises:
            RunFailed: The run failed; the message says where and why.
        """
        if self.status != "failed":
            return self
        error = self.error or {}
        node = error.get("node")
        where = f" in {node}" if node else ""
        raise RunFailed(
            f"Run {self.thread_id} failed{where}: {error.get('type')}: {error.get('message')}. "
            "Mend the cause and call retry().",
            node=node,
            thread_id=self.thread_id,
        )


@dataclass(frozen=True, slots=True)
class Page(Sequence[Item], Generic[Item]):
    """Part of a listing, newest first.

    Args:
        items: The entries.
        after: Give this as `after=` to get the next page; None when this is the last.
    """

    items: tuple[Item, ...]
    after: str | None

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)


@dataclass(frozen=True, slots=True)
class Step:
    """One super-step of a run: what LangGraph did between two checkpoints.

    Args:
        number: LangGraph's step number; -1 is the input.
        checkpoint_id: The checkpoint after it; give it to `fork(at=…)`.
        nodes: The nodes that ran in it. Siblings started by `Send` appear once.
        changed: The state keys that changed.
        at: When it was done.
        took: How long since the step before, waiting included; zero for the first.
        waited: Whether people were asked in it, so that `took` is mostly theirs.
    """

    number: int
    checkpoint_id: str
    nodes: tuple[str, ...]
    changed: tuple[str, ...]
    at: datetime
    took: timedelta
    waited: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    """How the time of a run was spent.

    Args:
        run: The run.
        steps: Its steps, in order.
        total: From the first checkpoint to the last.
        waiting: In steps that asked people.
    """

    run: Run
    steps: tuple[Step, ...]
    total: timedelta
    waiting: timedelta

    @property
    def working(self) -> timedelta:
        """The time outside steps that asked people."""
        return self.total - self.waiting
