"""The commands of the audit: what they show, what they write, and how they end."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from adjourn import AuditEntry, AuditReport
from adjourn.cli.audit_view import audit_view, report_view
from adjourn.engine import Finding
from adjourn.engine.audit_files import check_export
from support.auditing import tamper

from .conftest import Command
from .test_json_shapes import PAGE

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = "a key that auditors keep elsewhere"


def entry(number: int | None, kind: str, by: str | None = None, **details: object) -> AuditEntry:
    who = (by, "trusted", "cli") if by else (None, None, None)
    return AuditEntry("t", number, NOW, kind, *who, details=details, text="{}", hash="f" * 64 if number else None)


def shown(view: RenderableType, width: int) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, markup=False, emoji=False).print(view, crop=False)
    return out.getvalue()


@pytest.mark.parametrize("width", [70, 140])
def test_entries_are_a_table_that_fits(width: int) -> None:
    entries = [
        entry(1, "asked", review="a" * 32),
        entry(2, "decided", "da\x1b[31mna"),
        entry(None, "effect", effect="pay"),
    ]
    lines = shown(audit_view("t", entries, width), width).splitlines()
    assert all(len(line) <= max(width, 84) for line in lines)
    text = "\n".join(lines)
    assert "review aaaaaaaaaaaa…" in text
    assert "dana (cli, trusted)" in text
    assert "· gets its place in the chain with the next change of the run" in text
    assert "f" * 64 in text


def test_a_run_from_before_the_audit_says_so() -> None:
    assert "older than the audit" in shown(audit_view("t", [], 100), 100)


def test_a_report_says_how_much_is_wrong_and_what_it_cannot_know() -> None:
    findings = (Finding("t", 4, "changed", "t: entry 4 was changed."),)
    text = shown(report_view(AuditReport(1, 6, 1, findings, 3), NOW), 200)
    assert "Not whole: 3 findings in 6 entries of 1 run" in text
    assert "t: entry 4 was changed." in text
    assert "… and 2 more" in text
    assert "computed all hashes anew is not found" in text
    assert "1 entry waits" in text
    anchored = AuditReport(1, 6, 0, (), 0, 1, NOW)
    assert "an anchor of 1 run, made" in shown(report_view(anchored, NOW), 200)


def test_the_audit_of_a_run_from_the_shell(
    cli: Command, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADJOURN_AUDIT_KEY", KEY)
    anchor, export = tmp_path / "anchor", tmp_path / "export"
    cli("run", "hostile", "--thread", "h")
    cli("resume", "h", "approve", "--by", "dana")
    kinds = ["started", "asked", "paused", "decided", "resumed", "completed"]
    assert [line.split()[3] for line in cli("audit", "h").out.splitlines() if line[:3].strip().isdigit()] == kinds
    assert cli("audit", "show", "h").out == cli("audit", "h").out
    assert [each["kind"] for each in cli("audit", "h", "--json").json["items"]] == kinds

    assert cli("audit", "anchor", str(anchor)).code == 0
    assert cli("audit", "anchor", str(anchor)).code == 2, "an anchor is never overwritten"
    assert cli("audit", "anchor", "-").out.splitlines()[1] == anchor.read_text().splitlines()[1]
    assert cli("audit", "export", str(export), "--thread", "h", "--json").json == {"file": str(export), "lines": 9}
    assert list(check_export(export.read_text().splitlines(keepends=True), KEY.encode())) == []

    assert cli("audit", "verify", "--anchor", str(anchor), "--json").json["whole"]
    tamper(database, "update adjourn.audit set entry = replace(entry, 'dana', 'kim') where seq = 4")
    for options in ((), ("--anchor", str(anchor))):
        found = cli("audit", "verify", *options)
        assert (found.code, "h: entry 4 was changed" in found.out) == (1, True)
    report, items = cli("audit", "verify", "--json").json, cli("audit", "h", "--json").json["items"]
    assert report["findings"][0]["problem"] == "changed"
    page = PAGE.read_text(encoding="utf-8")
    assert [key for key in {*report, *report["findings"][0], *items[0]} if f'"{key}"' not in page] == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("audit", "nowhere"), 4, "There is no run 'nowhere'"),
        (("audit", "anchor", "x"), 2, "ADJOURN_AUDIT_KEY"),
        (("audit", "verify", "--anchor", "x"), 2, "cannot be read"),
        (("audit", "export", "no/such/folder/x"), 2, "cannot be written"),
        (("audit", "export", "x", "--thread", "nowhere"), 4, "There is no run"),
        (("audit", "show"), 2, "Missing argument 'THREAD'"),
    ],
)
def test_mistakes_are_told_and_leave_no_file(
    cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = cli(*arguments)
    assert (ended.code, said in ended.err) == (code, True), ended.err
    assert list(tmp_path.iterdir()) == []
    assert json.loads(cli(*arguments, "--json").out)["error"]
