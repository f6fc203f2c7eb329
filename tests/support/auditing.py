"""What tests of the audit need: whether facts and entries agree, and a hand that changes what it may not."""

import json
from collections.abc import Iterable
from typing import Any

import psycopg

from adjourn import AuditEntry
from adjourn.engine.audit_chain import START, next_hash

OF_STATUS = {"running": ("started", "resumed"), "paused": ("paused",), "completed": ("completed",),
             "failed": ("failed",), "cancelled": ("cancelled",), "queued": ("queued", "started")}  # fmt: skip


def said(entries: Iterable[AuditEntry]) -> list[str]:
    """The kinds of entries, in order."""
    return [entry.kind for entry in entries]


def agree(url: str) -> None:
    """Hold every fact in the database against the entries, sealed or waiting, and every chain against its hashes."""
    with psycopg.connect(url) as connection:
        for thread_id, status, count, head in connection.execute(
            "select thread_id, status, audit_count, audit_hash from adjourn.runs"
        ).fetchall():
            rows = connection.execute(
                "select seq, entry, hash from adjourn.audit where thread_id = %s order by seq", (thread_id,)
            ).fetchall()
            assert [row[0] for row in rows] == list(range(1, count + 1))
            before = START
            for _, entry, hash_ in rows:
                before = next_hash(before, entry)
                assert before == hash_
            assert head == before
            waiting = connection.execute(
                "select entry from adjourn.audit_waiting where thread_id = %s order by number", (thread_id,)
            ).fetchall()
            entries = [json.loads(row[1]) for row in rows] + [json.loads(row[0]) for row in waiting]
            moves = [entry["kind"] for entry in entries if entry["kind"] in sum(OF_STATUS.values(), ())]
            assert moves[-1] in OF_STATUS[status]
            for kind, query in {
                "asked": "select review_id from adjourn.reviews where thread_id = %(t)s union all "
                "select review_id from adjourn.decisions where thread_id = %(t)s and kind = 'ask'",
                "reminded": "select review_id from adjourn.decisions where thread_id = %(t)s and kind = 'remind'",
                "escalated": "select review_id from adjourn.decisions where thread_id = %(t)s and kind = 'escalate'",
                "decided": "select review_id from adjourn.decisions where thread_id = %(t)s "
                "and coalesce(kind, '') not in ('ask', 'remind', 'escalate')",
                "effect": "select name from adjourn.effects where scope = %(t)s and status <> 'started'",
            }.items():
                facts = sorted(row[0] for row in connection.execute(query, {"t": thread_id}).fetchall())
                told = sorted(entry.get("review") or entry["effect"] for entry in entries if entry["kind"] == kind)
                assert told == facts, f"{kind}: {told} is told, {facts} is so"


def tamper(url: str, *statements: Any) -> None:
    """Change the database as its superuser, past the trigger that guards the audit."""
    with psycopg.connect(url) as connection:
        connection.execute("alter table adjourn.audit disable trigger append_only")
        for statement in statements:
            connection.execute(statement)
        connection.execute("alter table adjourn.audit enable always trigger append_only")


def forge(url: str, thread_id: str, change: Any) -> None:
    """Write a thread's entries anew, with right hashes and a right head: what somebody who knows the rules can do.

    Args:
        url: The database.
        thread_id: The thread.
        change: Gets the entries as dictionaries and returns those that stand there afterwards.
    """
    from adjourn.state.values import canonical_json

    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "select entry from adjourn.audit where thread_id = %s order by seq", (thread_id,)
        ).fetchall()
        entries = change([json.loads(row[0]) for row in rows])
        connection.execute("alter table adjourn.audit disable trigger append_only")
        connection.execute("delete from adjourn.audit where thread_id = %s", (thread_id,))
        before = START
        for seq, entry in enumerate(entries, start=1):
            text = canonical_json({**entry, "n": seq})
            before = next_hash(before, text)
            connection.execute("insert into adjourn.audit values (%s, %s, %s, %s)", (thread_id, seq, text, before))
        connection.execute(
            "update adjourn.runs set audit_count = %s, audit_hash = %s where thread_id = %s",
            (len(entries), before, thread_id),
        )
        connection.execute("alter table adjourn.audit enable always trigger append_only")
