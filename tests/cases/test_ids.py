"""The ids of cases: plain without a key, keyed with one, and a case keeps the id under which it was left."""

import hashlib
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt
from pydantic import SecretStr

from adjourn.engine.case_ids import CaseIds
from adjourn.nodes.cases import remember
from adjourn.settings import Settings
from adjourn.state.cases import NewCase
from adjourn.state.values import canonical_json
from support.hidden_words import KEY, OTHER
from support.remembering import Incident, opened

ONE, TWO = b"1" * 32, b"2" * 32
CASE = NewCase("incident", "the disk is full", "rotated", "salary of kim")


def test_with_a_key_nobody_can_confirm_a_guess_and_older_ids_are_known() -> None:
    place = canonical_json(["t", "node", "incident", "salary of kim"])
    plain = hashlib.sha256(place.encode()).hexdigest()[:32]
    assert CaseIds().of("t", "node", CASE) == [plain]
    [own, unkeyed] = CaseIds([ONE]).of("t", "node", CASE)
    assert unkeyed == plain != own
    assert CaseIds([TWO, ONE]).of("t", "node", CASE)[1:] == [own, plain]
    assert len({*CaseIds([TWO, ONE]).of("t", "node", CASE), *CaseIds([ONE]).of("t", "other", CASE)}) == 5


def ask(state: Incident) -> Incident:
    return {"cure": interrupt("Again?")}


async def test_a_case_that_is_there_is_not_left_again_under_the_id_of_a_new_key(database: str) -> None:
    graph: Any = StateGraph(Incident)
    graph.add_node("remember", remember("incident", text="alert"))
    graph.add_node("ask", ask)
    graph.add_edge(START, "remember")
    graph.add_edge("remember", "ask")
    graph.add_conditional_edges("ask", lambda state: END if state["cure"] == "no" else "remember", ["remember", END])
    for thread, before, answers in (("old", None, [KEY, f"{OTHER},{KEY}"]), ("new", OTHER, [f"{KEY},{OTHER}"])):
        keys = [before, *answers]
        for key in keys:
            settings = Settings(encryption_key=SecretStr(key)) if key else Settings()
            async with opened(database, workflows={"loop": graph}, settings=settings) as engine:
                if key == keys[0]:
                    await engine.start("loop", {"alert": thread}, thread_id=thread)
                else:
                    await engine.resume(thread, "yes")
                assert [case.text for case in await engine.cases(limit=100)].count(thread) == 1
