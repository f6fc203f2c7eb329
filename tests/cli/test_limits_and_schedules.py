"""limit, schedule, and what run --submit takes beside."""

from .conftest import Command


def test_a_limit_is_set_shown_and_removed(cli: Command) -> None:
    assert cli("limit", "list").out == "  There are no limits.\n"
    assert "each workflow" in cli("limit", "set", "--workflow", "*", "--at-once", "2").out
    cli("run", "counting", "--set", "count:=1", "--set", "text=x", "--submit")
    (item,) = cli("limit", "set", "--workflow", "*", "--at-once", "0", "--per-minute", "3", "--json").json["items"]
    assert (item["limit"], item["workflow"]) == ({"workflow": "*", "tenant": None}, "counting")
    assert (item["at_once"], item["per_minute"], item["under_way"], item["waiting"]) == (0, 3, 0, 1)
    assert "0 of 3" in cli("limit", "list").out
    status = cli("status")
    assert "held by limits" in status.out
    assert cli("status", "--json").json["held"] == 1
    assert cli("limit", "remove", "--workflow", "*").out == "  There are no limits.\n"


def test_a_limit_that_is_none_is_bad_input(cli: Command) -> None:
    assert cli("limit", "set", "--workflow", "x").code == 2
    assert cli("limit", "set", "--at-once", "-1").code == 2


def test_a_schedule_is_added_shown_and_removed(cli: Command) -> None:
    assert cli("schedule", "list").out == "  There are no schedules.\n"
    arguments = ("counting", "--set", "count:=1", "--set", "text=x", "--cron", "0 3 * * *")
    added = cli("schedule", "add", "nightly", *arguments, "--timezone", "Europe/Berlin")
    assert (added.code, "nightly" in added.out, "Europe/Berlin" in added.out) == (0, True, True)
    (item,) = cli("schedule", "list", "--json").json["items"]
    assert (item["workflow"], item["cron"], item["missed"], item["last_at"]) == (
        "counting",
        "0 3 * * *",
        "latest",
        None,
    )
    unknown = cli("schedule", "remove", "nigthly")
    assert (unknown.code, "'nightly'" in unknown.err) == (4, True)
    assert cli("schedule", "remove", "nightly").code == 0
    assert cli("schedule", "add", "x", *arguments[:-1], "soon").code == 2


def test_a_run_is_submitted_for_later_with_a_priority(cli: Command) -> None:
    arguments = ("run", "counting", "--set", "count:=1", "--set", "text=x")
    later = cli(*arguments, "--submit", "--priority", "7", "--start-at", "2099-01-31T09:00:00+02:00", "--json").json
    assert (later["priority"], later["held"]) == (7, "start_at")
    assert later["start_at"].startswith("2099-01-31T07:00:00")
    assert cli("status", "--json").json["later"] == 1
    assert cli(*arguments, "--priority", "7").code == 2
