"""A second, simpler account of how reviews are decided, to hold the rules against.

It keeps the raw story of one review, as (time, who, what) that was accepted, and works everything out from the start
again whenever it is asked. It shares no code with the rules.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from adjourn import Principal
from adjourn.state.decisions import Decision
from adjourn.state.policies import ReviewPolicy


@dataclass
class Model:
    """One review: `say` and `look` return in a word what happened."""

    policy: ReviewPolicy
    requested_by: str
    asked_at: datetime
    story: list[tuple[str, str, str]] = field(default_factory=list)  # (who, kind, what they want)
    end: tuple[str, str, str] | None = None  # status, by whom, what the workflow gets
    level: int = 0
    level_since: datetime | None = None
    reminded: bool = False

    def wording(self) -> str:
        """The text that people approve now: the last edit, or the original."""
        edits = [want for _, kind, want in self.story if kind == "edit"]
        return edits[-1] if edits else "original"

    def standing(self) -> dict[str, tuple[str, str]]:
        """What each person says now."""
        said: dict[str, tuple[str, str]] = {}
        text = "original"
        for who, kind, want in self.story:
            if kind == "edit" and want != text:
                said, text = {}, want
            said[who] = (kind, want)
        return said

    def asked_roles(self) -> set[str]:
        return set(self.policy.roles if self.level == 0 else self.policy.escalate_to[self.level - 1].roles)

    def say(self, who: Principal, kind: str, want: str, saw: str | None) -> str:
        if self.end is not None:
            mine = [(k, w) for w_, k, w in self.story if w_ == who.id]
            return "same" if self.end[0] == "decided" and mine and mine[-1] == (kind, want) else "closed"
        if self.standing().get(who.id) == (kind, want):
            return "same"
        if self.policy.require_authenticated and who.source != "authenticated":
            return "refused"
        if self.policy.exclude_requester and who.id == self.requested_by:
            return "refused"
        if self.asked_roles() and not self.asked_roles() & set(who.roles):
            return "refused"
        if saw is not None and saw != self.wording():
            return "unseen"
        if saw is None and self.changes() and kind in ("approve", "edit"):
            return "unseen"
        self.story.append((who.id, kind, want))
        said = self.standing()
        yes = [w for w, (k, _) in said.items() if k in ("approve", "edit")]
        no = [w for w, (k, _) in said.items() if k == "reject"]
        agree = [w for w, (k, v) in said.items() if k == "value" and v == want]
        done = {
            "approve": len(yes) >= self.policy.approvals,
            "edit": len(yes) >= self.policy.approvals,
            "reject": len(no) >= self.policy.reject_approvals,
            "respond": True,
            "value": len(agree) >= self.policy.approvals,
        }[kind]
        if done:
            gets = f"edit {self.wording()}" if kind == "approve" and self.changes() else f"{kind} {want}"
            self.end = ("decided", who.id, gets)
        return "closes" if done else "counts"

    def changes(self) -> int:
        """How often the wording changed."""
        text, count = "original", 0
        for _, kind, want in self.story:
            if kind == "edit" and want != text:
                text, count = want, count + 1
        return count

    def look(self, now: datetime) -> str:
        if self.end is not None:
            return "nothing"
        stages: list[Any] = [self.policy, *self.policy.escalate_to]
        stage, since = stages[self.level], self.level_since or self.asked_at
        if stage.deadline is not None and now - since >= timedelta(seconds=stage.deadline):
            if self.level + 1 < len(stages):
                self.level, self.level_since, self.reminded = self.level + 1, now, False
                return "escalates"
            if isinstance(stage.on_deadline, Decision):
                kind = stage.on_deadline.kind
                self.end = ("decided", "system:deadline", self.default(kind, stage.on_deadline.message or ""))
                return "closes"
            self.end = ("expired", "system:deadline", "")
            return "expires"
        left = None if stage.remind_after is None else timedelta(seconds=stage.remind_after) - (now - since)
        if left is not None and left <= timedelta() and not self.reminded:
            self.reminded = True
            return "reminds"
        return "nothing"

    def default(self, kind: str, want: str) -> str:
        return f"edit {self.wording()}" if kind == "approve" and self.changes() else f"{kind} {want}"
