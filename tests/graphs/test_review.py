"""The workflow `review`, through every decision, on a real database."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from adjourn import AsyncEngine, InvalidDecision, Principal, Run, approve, edit, reject, respond
from adjourn.graphs.review import build
from adjourn.state.analysis import Analysis, AnalysisResults, ConfidenceScores

Open = Callable[..., AbstractAsyncContextManager[AsyncEngine]]


class Analyst:
    """An analyst whose certainty the test decides; it keeps what it was told."""

    def __init__(self, *confidences: float, risk: str = "low") -> None:
        self.confidences = list(confidences)
        self.risk = risk
        self.notes: list[list[str]] = []

    def __call__(self, text: str, *, notes: Sequence[str] = ()) -> Analysis:
        self.notes.append(list(notes))
        sure = self.confidences.pop(0) if len(self.confidences) > 1 else self.confidences[0]
        return Analysis(
            analysis_results=AnalysisResults(
                sentiment="neutral", topics=["contract"], complexity="low", risk_level=self.risk, summary=text
            ),
            confidence_scores=ConfidenceScores(sentiment=sure, topics=0.9, complexity=0.9, risk_level=0.9),
        )


@pytest.fixture
def opened(database: str) -> Open:
    def open_with(**options: Any) -> AbstractAsyncContextManager[AsyncEngine]:
        return AsyncEngine.open(database, workflows={"review": build(**options)}, principal=Principal("kim"))

    return open_with


@pytest.fixture
async def unsure(opened: Open) -> AsyncIterator[tuple[AsyncEngine, Analyst]]:
    analyst = Analyst(0.5)
    async with opened(analyst=analyst) as engine:
        yield engine, analyst


async def started(engine: AsyncEngine) -> Run:
    return await engine.start("review", {"input_text": "A text."})


def steps(run: Run) -> list[str]:
    return [entry["step"] for entry in run.state["execution_log"]]


async def test_a_sure_analysis_needs_nobody(opened: Open) -> None:
    async with opened(analyst=Analyst(0.95)) as engine:
        run = await started(engine)
    assert (run.status, run.state["final_decision"]) == ("completed", "accepted")
    assert steps(run) == ["analyze", "validate", "execute", "finalize"]
    assert run.state["validation_results"] == {
        "passed": True, "low_confidence_areas": [], "requires_human_review": False, "reasons": [],
    }  # fmt: skip


async def test_a_confidence_at_the_threshold_is_enough(opened: Open) -> None:
    async with opened(analyst=Analyst(0.8)) as engine:
        assert (await started(engine)).status == "completed"


async def test_an_unsure_analysis_asks_and_says_why(unsure: tuple[AsyncEngine, Analyst]) -> None:
    run = await started(unsure[0])
    (review,) = run.reviews
    assert run.status == "paused"
    assert run.state["validation_results"]["low_confidence_areas"] == ["sentiment"]
    assert "confidence in sentiment is 0.50, below 0.80" in review.description
    assert review.args == run.state["analysis_results"]
    assert review.context["input_text"] == "A text."


async def test_high_risk_asks_however_sure_the_analyst_is(opened: Open) -> None:
    async with opened(analyst=Analyst(1.0, risk="high")) as engine:
        run = await started(engine)
    assert run.state["validation_results"]["reasons"] == ["the risk is high"]
    assert run.status == "paused"


async def test_a_rule_of_the_user_asks(opened: Open) -> None:
    async with opened(analyst=Analyst(1.0), rules=[lambda state: "it is Friday"]) as engine:
        assert (await started(engine)).state["validation_results"]["reasons"] == ["it is Friday"]


async def test_approve_executes(unsure: tuple[AsyncEngine, Analyst]) -> None:
    engine, _ = unsure
    run = await engine.resume((await started(engine)).thread_id, approve(), by="dana")
    assert (run.status, run.state["final_decision"]) == ("completed", "approved")
    assert steps(run) == ["analyze", "validate", "human_review", "execute", "finalize"]
    (interaction,) = run.state["human_interactions"]
    assert (interaction["by"], interaction["decision"]) == ("dana", "approve")
    assert interaction["waited_seconds"] > 0


async def test_edit_executes_with_the_edits_applied(unsure: tuple[AsyncEngine, Analyst]) -> None:
    engine, _ = unsure
    run = await engine.resume((await started(engine)).thread_id, edit({"sentiment": "negative"}))
    assert run.state["final_decision"] == "approved_with_edits"
    assert run.state["human_modifications"] == {"sentiment": "negative"}
    assert run.state["execution_result"]["recorded"]["sentiment"] == "negative"
    assert run.state["decision_factors"]["edited"] == ["sentiment"]


async def test_an_edit_must_fit_the_analysis(unsure: tuple[AsyncEngine, Analyst]) -> None:
    engine, _ = unsure
    run = await started(engine)
    for bad, message in (
        (edit({"sentiment": "furious"}), "sentiment: 'furious' is not one of"),
        (edit({"mood": "bad"}), "'mood' was unexpected"),
    ):
        with pytest.raises(InvalidDecision, match=message):
            await engine.resume(run.thread_id, bad)
    assert (await engine.get(run.thread_id)).status == "paused"


async def test_an_edit_is_validated_again_when_asked_for(opened: Open) -> None:
    async with opened(analyst=Analyst(0.5), revalidate=True) as engine:
        run = await engine.resume((await started(engine)).thread_id, edit({"sentiment": "negative"}))
    assert steps(run) == ["analyze", "validate", "human_review", "validate", "execute", "finalize"]
    assert run.state["final_decision"] == "approved_with_edits"


async def test_an_edit_that_leaves_a_reason_is_asked_about_again(opened: Open) -> None:
    async with opened(analyst=Analyst(0.5, risk="high"), revalidate=True) as engine:
        run = await engine.resume((await started(engine)).thread_id, edit({"sentiment": "negative"}))
        assert (run.status, run.state["validation_results"]["reasons"]) == ("paused", ["the risk is high"])
        run = await engine.resume(run.thread_id, approve())
    assert run.state["execution_result"]["recorded"]["sentiment"] == "negative"
    assert run.state["final_decision"] == "approved_with_edits"


async def test_reject_analyses_again_with_the_reason_and_shows_the_result(unsure: tuple[AsyncEngine, Analyst]) -> None:
    engine, analyst = unsure
    run = await engine.resume((await started(engine)).thread_id, reject("too rosy"))
    assert analyst.notes == [[], ["too rosy"]]
    assert (run.status, run.state["retry_count"]) == ("paused", 1)


async def test_whoever_rejected_sees_the_next_attempt_however_sure_it_is(opened: Open) -> None:
    async with opened(analyst=Analyst(0.5, 1.0)) as engine:
        run = await engine.resume((await started(engine)).thread_id, reject("no"))
    assert (run.status, run.state["validation_results"]["reasons"]) == ("paused", ["an earlier result was rejected"])


async def test_respond_analyses_again_with_the_answer(opened: Open) -> None:
    analyst = Analyst(0.5, 1.0)
    async with opened(analyst=analyst) as engine:
        run = await engine.resume((await started(engine)).thread_id, respond("it is from 2024"))
    assert analyst.notes == [[], ["it is from 2024"]]
    assert (run.status, run.state["final_decision"]) == ("completed", "accepted")


async def test_a_text_is_sent_back_at_most_so_often(opened: Open) -> None:
    async with opened(analyst=Analyst(0.5), max_retries=1) as engine:
        run = await engine.resume((await started(engine)).thread_id, respond("hm"))
        (review,) = run.reviews
        assert review.allowed == ("approve", "edit", "reject")
        assert "a rejection is final" in review.description
        with pytest.raises(InvalidDecision, match="respond is not allowed here"):
            await engine.resume(run.thread_id, respond("hm"))
        run = await engine.resume(run.thread_id, reject("no"))
    assert (run.status, run.state["final_decision"]) == ("completed", "rejected")
    assert "execution_result" not in run.state
    assert steps(run)[-2:] == ["human_review", "finalize"]


async def test_the_action_gets_the_state_with_the_edits(opened: Open) -> None:
    done: list[Any] = []

    async def act(state: Any) -> Any:
        done.append(state["analysis_results"]["sentiment"])
        return {"ticket": 7}

    async with opened(analyst=Analyst(0.5), action=act) as engine:
        run = await engine.resume((await started(engine)).thread_id, edit({"sentiment": "positive"}))
    assert done == ["positive"]
    assert run.state["execution_result"] == {"ticket": 7}


async def test_the_totals_add_up(unsure: tuple[AsyncEngine, Analyst]) -> None:
    engine, _ = unsure
    run = await engine.resume((await started(engine)).thread_id, approve(), by="dana")
    factors = run.state["decision_factors"]
    assert factors["decided_by"] == ["dana"]
    assert factors["steps"] == len(run.state["execution_log"])
    assert 0 < factors["waited_seconds"] < factors["total_seconds"]
    assert 0 <= factors["working_seconds"] < factors["total_seconds"]
    assert factors["min_confidence"] == 0.5


async def test_the_question_is_what_chat_uis_render(unsure: tuple[AsyncEngine, Analyst]) -> None:
    """LangChain's HITLRequest with exactly one action: names, arguments, allowed decisions."""
    from langchain.agents.middleware.human_in_the_loop import ActionRequest, ReviewConfig
    from pydantic import TypeAdapter

    (review,) = (await started(unsure[0])).reviews
    (request,) = review.value["action_requests"]
    (config,) = review.value["review_configs"]
    TypeAdapter(ActionRequest).validate_python(request)
    TypeAdapter(ReviewConfig).validate_python(config)
    assert config["action_name"] == request["name"]
    assert config["allowed_decisions"] == ["approve", "edit", "reject", "respond"]


async def test_the_state_is_json_safe(unsure: tuple[AsyncEngine, Analyst]) -> None:
    from adjourn.state.values import json_problem

    engine, _ = unsure
    run = await engine.resume((await started(engine)).thread_id, edit({"sentiment": "negative"}))
    assert json_problem(run.state) is None


async def test_with_no_model_set_the_rules_read_the_text(database: str) -> None:
    async with AsyncEngine.open(database) as engine:
        run = await engine.start("review", {"input_text": "The supplier is liable without limit for all damages."})
    assert run.state["analysis_results"]["topics"][0] == "contract"
