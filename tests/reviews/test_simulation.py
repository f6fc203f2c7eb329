"""A thousand reviews with random policies, people and clocks: the rules and a simpler model tell the same story."""

import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from adjourn import DigestMismatch, NotAuthorized, Principal, ReviewClosed, approve, reject
from adjourn.engine.review_case import DEADLINE, PEOPLES, Ballot, Case, Closed, Escalated, Reminded
from adjourn.engine.review_deadlines import due
from adjourn.engine.review_rules import asked, decide
from adjourn.state.decisions import Decision
from adjourn.state.policies import ReviewPolicy, Stage
from support.review_model import Model
from support.reviewing import NOON

ROLES = ("legal", "sales", "board")
NAMES = ("ann", "bob", "cid", "dee", "eve", "kim")
WANTS = ("original", "blue", "green")
ENDS = (None, None, approve("as agreed"), reject("nobody looked"))


def a_policy(dice: random.Random) -> ReviewPolicy:
    count = dice.choice([0, 0, 1, 2, 3])
    stages = [
        Stage(
            roles=tuple(dice.sample(ROLES, dice.randint(1, 2))),
            deadline=dice.choice([30.0, 90.0]),
            remind_after=dice.choice([None, 20.0]),
        )
        for _ in range(count)
    ]
    if stages:
        stages[-1] = replace(stages[-1], on_deadline=dice.choice(ENDS))
    deadline = dice.choice([40.0, 100.0]) if count else dice.choice([None, 40.0, 100.0])
    return ReviewPolicy(
        roles=tuple(dice.sample(ROLES, dice.choice([0, 0, 1, 2]))),
        approvals=dice.choice([1, 1, 2, 3]),
        reject_approvals=dice.choice([1, 1, 2]),
        exclude_requester=dice.random() < 0.3,
        require_authenticated=dice.random() < 0.2,
        deadline=deadline,
        remind_after=dice.choice([None, 10.0]),
        on_deadline=dice.choice(ENDS) if deadline and not count else None,
        escalate_to=tuple(stages),
    )


def a_person(dice: random.Random) -> Principal:
    name = dice.choice(NAMES)
    always = random.Random(name)  # the same person holds the same roles each time
    roles = frozenset(always.sample(ROLES, always.randint(0, 3)))
    return Principal(name, roles, source=dice.choice(["trusted", "authenticated", "authenticated"]))


def a_ballot(who: Principal, kind: str, want: str, saw: str | None, current: str) -> Ballot:
    """What the engine makes of what somebody sends: a decision is about the version that is open."""
    proposal = want if kind in ("edit", "value") else current
    return Ballot(who, kind, f"{kind} {want}", f"{kind} {want}", proposal, saw)  # type: ignore[arg-type]


def rules_say(case: Case, ballot: Ballot, now: Any) -> tuple[Case, str]:
    try:
        case, commands = decide(case, ballot, now)
    except ReviewClosed:
        return case, "closed"
    except NotAuthorized:
        return case, "refused"
    except DigestMismatch:
        return case, "unseen"
    return case, ("same", "counts", "closes")[len(commands)]


def rules_look(case: Case, now: Any) -> tuple[Case, str]:
    stated = case.policy.at_deadline(case.stage)
    default = None
    if isinstance(stated, Decision):
        default = a_ballot(DEADLINE, stated.kind, stated.message or "", case.digest, case.digest)
    case, commands = due(case, now, default)
    if not commands:
        return case, "nothing"
    if isinstance(commands[-1], Closed):
        return case, "closes" if commands[-1].status == "decided" else "expires"
    return case, {Reminded: "reminds", Escalated: "escalates"}[type(commands[-1])]


def one_review(seed: int) -> None:
    dice = random.Random(seed)
    policy, now = a_policy(dice), NOON
    case = asked("t", "r", policy, "kim", "original", now)
    model = Model(policy, "kim", now)
    plain = dice.random() < 0.2
    for _ in range(dice.randint(3, 30)):
        now += timedelta(seconds=dice.choice([0, 1, 5, 25, 70]))
        if dice.random() < 0.3:
            case, got = rules_look(case, now)
            wanted = model.look(now)
        else:
            who = a_person(dice)
            kind = "value" if plain else dice.choice(["approve"] * 5 + ["edit"] * 2 + ["reject"] * 2 + ["respond"])
            want = dice.choice(WANTS) if kind in ("edit", "value") else ""
            saw = dice.choice([None, case.digest, case.digest, case.digest, "original"])
            saw = None if plain else saw
            wanted = model.say(who, kind, want, saw)
            before = case
            case, got = rules_say(case, a_ballot(who, kind, want, saw, case.digest), now)
            assert got not in ("same", "closed", "refused", "unseen") or case == before
        assert got == wanted, f"seed {seed}: the rules say {got}, the model {wanted}; {policy}"
    outcome = None if case.status == "pending" else (case.status, case.closed_by, case.answer or "")
    assert outcome == model.end, f"seed {seed}"
    assert case.stage == model.level


def test_a_thousand_reviews_end_as_the_reference_model_says() -> None:
    for seed in range(1000):
        one_review(seed)


@pytest.mark.soak
def test_thirty_thousand_more_reviews_end_as_the_reference_model_says() -> None:
    for seed in range(1000, 31_000):
        one_review(seed)


people = some.builds(
    Principal,
    some.sampled_from(NAMES),
    some.frozensets(some.sampled_from(ROLES)),
    source=some.sampled_from(["trusted", "authenticated"]),
)
sent_by_people = some.tuples(
    people,
    some.sampled_from(["approve", "edit", "reject", "respond", "value"]),
    some.sampled_from(WANTS),
    some.sampled_from([None, *WANTS]),
)
policies = some.integers(0, 2**32).map(lambda seed: a_policy(random.Random(seed)))


@given(policies, some.lists(some.tuples(sent_by_people | some.none(), some.integers(0, 80)), max_size=25))
@settings(max_examples=150, deadline=None)
def test_whatever_is_sent_nobody_counts_twice_and_a_closed_review_never_changes(policy: Any, sent: Any) -> None:
    case, now = asked("t", "r", policy, "kim", "original", NOON), NOON
    for given_, seconds in sent:
        now += timedelta(seconds=seconds)
        before = case
        if given_ is None:
            case, said = rules_look(case, now)
        else:
            case, said = rules_say(case, a_ballot(*given_, case.digest), now)
        if before.status != "pending":
            assert case == before
        counting = [vote.by for vote in case.counting(*PEOPLES)]
        assert len(counting) == len(set(counting))
        assert case.votes[: len(before.votes)] == before.votes or said in ("counts", "closes")
        assert len(case.votes) - len(before.votes) == (said not in ("same", "closed", "refused", "unseen", "nothing"))
        if case.status == "decided" and case.closed_by != DEADLINE.id:
            last = case.votes[-1]
            assert last.kind not in ("approve", "edit") or case.missing == 0
            assert {vote.version for vote in case.counting("approve", "edit")} <= {case.version}
