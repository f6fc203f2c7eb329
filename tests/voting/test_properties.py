"""What holds for every rule and all votes."""

import random

from hypothesis import given, settings
from hypothesis import strategies as some

from adjourn.nodes.voting import RULES, abstention, decide, read_vote
from adjourn.state.values import json_problem

OPTIONS = ["a", "b", "c"]
ANSWERS = some.one_of(
    some.sampled_from(OPTIONS).map(lambda decision: {"decision": decision}),
    some.permutations(OPTIONS).map(lambda ranking: {"ranking": list(ranking)}),
    some.sampled_from(
        [None, "no", {"decision": "d"}, {"ranking": [["a", "b"], "c"]}, {"decision": "a", "confidence": 2}]
    ),
)
# weights and accuracies that collide on purpose, so that ties are common
WEIGHTS = some.sampled_from([0.1, 0.2, 0.3, 1, 2, 1e-9])
ACCURACIES = some.sampled_from([0.0, 0.2, 0.5, 0.6, 0.75, 0.9, 1.0])
VOTERS = some.lists(some.tuples(ANSWERS, WEIGHTS, ACCURACIES), min_size=1, max_size=7)
CASES = [*((rule, None) for rule in RULES if rule != "ranked"), ("ranked", "schulze"), ("ranked", "borda")]
few = settings(max_examples=40, deadline=None)  # over all rules together
RULE = some.sampled_from(CASES)


def outcome_of(case, voters, *, order=None, options=OPTIONS, extra=()):
    rule, method = case
    votes = [
        read_vote(answer, agent=f"v{index}", options=options, weight=weight)
        for index, (answer, weight, _) in enumerate(voters)
    ]
    votes += extra
    if order is not None:
        order.shuffle(votes)
    accuracies = {f"v{index}": p for index, (_, _, p) in enumerate(voters)} | {vote["agent"]: 0.9 for vote in extra}
    known = accuracies if rule == "log_odds" else None
    return decide(rule, votes, options=options, accuracies=known, method=method)


@few
@given(case=RULE, voters=VOTERS, seed=some.integers(0, 100))
def test_the_order_of_agents_changes_nothing_at_all(case, voters, seed):
    assert outcome_of(case, voters) == outcome_of(case, voters, order=random.Random(seed))


@few
@given(case=RULE, voters=VOTERS, options=some.permutations(OPTIONS))
def test_the_order_of_options_changes_nothing_either(case, voters, options):
    ours, theirs = outcome_of(case, voters), outcome_of(case, voters, options=list(options))
    for each in (ours, theirs):
        del each["abstained"]  # their causes list the options as they were given
    assert ours == theirs


@few
@given(case=RULE, voters=VOTERS, silent=some.integers(1, 5))
def test_abstentions_change_nothing_among_the_rest(case, voters, silent):
    extra = [abstention(f"silent {index}", "timed out") for index in range(silent)]
    without, with_them = outcome_of(case, voters), outcome_of(case, voters, extra=extra)
    assert len(with_them.pop("abstained")) == len(without.pop("abstained")) + silent
    assert without == with_them


@few
@given(case=RULE, voters=VOTERS)
def test_levels_lie_between_0_and_1_and_outcomes_are_json_safe(case, voters):
    outcome = outcome_of(case, voters)
    assert 0 <= outcome["level"] <= 1
    assert json_problem(outcome) is None
    assert outcome["decision"] in (None, *OPTIONS)
    assert bool(outcome["tied"]) <= (outcome["decision"] is None)
    assert outcome["why"]
    assert outcome["guarantee"]
    heard = {each["agent"] for part in ("counted", "abstained", "dropped") for each in outcome[part]}
    assert heard == {f"v{index}" for index in range(len(voters))}


@few
@given(case=RULE, voters=VOTERS, renamed=some.permutations(range(7)))
def test_the_names_of_agents_change_nothing(case, voters, renamed):
    shuffled = [voters[index] for index in renamed if index < len(voters)]
    ours, theirs = outcome_of(case, voters), outcome_of(case, shuffled)
    assert (ours["decision"], ours["level"], ours["tally"]) == (theirs["decision"], theirs["level"], theirs["tally"])


@few
@given(case=RULE, voters=VOTERS, swap=some.permutations(OPTIONS))
def test_no_option_is_favoured(case, voters, swap):
    rule, method = case
    names = dict(zip(OPTIONS, swap, strict=True))
    votes = [
        read_vote(answer, agent=f"v{index}", options=OPTIONS, weight=weight)
        for index, (answer, weight, _) in enumerate(voters)
    ]
    swapped = [
        {
            **vote,
            "decision": names.get(vote["decision"]),
            "ranking": vote["ranking"] and [[names[option] for option in place] for place in vote["ranking"]],
        }
        for vote in votes
    ]
    known = {f"v{index}": p for index, (_, _, p) in enumerate(voters)} if rule == "log_odds" else None
    ours = decide(rule, votes, options=OPTIONS, accuracies=known, method=method)
    theirs = decide(rule, swapped, options=OPTIONS, accuracies=known, method=method)
    assert theirs["decision"] == names.get(ours["decision"])
