"""Runs that put a secret word into everything that is kept of a run, for tests that look for them in the database."""

import base64
from typing import Any

import pytest
from langgraph.config import get_stream_writer
from langgraph.types import interrupt
from pydantic import SecretStr

from adjourn import AsyncEngine, InvalidDecision, ReviewPolicy, Settings, approve, edit, reject, respond
from adjourn.engine.notices import Notice
from adjourn.nodes.cases import remember
from adjourn.nodes.effects import once
from adjourn.state.policies import DefaultValue, Stage
from adjourn.state.questions import question
from support.workflows import Trail, chain

__all__ = ["KEY", "NEVER_KEPT", "OTHER", "SECRETS", "WORKFLOWS", "runs_with_secrets", "settings"]

KEY, OTHER = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
SECRETS = (
    b"INPUTSECRET", b"CONTEXTSECRET", b"STATESECRET", b"EVENTSECRET", b"QUESTIONSECRET", b"ANSWERSECRET",
    b"ARGUMENTSECRET", b"RESULTSECRET", b"EFFECTSECRET", b"ERRORSECRET", b"REASONSECRET",
    b"PROPOSALSECRET", b"EDITSECRET", b"COMMENTSECRET", b"SCHEMASECRET", b"STAGESECRET",
    b"WORKFLOWSECRET", b"REFUSEDSECRET", b"NOTICESECRET", b"CASESECRET", b"casesecret", b"OUTCOMESECRET",
)  # fmt: skip
# Of an effect's arguments and of what is refused only digests are kept, with a key or without.
NEVER_KEPT = (b"ARGUMENTSECRET", b"REFUSEDSECRET")


async def say(state: Trail) -> Trail:
    get_stream_writer()({"heard": "EVENTSECRET"})
    return {"answer": "STATESECRET"}


async def ask(state: Trail) -> Trail:
    return {"answer": interrupt({"question": "QUESTIONSECRET"})}


async def act(state: Trail) -> Trail:
    async def works(order: str) -> str:
        return "RESULTSECRET"

    async def breaks(order: str) -> None:
        raise ValueError("EFFECTSECRET")

    await once("works", works, "ARGUMENTSECRET")
    try:
        await once("breaks", breaks, "ARGUMENTSECRET", max_attempts=1)
    except ValueError:
        raise RuntimeError("ERRORSECRET") from None
    return {}


async def propose(state: Trail) -> Trail:
    kinds: Any = ("approve", "edit", "reject")
    return {"answer": interrupt(question("pay", {"note": "PROPOSALSECRET"}, "Pay?", allowed=kinds))}


POLICY = ReviewPolicy(
    approvals=2,
    deadline=3600,
    on_deadline="escalate",
    escalate_to=(Stage(("legal",), deadline=3600, on_deadline=reject("STAGESECRET")),),
    edit_schema={"type": "object", "description": "SCHEMASECRET"},
)
# of the workflow, and kept with each of its runs
POLICIES = {"secretive": ReviewPolicy(deadline=3600, on_deadline=DefaultValue("WORKFLOWSECRET"))}
recollect = remember("secret", text=lambda _: "a CASESECRET", outcome=lambda _: "OUTCOMESECRET")
WORKFLOWS = {
    "proposing": chain(("propose", propose), ("remember", recollect)),
    "secretive": chain(("say", say), ("ask", ask), ("act", act)),
}


class Failing:
    """A notifier whose errors say what they should not."""

    async def notify(self, notice: Notice) -> None:
        raise ValueError("NOTICESECRET")


def settings(key: str | None) -> Settings:
    return Settings(encryption_key=SecretStr(key) if key else None)


async def runs_with_secrets(url: str, key: str | None) -> tuple[str, str]:
    """One run that is asked, answered and fails, and one that is cancelled."""
    given: dict[str, Any] = {"workflows": WORKFLOWS, "policies": POLICIES, "notifiers": {"chat": Failing()}}
    async with AsyncEngine.open(url, settings=settings(key), **given) as engine:
        run = await engine.start("secretive", {"name": "INPUTSECRET"}, context={"of": "CONTEXTSECRET"})
        failed = await engine.resume(run.thread_id, "ANSWERSECRET")
        assert failed.status == "failed"
        other = await engine.start("secretive", {"name": "INPUTSECRET"})
        await engine.cancel(other.thread_id, reason="REASONSECRET")
        await proposal_of_two(engine)
        return failed.thread_id, other.thread_id


async def proposal_of_two(engine: AsyncEngine) -> None:
    run = await engine.start("proposing", {}, policies=POLICY)
    run = await engine.resume(run.thread_id, edit({"note": "EDITSECRET"}), by="ann")
    shown = run.reviews[0].digest
    run = await engine.resume(run.thread_id, approve("COMMENTSECRET"), by="bob", shown=shown)
    assert run.status == "completed"
    waiting = await engine.start("proposing", {}, policies=POLICY)
    with pytest.raises(InvalidDecision, match="respond is not allowed"):
        await engine.resume(waiting.thread_id, respond("REFUSEDSECRET"), by="ann")
    await engine.resume(waiting.thread_id, reject("COMMENTSECRET"), by="ann")
