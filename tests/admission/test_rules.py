"""What the rules of admission say, by example; the simulation shows that they hold."""

from datetime import timedelta

import pytest

from adjourn.engine.admission_books import Counts, Limit, Pair, Use, Waiting, limits_of
from adjourn.engine.admission_rules import Admission, admit, room
from support.reviewing import NOON


def waiting(*names: str, workflow: str = "report", priority: int = 0, begun: bool = False) -> list[Waiting]:
    return [
        Waiting(name, workflow, NOON - timedelta(seconds=100 - place), priority, begun)
        for place, name in enumerate(names)
    ]


def names(admission: Admission) -> list[str]:
    return [run.thread_id for run in admission.admitted]


def test_without_limits_everything_is_admitted_what_is_urgent_first() -> None:
    runs = [*waiting("a", "b"), *waiting("urgent", priority=5), *waiting("again", begun=True)]
    assert names(admit(Counts([], {}), {"acme": runs}, NOON)) == ["urgent", "again", "a", "b"]


@pytest.mark.parametrize(
    "limit",
    [Limit(None, None, 2), Limit("report", None, 2), Limit(None, "acme", 2), Limit("report", "acme", 2),
     Limit("*", None, 2), Limit(None, "*", 2), Limit("*", "*", 2)],
)  # fmt: skip
def test_what_is_under_way_counts_against_each_kind_of_limit(limit: Limit) -> None:
    counts = Counts([limit], {Pair("report", "acme"): Use(under_way=1)})
    assert names(admit(counts, {"acme": waiting("a", "b")}, NOON)) == ["a"]


def test_a_limit_of_each_counts_each_by_itself() -> None:
    counts = Counts([Limit(None, "*", 1)], {Pair("report", "acme"): Use(under_way=1)})
    assert names(admit(counts, {"acme": waiting("a"), "beta": waiting("b", "c")}, NOON)) == ["b"]


def test_a_name_takes_the_place_of_a_star_and_kinds_add_up() -> None:
    limits = [Limit("*", "*", 1), Limit("*", "acme", 2), Limit("report", "*", 3), Limit("report", "acme", 4),
              Limit(None, "*", 5), Limit("other", None, 6), Limit(None, None, 7)]  # fmt: skip
    assert {limit.at_once for limit in limits_of(limits, Pair("report", "acme"))} == {4, 5, 7}
    assert {limit.at_once for limit in limits_of(limits, Pair("report", "beta"))} == {3, 5, 7}
    assert {limit.at_once for limit in limits_of(limits, Pair("other", "acme"))} == {2, 5, 6, 7}
    assert {limit.at_once for limit in limits_of(limits, Pair("x", "beta"))} == {1, 5, 7}


def test_starts_are_counted_in_any_sixty_seconds() -> None:
    starts = [NOON - timedelta(seconds=ago) for ago in (61, 60, 10, 59)]
    counts = Counts([Limit("report", None, per_minute=3)], {Pair("report", "acme"): Use(starts=starts)})
    found = admit(counts, {"acme": waiting("a", "b")}, NOON)
    assert (names(found), found.again_at) == (["a"], NOON + timedelta(seconds=1))


def test_what_is_admitted_and_has_not_begun_counts_as_a_start() -> None:
    counts = Counts([Limit(None, None, per_minute=2)], {Pair("report", "acme"): Use(under_way=1, coming=1)})
    assert names(admit(counts, {"acme": waiting("a", "b")}, NOON)) == ["a"]


def test_a_run_that_goes_on_is_no_new_start_but_takes_a_place() -> None:
    limits = [Limit("report", None, at_once=2, per_minute=0)]
    runs = [*waiting("new", priority=9), *waiting("again", "once more", "and again", begun=True)]
    assert names(admit(Counts(limits, {}), {"acme": runs}, NOON)) == ["again", "once more"]


def test_a_limit_of_nothing_holds_everything_back() -> None:
    runs = [*waiting("new"), *waiting("again", begun=True)]
    assert names(admit(Counts([Limit("report", None, at_once=0)], {}), {"acme": runs}, NOON)) == []


def test_a_full_workflow_does_not_hold_up_another() -> None:
    counts = Counts([Limit("report", None, 0)], {})
    assert names(admit(counts, {"acme": [*waiting("a"), *waiting("b", workflow="mail")]}, NOON)) == ["b"]


def test_a_free_place_goes_to_the_tenant_that_uses_least() -> None:
    counts = Counts([Limit("report", None, 4)], {Pair("report", "acme"): Use(under_way=2)})
    tenants = {"acme": waiting("a", "aa", priority=100), "beta": waiting("b", "bb", "bbb")}
    assert names(admit(counts, tenants, NOON)) == ["b", "bb"]


def test_among_equals_the_last_turn_decides() -> None:
    long_ago, lately = NOON - timedelta(hours=1), NOON - timedelta(seconds=1)
    use = {Pair("report", "acme"): Use(last_turn=lately), Pair("report", "beta"): Use(last_turn=long_ago)}
    tenants = {"acme": waiting("a"), "beta": waiting("b"), "new": waiting("n")}
    for places, expected in enumerate([["n"], ["n", "b"], ["n", "b", "a"]], start=1):
        assert names(admit(Counts([Limit("report", None, places)], use), tenants, NOON)) == expected


def test_where_starts_are_scarce_it_is_starts_that_are_shared() -> None:
    """A tenant with one long run is not outdone for ever by one whose runs end at once."""
    use = {
        Pair("report", "long"): Use(under_way=1, last_turn=NOON - timedelta(hours=1)),
        Pair("report", "short"): Use(starts=[NOON - timedelta(seconds=3)] * 5, last_turn=NOON - timedelta(seconds=3)),
    }
    counts = Counts([Limit("report", None, at_once=100, per_minute=6)], use)
    assert names(admit(counts, {"long": waiting("a"), "short": waiting("b")}, NOON)) == ["a"]


def test_the_limit_on_everything_decides_only_where_it_would_be_exceeded() -> None:
    """acme uses most of everything, and yet has its turn in a workflow while there is room for all."""
    long_ago = NOON - timedelta(hours=1)
    use = {
        Pair("mail", "acme"): Use(under_way=5),
        Pair("report", "acme"): Use(last_turn=long_ago),
        Pair("report", "beta"): Use(last_turn=NOON - timedelta(seconds=9)),
    }
    tenants = {"acme": waiting("a"), "beta": waiting("b")}
    roomy, tight = [Limit("report", None, 1), Limit(None, None, 9)], [Limit("report", None, 1), Limit(None, None, 5)]
    assert names(admit(Counts(roomy, use), tenants, NOON)) == ["a"]
    assert names(admit(Counts(tight, use), tenants, NOON)) == []
    tight = [Limit("report", None, 2), Limit(None, None, 6)]
    assert names(admit(Counts(tight, use), tenants, NOON)) == ["b"]


def test_room_says_how_many_fit_at_most() -> None:
    counts = Counts(
        [Limit("report", None, 5), Limit(None, "acme", 3), Limit("mail", None, 0)],
        {Pair("report", "acme"): Use(under_way=1), Pair("report", "beta"): Use(under_way=1)},
    )
    pairs = [Pair("report", "acme"), Pair("report", "beta"), Pair("mail", "beta"), Pair("other", "beta")]
    assert room(counts, pairs, NOON) == {pairs[0]: 2, pairs[1]: 3, pairs[3]: float("inf")}
