"""Somebody who may do everything in the database changes the audit; what is found, and what is not without an anchor."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from adjourn import AuditReport, ConfigurationError, Engine, InvalidInput, Settings, approve
from adjourn.engine.audit_files import check_export
from support.auditing import forge, tamper
from support.postgres import execute, fresh_database
from support.workflows import asking

KEY = "a key that auditors keep elsewhere"
WHERE = "where thread_id = 't' and seq"


@pytest.fixture(scope="module")
def audited(server_of: Callable[[int | None], str]) -> Iterator[tuple[Engine, str]]:
    """Three runs that were asked, answered and completed, and a copy of what the database says of them."""
    with (
        fresh_database(server_of(None)) as url,
        Engine.open(url, workflows={"asking": asking}, settings=Settings(audit_key=SecretStr(KEY))) as opened,
    ):
        for thread_id in ("s", "t", "u"):
            opened.start("asking", {"name": "x"}, thread_id=thread_id)
            opened.resume(thread_id, approve(), by="dana")
        execute(url, "create table kept_audit as table adjourn.audit", "create table kept_runs as table adjourn.runs")
        yield opened, url


@pytest.fixture
def database(audited: tuple[Engine, str]) -> Iterator[str]:
    """The URL of that database, which is as it was before after each test."""
    url = audited[1]
    yield url
    tamper(
        url,
        "set local session_replication_role = replica",
        *("delete from adjourn.audit", "delete from adjourn.runs"),
        *("insert into adjourn.audit table kept_audit", "insert into adjourn.runs table kept_runs"),
    )


@pytest.fixture
def engine(audited: tuple[Engine, str], database: str) -> Engine:
    return audited[0]


def text(pieces: Iterator[str]) -> list[str]:
    return "".join(pieces).splitlines(keepends=True)


def found(report: AuditReport) -> list[tuple[str, str, int | None]]:
    assert report.whole == (not report.findings)
    return [(each.thread_id, each.problem, each.number) for each in report.findings]


def test_an_audit_that_nobody_touched_is_whole(engine: Engine) -> None:
    anchor = text(engine.anchor_audit())
    for report in (engine.verify_audit(), engine.verify_audit(anchor)):
        assert (report.threads, report.entries, report.waiting, found(report)) == (3, 18, 0, [])
    assert (report.anchored, report.anchored_at is None) == (3, False)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (f"update adjourn.audit set entry = replace(entry, 'dana', 'kim') {WHERE} = 4", [("t", "changed", 4)]),
        (f"update adjourn.audit set hash = repeat('f', 64) {WHERE} = 6", [("t", "changed", 6), ("t", "head", None)]),
        (f"delete from adjourn.audit {WHERE} = 4", [("t", "missing", 4)]),
        (f"delete from adjourn.audit {WHERE} = 1", [("t", "missing", 1)]),
        (f"delete from adjourn.audit {WHERE} = 6", [("t", "missing", 6)]),
        ("delete from adjourn.audit where thread_id = 't'", [("t", "missing", 1)]),
        (
            f"insert into adjourn.audit select thread_id, 7, entry, hash from adjourn.audit {WHERE} = 6",
            [("t", "changed", 7), ("t", "moved", 7), ("t", "added", 7)],
        ),
        (
            (
                "with two as (select seq, entry, hash from adjourn.audit where thread_id = 't' and seq in (3, 4)) "
                "update adjourn.audit a set entry = two.entry, hash = two.hash from two "
                "where a.thread_id = 't' and a.seq in (3, 4) and a.seq <> two.seq"
            ),
            [("t", "changed", 3), ("t", "moved", 3), ("t", "changed", 4), ("t", "moved", 4), ("t", "changed", 5)],
        ),
        ("update adjourn.runs set audit_hash = repeat('0', 64) where thread_id = 't'", [("t", "head", None)]),
    ],
    ids=["text", "hash", "middle", "first", "last", "all", "added", "swapped", "head"],
)
def test_a_row_that_was_changed_left_out_added_or_moved_is_found(
    engine: Engine, database: str, statement: str, expected: list[Any]
) -> None:
    tamper(database, statement)
    assert found(engine.verify_audit()) == expected


def without_the_answer(entries: list[Any]) -> list[Any]:
    return [entry for entry in entries if entry["kind"] != "decided"]


def somebody_else(entries: list[Any]) -> list[Any]:
    return [{**entry, "by": "kim"} if entry["kind"] == "decided" else entry for entry in entries]


def one_more(entries: list[Any]) -> list[Any]:
    return [*entries[:4], {**entries[3], "by": "kim"}, *entries[4:]]


def another_order(entries: list[Any]) -> list[Any]:
    return [*entries[:2], entries[3], entries[2], *entries[4:]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (somebody_else, [("t", "anchor", None)]),
        (without_the_answer, [("t", "missing", 6)]),
        (one_more, [("t", "anchor", None)]),
        (another_order, [("t", "anchor", None)]),
        (lambda entries: [], [("t", "missing", 1)]),
    ],
    ids=["changed", "missing", "added", "reordered", "all"],
)
def test_with_hashes_that_were_computed_anew_it_is_found_by_an_anchor_and_only_by_one(
    engine: Engine, database: str, change: Any, expected: list[Any]
) -> None:
    anchor = text(engine.anchor_audit())
    forge(database, "t", change)
    assert found(engine.verify_audit()) == [], "this is the limit that the documentation states"
    assert found(engine.verify_audit(anchor)) == expected


def test_a_run_that_was_removed_with_its_audit_is_found_by_an_anchor(engine: Engine, database: str) -> None:
    anchor = text(engine.anchor_audit())
    execute(database, "delete from adjourn.runs where thread_id in ('s', 'u')")
    tamper(database, "delete from adjourn.audit where thread_id in ('s', 'u')")
    assert found(engine.verify_audit()) == []
    assert found(engine.verify_audit(anchor)) == [("s", "missing", 1), ("u", "missing", 1)]


def test_a_run_that_was_removed_past_the_triggers_is_found(engine: Engine, database: str) -> None:
    with psycopg.connect(database) as superuser:
        superuser.execute("set session_replication_role = replica")
        superuser.execute("delete from adjourn.runs where thread_id = 't'")
        # the guard of the audit itself holds even so
        with pytest.raises(psycopg.errors.RestrictViolation), superuser.transaction():
            superuser.execute("delete from adjourn.audit")
        superuser.commit()
    assert found(engine.verify_audit()) == [("t", "head", None)]


def test_runs_go_on_after_an_anchor_and_the_anchor_still_holds(engine: Engine) -> None:
    run = engine.start("asking", {"name": "y"}, thread_id="later")
    anchor = text(engine.anchor_audit())
    engine.resume(run.thread_id, approve())
    engine.start("asking", {"name": "z"})
    assert found(engine.verify_audit(anchor)) == []


def test_an_anchor_that_was_changed_or_signed_with_another_key_proves_nothing(engine: Engine, database: str) -> None:
    anchor = text(engine.anchor_audit())
    with pytest.raises(InvalidInput, match="signed with another key"):
        engine.verify_audit([*anchor[:1], *anchor[2:]])
    other = Settings(audit_key=SecretStr("the key of somebody else"))
    with Engine.open(database, settings=other) as elsewhere, pytest.raises(InvalidInput, match="another key"):
        elsewhere.verify_audit(anchor)


@pytest.mark.parametrize(("key", "said"), [(None, "no key that signs"), ("short", "too short")])
def test_an_anchor_needs_a_key(engine: Engine, database: str, key: str | None, said: str) -> None:
    anchor = text(engine.anchor_audit())
    with Engine.open(database, settings=Settings(audit_key=SecretStr(key) if key else None)) as elsewhere:
        with pytest.raises(ConfigurationError, match=said):
            text(elsewhere.anchor_audit())
        with pytest.raises(ConfigurationError, match=said):
            elsewhere.verify_audit(anchor)


def test_an_export_holds_one_chain_or_all_and_is_checked_without_the_database(engine: Engine, database: str) -> None:
    one, every = text(engine.export_audit("t")), text(engine.export_audit())
    assert (len(one), len(every)) == (1 + 7 + 1, 1 + 3 * 7 + 1)
    assert list(check_export(one, KEY.encode())) == list(check_export(every, KEY.encode())) == []
    tamper(database, f"update adjourn.audit set entry = replace(entry, 'dana', 'kim') {WHERE} = 4")
    changed = text(engine.export_audit("t"))
    assert [(each.problem, each.number) for each in check_export(changed, KEY.encode())] == [("changed", 4)]


def test_long_audits_are_read_in_batches(engine: Engine, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adjourn.engine.audit._ROWS", 4)
    anchor = text(engine.anchor_audit())
    report = engine.verify_audit(anchor)
    assert (report.threads, report.entries, report.whole) == (3, 18, True)
    assert list(check_export(text(engine.export_audit()), KEY.encode())) == []
