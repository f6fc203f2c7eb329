"""What the audit says of a run: every entry in its order, with its fact or not at all."""

import json
from typing import Any

import psycopg
import pytest

from adjourn import AsyncEngine, UnknownThread, approve
from adjourn.engine.audit_chain import START, next_hash
from adjourn.nodes.effects import once
from adjourn.state.values import canonical_json
from support.postgres import execute
from support.workflows import Trail, ask, chain, mark


def kinds(entries: Any) -> list[str]:
    return [entry.kind for entry in entries]


async def test_a_run_with_a_pause_leaves_these_entries(engine: AsyncEngine) -> None:
    run = await engine.start("asking", {"name": "x"})
    await engine.resume(run.thread_id, approve(), by="dana")
    entries = await engine.audit(run.thread_id)
    assert kinds(entries) == ["started", "asked", "paused", "decided", "resumed", "completed"]
    print(entries)
