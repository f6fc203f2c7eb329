"""Rankings: published examples, an independent computation, and what Schulze and Borda promise."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from adjourn.nodes.voting import decide, read_vote
from adjourn.nodes.voting.rankings import borda_points, pairwise, path_strengths
from support.voting import rankings

# Markus Schulze's first worked example (45 voters, 5 options), with his table of preferences and of strongest paths;
# it is also the example of the encyclopaedias.
SCHULZE_45 = {"ACBED": 5, "ADECB": 5, "BEDAC": 8, "CABED": 3, "CAEBD": 7, "CBADE": 2, "DCEBA": 7, "EBADC": 8}
PREFERRED_45 = {
    "A": {"B": 20, "C": 26, "D": 30, "E": 22},
    "B": {"A": 25, "C": 16, "D": 33, "E": 18},
    "C": {"A": 19, "B": 29, "D": 17, "E": 24},
    "D": {"A": 15, "B": 12, "C": 28, "E": 14},
    "E": {"A": 23, "B": 27, "C": 21, "D": 31},
}
PATHS_45 = {
    "A": {"B": 28, "C": 28, "D": 30, "E": 24},
    "B": {"A": 25, "C": 28, "D": 33, "E": 24},
    "C": {"A": 25, "B": 29, "D": 29, "E": 24},
    "D": {"A": 25, "B": 28, "C": 28, "E": 24},
    "E": {"A": 25, "B": 28, "C": 28, "D": 31},
}
# Schulze (2011), first example: 21 voters, 4 options; D wins, then A, C, B.
SCHULZE_21 = {"ACDB": 8, "BADC": 2, "CDBA": 4, "DBAC": 4, "DCBA": 3}
# Borda's own example (1784): 21 voters; by first places A would win with 8, by his count (3, 2, 1) it is 37, 42, 47.
BORDA_21 = {"ABC": 1, "ACB": 7, "BCA": 7, "CBA": 6}
# The capital of Tennessee (M, N, C, K; per cent of voters), the usual textbook example: Nashville, with 194 points.
TENNESSEE = {"MNCK": 42, "NCKM": 26, "CKNM": 15, "KCNM": 17}


def tables(groups):
    votes = rankings(groups)
    options = sorted(next(iter(groups)))
    return votes, options, pairwise([vote["ranking"] for vote in votes], options)


def strongest_by_hand(preferred, start, end):
    """The strongest path among all paths without a repetition, each looked at; nothing clever."""
    between = [option for option in preferred if option not in (start, end)]
    strengths = [0]
    for length in range(len(between) + 1):
        for way in itertools.permutations(between, length):
            links = list(itertools.pairwise([start, *way, end]))
            if all(preferred[x][y] > preferred[y][x] for x, y in links):
                strengths.append(min(preferred[x][y] for x, y in links))
    return max(strengths)


def test_schulzes_worked_example_of_45_voters_is_reproduced():
    votes, options, preferred = tables(SCHULZE_45)
    assert preferred == PREFERRED_45
    assert path_strengths(preferred) == PATHS_45
    outcome = decide("ranked", votes, options=options)
    assert outcome["decision"] == "E"
    assert sorted(options, key=lambda option: -outcome["tally"][option]) == list("EACBD")
    assert outcome["level"] == 21 / 45  # against C, its closest rival


def test_schulzes_worked_example_of_21_voters_is_reproduced():
    votes, options, preferred = tables(SCHULZE_21)
    assert (preferred["D"]["B"], preferred["C"]["B"], preferred["A"]["C"]) == (19, 15, 14)
    outcome = decide("ranked", votes, options=options)
    assert outcome["decision"] == "D"
    assert sorted(options, key=lambda option: -outcome["tally"][option]) == list("DACB")


def test_bordas_own_example_is_reproduced():
    votes, options, preferred = tables(BORDA_21)
    assert {name: points + 21 for name, points in borda_points(preferred, 21).items()} == {"A": 37, "B": 42, "C": 47}
    assert decide("ranked", votes, options=options, method="borda")["decision"] == "C"
    assert decide("plurality", votes, options=options)["decision"] == "A"
    assert decide("ranked", votes, options=options)["decision"] == "C"


def test_the_textbook_example_of_tennessee_is_reproduced():
    votes, options, _ = tables(TENNESSEE)
    outcome = decide("ranked", votes, options=options, method="borda")
    assert (outcome["decision"], outcome["tally"]) == ("N", {"C": 173, "K": 107, "M": 126, "N": 194})
    assert outcome["level"] == 0.58  # against Memphis


few = settings(max_examples=25, deadline=None)
PLACES = some.permutations("ABCD").flatmap(
    lambda order: some.lists(some.booleans(), min_size=3, max_size=3).map(
        lambda cuts: [place for place in _cut(order, cuts) if place]
    )
)


def _cut(order, cuts):
    """Break an order into places: a cut between two options puts them into different ones."""
    places = [[order[0]]]
    for option, cut in zip(order[1:], cuts, strict=True):
        if cut:
            places.append([option])
        else:
            places[-1].append(option)
    return places


@few
@given(some.lists(PLACES, min_size=1, max_size=9))
def test_path_strengths_are_those_of_looking_at_every_path(ballots):
    preferred = pairwise(ballots, "ABCD")
    expected = {x: {y: strongest_by_hand(preferred, x, y) for y in preferred[x]} for x in preferred}
    assert path_strengths(preferred) == expected


@few
@given(some.lists(PLACES, min_size=1, max_size=9))
def test_borda_points_are_places_counted_by_hand(ballots):
    points = dict.fromkeys("ABCD", 0.0)
    for ballot in ballots:
        below = 4
        for place in ballot:
            below -= len(place)
            for option in place:
                points[option] += below + (len(place) - 1) / 2
    assert borda_points(pairwise(ballots, "ABCD"), len(ballots)) == points


def ballots_as_votes(ballots):
    return [read_vote({"ranking": each}, agent=f"a{i}", options=list("ABCD")) for i, each in enumerate(ballots)]


@few
@given(some.lists(PLACES, min_size=1, max_size=9))
def test_who_beats_all_others_in_pairs_wins_under_schulze(ballots):
    preferred = pairwise(ballots, "ABCD")
    best = [x for x in preferred if all(preferred[x][y] > preferred[y][x] for y in preferred[x])]
    if best:
        assert decide("ranked", ballots_as_votes(ballots), options=list("ABCD"))["decision"] == best[0]


@few
@given(some.lists(PLACES, min_size=1, max_size=9), some.data())
def test_to_rank_the_winner_higher_never_makes_it_lose(ballots, data):
    for method in ("schulze", "borda"):
        winner = decide("ranked", ballots_as_votes(ballots), options=list("ABCD"), method=method)["decision"]
        if winner is None:
            continue
        index = data.draw(some.integers(0, len(ballots) - 1))
        rest = [[option for option in place if option != winner] for place in ballots[index]]
        at = next(at for at, place in enumerate(ballots[index]) if winner in place)
        higher = data.draw(some.integers(0, at))
        raised = [*rest[:higher], [winner], *rest[higher:]]
        changed = [*ballots[:index], [place for place in raised if place], *ballots[index + 1 :]]
        assert decide("ranked", ballots_as_votes(changed), options=list("ABCD"), method=method)["decision"] == winner


def test_a_circle_of_equal_preferences_is_a_tie():
    votes, options, _ = tables({"ABC": 1, "BCA": 1, "CAB": 1})
    for method in ("schulze", "borda"):
        outcome = decide("ranked", votes, options=options, method=method)
        assert (outcome["decision"], outcome["tied"]) == (None, ["A", "B", "C"])


def test_rankings_that_prefer_nothing_decide_nothing():
    vote = read_vote({"ranking": [["a", "b"]]}, agent="x", options=["a", "b"])
    outcome = decide("ranked", [vote], options=["a", "b"])
    assert (outcome["decision"], outcome["level"], outcome["tied"]) == (None, 0.0, [])


@pytest.mark.parametrize("method", ["schulze", "borda"])
def test_a_decision_alone_is_a_ranking_with_that_option_first(method):
    options = ["a", "b", "c"]
    alone = [read_vote({"decision": "b"}, agent="x", options=options)]
    full = [read_vote({"ranking": ["b", ["a", "c"]]}, agent="x", options=options)]
    assert decide("ranked", alone, options=options, method=method) == decide(
        "ranked", full, options=options, method=method
    )
