"""Policies: who may answer a question, how many must agree, and what happens when nobody does.

    ReviewPolicy(
        roles=("legal",),                 # who is asked: anybody who holds one of these
        approvals=2,                      # different people who must approve the same thing
        exclude_requester=True,           # not the one who started the run
        deadline=24 * HOUR,
        remind_after=4 * HOUR,
        escalate_to=(Stage(roles=("head of legal",), deadline=24 * HOUR),),
    )

A policy is data: it stands in the question, under `adjourn`, and travels with the thread. Times are seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeAlias

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from ..errors import ConfigurationError
from .decisions import ALIASES, KINDS, Decision, DecisionKind
from .values import JsonValue, json_problem

__all__ = ["DAY", "HOUR", "MINUTE", "DefaultValue", "OnDeadline", "ReviewPolicy", "Stage", "policy_from", "policy_json"]

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0
# a century: more is a mistake of units, and PostgreSQL's times end somewhere too
_LONGEST: Final = 100 * 366 * DAY
_MOST_PEOPLE: Final = 1000
_MOST_STAGES: Final = 100


@dataclass(frozen=True, slots=True)
class DefaultValue:
    """What a deadline answers to a question that asks for a plain value.

    Args:
        value: The answer (JSON-safe).
    """

    value: JsonValue


OnDeadline: TypeAlias = Literal["fail", "escalate"] | Decision | DefaultValue


@dataclass(frozen=True, slots=True)
class Stage:
    """Whom a question goes to when those before let their deadline pass.

    Args:
        roles: Who is asked then, instead of those before. Approvals that were given before still count.
        deadline: Seconds that they have, from the moment of the escalation; None for no end.
        remind_after: Seconds until they are reminded, once.
        on_deadline: As in `ReviewPolicy`.

    Raises:
        ConfigurationError: A part does not fit; the message says what would.
    """

    roles: tuple[str, ...]
    deadline: float | None = None
    remind_after: float | None = None
    on_deadline: OnDeadline | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "roles", _roles(self.roles, "Stage"))
        if not self.roles:
            raise ConfigurationError("A Stage names whom to ask, such as roles=('head of legal',).")
        _check_times(self, "Stage")
        _check_default(self.on_deadline, "Stage")


@dataclass(frozen=True, slots=True)
class ReviewPolicy:
    """How a question may be answered. Without arguments: one approval by anybody, and no deadline.

    Args:
        allowed: Kinds of decision that may be given, of those that the question offers; None for all of these.
        roles: Who is asked: people who hold at least one of them; empty for everybody.
        approvals: How many different people must approve the same proposal. An edit makes a new proposal: it counts as
            its author's approval and clears those of others.
        reject_approvals: How many different people must reject.
        exclude_requester: Whether whoever started the run may not answer (four eyes).
        require_authenticated: Whether only people whom a door has authenticated may answer, and not a name that a
            trusted program or shell gives.
        deadline: Seconds from the question to the deadline; None for none.
        remind_after: Seconds from the question to a reminder.
        on_deadline: What the deadline does. `"fail"` fails the run; `"escalate"` asks the next of `escalate_to`; a
            decision (`reject("nobody looked")`) or `DefaultValue(…)` is the answer then, given by `system:deadline`.
            Default: escalate while there is a stage, otherwise fail. Nothing is ever approved by default, unless
            `approve()` or an edit stands here.
        escalate_to: Whom to ask next, one after the other; each has a deadline of its own.
        edit_schema: JSON Schema that the changed arguments of an edit must fit, instead of the question's own.
        priority: Larger comes first in the inbox.

    Raises:
        ConfigurationError: A part does not fit; the message says what would.
    """

    allowed: tuple[DecisionKind, ...] | None = None
    roles: tuple[str, ...] = ()
    approvals: int = 1
    reject_approvals: int = 1
    exclude_requester: bool = False
    require_authenticated: bool = False
    deadline: float | None = None
    remind_after: float | None = None
    on_deadline: OnDeadline | None = None
    escalate_to: tuple[Stage, ...] = ()
    edit_schema: dict[str, Any] | None = None
    priority: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "allowed", _allowed(self.allowed))
        object.__setattr__(self, "roles", _roles(self.roles, "ReviewPolicy"))
        object.__setattr__(self, "escalate_to", tuple(self.escalate_to))
        for name in ("approvals", "reject_approvals"):
            _check_whole(name, getattr(self, name), 1, _MOST_PEOPLE)
        _check_whole("priority", self.priority, -32768, 32767)
        for name in ("exclude_requester", "require_authenticated"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigurationError(f"ReviewPolicy: {name} is True or False, not {getattr(self, name)!r}.")
        _check_times(self, "ReviewPolicy")
        _check_default(self.on_deadline, "ReviewPolicy")
        _check_schema(self.edit_schema)
        self._check_chain()

    def stage(self, number: int) -> Stage:
        """Return a stage by its number; 0 is the policy itself, whose roles may be empty."""
        return self.escalate_to[number - 1] if number else _first_stage(self)

    def at_deadline(self, number: int) -> OnDeadline:
        """Return what the deadline of a stage does."""
        stated = self.on_deadline if number == 0 else self.escalate_to[number - 1].on_deadline
        if stated is not None:
            return stated
        return "escalate" if number < len(self.escalate_to) else "fail"

    @property
    def needs_more_than_one_approval(self) -> bool:
        """Whether one answer by anybody is not enough."""
        return bool(
            self.roles
            or self.approvals > 1
            or self.reject_approvals > 1
            or self.exclude_requester
            or self.require_authenticated
        )

    def _check_chain(self) -> None:
        if len(self.escalate_to) > _MOST_STAGES or not all(isinstance(stage, Stage) for stage in self.escalate_to):
            raise ConfigurationError(f"ReviewPolicy: escalate_to takes up to {_MOST_STAGES} of Stage(roles=…).")
        chain: tuple[ReviewPolicy | Stage, ...] = (self, *self.escalate_to)
        for number, stage in enumerate(chain):
            last, name = (
                number == len(self.escalate_to),
                f"stage {number} of ReviewPolicy" if number else "ReviewPolicy",
            )
            if stage.on_deadline is not None and stage.deadline is None:
                raise ConfigurationError(f"{name}: on_deadline needs a deadline, in seconds.")
            if last and stage.on_deadline == "escalate":
                raise ConfigurationError(f"{name}: there is nobody to escalate to; name them in escalate_to.")
            if not last and (stage.deadline is None or stage.on_deadline not in (None, "escalate")):
                raise ConfigurationError(
                    f"{name} never escalates, so the stages behind it would never be asked: give it a deadline and "
                    "leave on_deadline out."
                )


def policy_json(policy: ReviewPolicy) -> dict[str, JsonValue]:
    """Return a policy as JSON-safe data: what differs from the default."""
    return _differing(policy, _PLAIN)


def policy_from(data: Any, where: str = "This policy") -> ReviewPolicy:
    """Read what `policy_json` returned.

    Args:
        data: A dictionary with the names of `ReviewPolicy`; a ReviewPolicy is returned as it is.
        where: How to call it in messages.

    Raises:
        ConfigurationError: It is none; the message says what would be right.
    """
    if isinstance(data, ReviewPolicy):
        return data
    if data == {}:
        return _PLAIN
    values = _known(data, ReviewPolicy, where)
    values["escalate_to"] = tuple(
        Stage(**_read(_known(each, Stage, where), where)) for each in _listed(values.get("escalate_to", ()), where)
    )
    return ReviewPolicy(**_read(values, where))


def _first_stage(policy: ReviewPolicy) -> Stage:
    stage = object.__new__(Stage)
    for name in ("roles", "deadline", "remind_after", "on_deadline"):
        object.__setattr__(stage, name, getattr(policy, name))
    return stage


def _differing(given: Any, plain: Any) -> dict[str, JsonValue]:
    found = {}
    for each in fields(given):
        value = getattr(given, each.name)
        if value != getattr(plain, each.name, None):
            found[each.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Decision):
        named = {"type": value.kind, "message": value.message, "args": value.args}
        return {name: part for name, part in named.items() if part is not None}
    if isinstance(value, DefaultValue):
        return {"value": value.value}
    if isinstance(value, Stage):
        return _differing(value, None)
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _known(data: Any, kind: type[Any], where: str) -> dict[str, Any]:
    names = [each.name for each in fields(kind)]
    if not isinstance(data, Mapping):
        raise ConfigurationError(f"{where} is a {type(data).__name__}; it takes a dictionary with {', '.join(names)}.")
    if unknown := sorted(str(name) for name in data if name not in names):
        raise ConfigurationError(f"{where} has {unknown[0]!r}, which means nothing; it takes {', '.join(names)}.")
    return dict(data)


def _read(values: dict[str, Any], where: str) -> dict[str, Any]:
    for name in ("allowed", "roles"):
        if isinstance(values.get(name), list):
            values[name] = tuple(values[name])
    stated = values.get("on_deadline")
    if isinstance(stated, Mapping):
        values["on_deadline"] = _default(stated, where)
    return values


def _default(stated: Mapping[str, Any], where: str) -> OnDeadline:
    if set(stated) == {"value"}:
        return DefaultValue(stated["value"])
    kind: Any = stated.get("type")
    if not isinstance(kind, str) or not set(stated) <= {"type", "message", "args"}:
        raise ConfigurationError(f"{where}: on_deadline takes {{'type': 'reject', 'message': …}} or {{'value': …}}.")
    return Decision(ALIASES.get(kind, kind), stated.get("args"), stated.get("message"))  # type: ignore[arg-type]


def _listed(items: Any, where: str) -> Iterable[Any]:
    if not isinstance(items, list | tuple):
        raise ConfigurationError(f"{where}: escalate_to is a list of stages.")
    return items


def _allowed(kinds: Any) -> tuple[DecisionKind, ...] | None:
    if kinds is None:
        return None
    named = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    read: tuple[Any, ...] = tuple(ALIASES.get(kind, kind) for kind in named)
    if not read or any(kind not in KINDS for kind in read):
        raise ConfigurationError(f"ReviewPolicy: allowed takes some of {', '.join(KINDS)}, not {kinds!r}.")
    return read


def _roles(roles: Any, where: str) -> tuple[str, ...]:
    if isinstance(roles, str) or not isinstance(roles, Iterable):
        raise ConfigurationError(f"{where}: roles is a tuple of names, such as ('legal',), not {roles!r}.")
    named = tuple(dict.fromkeys(roles))
    for role in named:
        if not isinstance(role, str) or not role.strip() or not role.isprintable() or len(role) > 200:
            raise ConfigurationError(f"{where}: a role is a name of 1-200 printable characters, not {role!r}.")
    return named


def _check_whole(name: str, value: Any, least: int, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ConfigurationError(f"ReviewPolicy: {name} is a whole number from {least} to {most}, not {value!r}.")


def _check_times(given: Stage | ReviewPolicy, where: str) -> None:
    for name in ("deadline", "remind_after"):
        seconds = getattr(given, name)
        if seconds is None:
            continue
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not math.isfinite(seconds):
            raise ConfigurationError(f"{where}: {name} is a number of seconds, such as 24 * HOUR, not {seconds!r}.")
        if not 0 < seconds <= _LONGEST:
            raise ConfigurationError(f"{where}: {name} is more than 0 and at most a century, not {seconds!r} seconds.")
    if given.remind_after is not None and given.deadline is not None and given.remind_after >= given.deadline:
        raise ConfigurationError(f"{where}: remind_after ({given.remind_after:g} s) must come before the deadline.")


def _check_default(stated: Any, where: str) -> None:
    if isinstance(stated, Decision):
        if stated.kind not in KINDS:
            raise ConfigurationError(f"{where}: on_deadline has the decision {stated.kind!r}; there are {KINDS}.")
        problem = json_problem(stated.args, "on_deadline.args") or json_problem(stated.message, "on_deadline.message")
    elif isinstance(stated, DefaultValue):
        problem = json_problem(stated.value, "on_deadline.value")
    elif stated in (None, "fail", "escalate"):
        return
    else:
        raise ConfigurationError(
            f"{where}: on_deadline takes 'fail', 'escalate', a decision such as reject('nobody looked'), or "
            f"DefaultValue(…), not {stated!r}."
        )
    if problem:
        raise ConfigurationError(f"{where}: {problem}.")


def _check_schema(schema: Any) -> None:
    if schema is None:
        return
    problem = "it is no dictionary" if not isinstance(schema, dict) else json_problem(schema, "edit_schema")
    if problem is None:
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            problem = error.message
    if problem:
        raise ConfigurationError(f"ReviewPolicy: edit_schema is no JSON Schema: {problem}.")


# what a question has that brings no policy
_PLAIN: Final = ReviewPolicy()
