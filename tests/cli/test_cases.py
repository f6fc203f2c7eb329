"""adjourn cases: past cases, listed, searched and forgotten."""

from support.remembering import filled_sync

from .conftest import Command


def test_cases_are_listed_searched_and_forgotten(cli: Command, database: str) -> None:
    assert "no cases yet. The node `remember`" in cli("cases").out
    filled_sync(database)
    newest = cli("cases", "--limit", "1")
    assert (newest.code, "replaced the disk" in newest.out, "--after" in newest.out) == (0, True, True)
    first, second = cli("cases", "disk", "full", "--json").json["items"]
    assert set(first) == {"id", "kind", "thread_id", "text", "outcome", "at", "score"}
    assert (first["outcome"], first["score"] > second["score"]) == ("rotated the logs", True)
    assert "rotated the logs" in cli("cases", "disk", "--kind", "incident").out
    assert cli("cases", "disk", "--kind", "ticket").out == "  There are no such cases.\n"
    left = cli("cases", "disk", "--forget", first["id"], "--json").json["items"]
    assert [case["outcome"] for case in left] == ["replaced the disk"]
    again = cli("cases", "--forget", first["id"])
    assert (again.code, "no past case" in again.err) == (4, True)
    assert cli("cases", "x" * 100_001).code == 2
    assert cli("cases", " ").code == 2
