"""When a schedule starts something: cron, zones, changing clocks, and what was missed."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from adjourn.engine.schedule_rules import Timetable, due_moments, next_moment
from adjourn.errors import ConfigurationError

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"
START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def local(timetable: Timetable, after: str, count: int) -> list[str]:
    """The next moments as clocks on the wall show them, with the distance to UTC."""
    zone = ZoneInfo(timetable.timezone)
    moment, found = datetime.fromisoformat(after).replace(tzinfo=zone), []
    for _ in range(count):
        moment = next_moment(timetable, moment)
        found.append(moment.astimezone(zone).strftime("%d %H:%M:%S%z"))
    return found


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("* * * * *", ["02 12:01:00", "02 12:02:00"]),
        ("*/20 * * * *", ["02 12:20:00", "02 12:40:00", "02 13:00:00"]),
        ("0 3 * * *", ["03 03:00:00", "04 03:00:00"]),
        ("30 9 * * MON-FRI", ["03 09:30:00"]),
        ("0 0 L * *", ["31 00:00:00"]),
        ("0 0 * * MON#2", ["09 00:00:00"]),
        ("* * * * * *", ["02 12:00:01", "02 12:00:02"]),
        ("*/30 5 12 * * *", ["02 12:05:00", "02 12:05:30", "03 12:05:00"]),
    ],
)
def test_cron_expressions_with_and_without_seconds(cron: str, expected: list[str]) -> None:
    assert [each[:-5] for each in local(Timetable(cron), "2026-03-02 12:00", len(expected))] == expected


def test_a_zone_says_whose_clocks_are_meant() -> None:
    assert local(Timetable("0 9 * * *", "Asia/Kolkata"), "2026-03-02 12:00", 1) == ["03 09:00:00+0530"]
    assert next_moment(Timetable("0 9 * * *", "Asia/Kolkata"), START) == datetime(2026, 3, 3, 3, 30, tzinfo=UTC)


def test_a_time_that_the_clocks_leave_out_comes_at_the_first_moment_after_it() -> None:
    """On 29 March clocks in Berlin go from 2:00 to 3:00."""
    assert local(Timetable("30 2 * * *", BERLIN), "2026-03-28 00:00", 3) == [
        "28 02:30:00+0100", "29 03:00:00+0200", "30 02:30:00+0200",
    ]  # fmt: skip
    assert local(Timetable("0,30 2,3 * * *", BERLIN), "2026-03-29 00:00", 3) == [
        "29 03:00:00+0200", "29 03:30:00+0200", "30 02:00:00+0200",
    ]  # fmt: skip


@pytest.mark.parametrize(("cron", "seconds"), [("30 2 * * *", "00"), ("15 30 2 * * *", "15")])
def test_a_time_that_comes_twice_counts_once(cron: str, seconds: str) -> None:
    """On 25 October clocks in Berlin go from 3:00 back to 2:00."""
    expected = [f"25 02:30:{seconds}+0200", f"26 02:30:{seconds}+0100"]
    assert local(Timetable(cron, BERLIN), "2026-10-25 00:00", 2) == expected
    # also when somebody looks in between
    between = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    assert next_moment(Timetable(cron, BERLIN), between).day == 26


def test_what_comes_every_so_often_goes_by_the_time_that_passes() -> None:
    """On 8 March clocks in New York go from 2:00 to 3:00, on 1 November from 2:00 back to 1:00."""
    every_half_hour = Timetable("*/30 * * * *", NEW_YORK)
    assert local(every_half_hour, "2026-03-08 01:00", 2) == ["08 01:30:00-0500", "08 03:00:00-0400"]
    assert local(every_half_hour, "2026-11-01 00:40", 5) == [
        "01 01:00:00-0400", "01 01:30:00-0400", "01 01:00:00-0500", "01 01:30:00-0500", "01 02:00:00-0500",
    ]  # fmt: skip


def due(timetable: Timetable, seconds: float, most: int = 1000) -> tuple[list[float], bool, float]:
    """What is due when somebody looks `seconds` after the last time."""
    found = due_moments(timetable, START, START + timedelta(seconds=seconds), most=most)
    return (
        [(each - START).total_seconds() for each in found.moments],
        found.skipped,
        (found.last - START).total_seconds(),
    )


def test_what_is_due_is_returned_once() -> None:
    assert due(Timetable("* * * * * *"), 3.5) == ([1, 2, 3], False, 3)
    assert due(Timetable("* * * * * *"), 0.9) == ([], False, 0)


@pytest.mark.parametrize(
    ("missed", "expected", "skipped"),
    [("skip", [7, 8, 9, 10], True), ("latest", [6, 7, 8, 9, 10], True), ("all", [*range(1, 11)], False)],
)
def test_what_was_missed_is_made_up_as_the_policy_says(missed: str, expected: list[float], skipped: bool) -> None:
    """Nobody looked for ten seconds; what is older than three and a half was missed."""
    assert due(Timetable("* * * * * *", missed=missed, grace=3.5), 10.2) == (expected, skipped, 10)


def test_one_missed_moment_alone_is_not_skipped_by_the_policy_that_makes_up_for_the_latest() -> None:
    assert due(Timetable("0 13 * * *", missed="latest", grace=60), 7200) == ([3600], False, 3600)
    found, skipped, last = due(Timetable("0 13 * * *", missed="skip", grace=60), 7200)
    assert (found, skipped, round(last)) == ([], True, 7200 - 60)


def test_years_without_anybody_are_not_counted_second_by_second() -> None:
    years = 3 * 365 * 86400
    assert due(Timetable("* * * * * *", missed="latest", grace=1.5), years) == (
        [years - 2, years - 1, years],
        True,
        years,
    )
    assert due(Timetable("* * * * * *", missed="all"), years, most=5) == ([1, 2, 3, 4, 5], False, 5)


def test_a_moment_exactly_as_old_as_the_grace_is_late_and_not_missed() -> None:
    assert due(Timetable("0 * * * * *", missed="skip", grace=60), 120) == ([60, 120], False, 120)


@pytest.mark.parametrize(
    "wrong",
    [{"cron": ""}, {"cron": "* * * *"}, {"cron": "61 * * * *"}, {"cron": "0 0 30 2 *"}, {"cron": "@daily"},
     {"cron": None}, {"cron": []}, {"timezone": []}, {"grace": "1"},
     {"timezone": "Europe/Nowhere"}, {"timezone": ""}, {"timezone": "/etc/passwd"}, {"timezone": None},
     {"missed": "sometimes"}, {"grace": -1}, {"grace": float("nan")}, {"grace": float("inf")}],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        Timetable(**{"cron": "* * * * *", **wrong})


EXPRESSIONS = some.sampled_from(
    ["* * * * * *", "*/7 * * * * *", "* * * * *", "*/13 * * * *", "0 * * * *", "30 2 * * *", "0,30 1-3 * * *",
     "59 23 * * SUN", "5,10 30 2 * * *", "0 0 1 * *"],
)  # fmt: skip
ZONES = some.sampled_from(["UTC", BERLIN, NEW_YORK, "Australia/Lord_Howe", "Asia/Kathmandu"])
# around the changes of clocks in these zones, and any other time
AROUND = some.sampled_from(
    [datetime(2026, 3, 28, 23, tzinfo=UTC), datetime(2026, 10, 24, 23, tzinfo=UTC), datetime(2026, 3, 8, 5, tzinfo=UTC),
     datetime(2026, 11, 1, 4, tzinfo=UTC), datetime(2026, 4, 4, 14, tzinfo=UTC), datetime(2026, 7, 7, 7, 7, 7, tzinfo=UTC)],
)  # fmt: skip


@settings(max_examples=50, deadline=None)
@given(EXPRESSIONS, ZONES, AROUND, some.lists(some.integers(1, 4000), min_size=1, max_size=4))
def test_however_often_somebody_looks_the_moments_are_the_same(
    cron: str, zone: str, start: datetime, looks: list[int]
) -> None:
    timetable = Timetable(cron, zone, missed="all", grace=5)
    seen, last, now = [], start, start
    for seconds in looks:
        now += timedelta(seconds=seconds)
        while (found := due_moments(timetable, last, now, most=50)).moments:
            seen += found.moments
            last = found.last
    at_once = due_moments(timetable, start, now, most=10**6).moments
    assert tuple(seen) == at_once
    assert all(before < after for before, after in itertools.pairwise(at_once))


@settings(max_examples=50, deadline=None)
@given(EXPRESSIONS, ZONES, AROUND, some.integers(1, 9000), some.integers(0, 4000))
def test_the_policies_differ_in_what_was_missed_only(
    cron: str, zone: str, start: datetime, seconds: int, grace: int
) -> None:
    now = start + timedelta(seconds=seconds)
    policies = {
        missed: due_moments(Timetable(cron, zone, missed=missed, grace=grace), start, now, most=10**6).moments
        for missed in ("all", "latest", "skip")
    }
    limit = now - timedelta(seconds=grace)
    late = [moment for moment in policies["all"] if moment < limit]
    on_time = tuple(moment for moment in policies["all"] if moment >= limit)
    assert policies["skip"] == on_time
    assert policies["latest"] == (*late[-1:], *on_time)
