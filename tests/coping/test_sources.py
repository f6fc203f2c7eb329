"""Where rules come from: the engine, the project's langgraph.json, the settings; and adjourn's own nodes under them."""

import json
from pathlib import Path

import pytest

from adjourn import Coping, Engine, Retry
from adjourn.errors import ConfigurationError
from adjourn.settings import Settings, load_settings
from adjourn.testing import ModelServer, replies

ANALYSIS = {
    "analysis_results": {
        "sentiment": "neutral", "topics": ["x"], "complexity": "low", "risk_level": "low", "summary": "x",
    },
    "confidence_scores": {"sentiment": 0.9, "topics": 0.9, "complexity": 0.95, "risk_level": 0.9},
}  # fmt: skip
TWICE = {"review": {"retry": {"attempts": 2, "wait": 0.01}, "nodes": {"analyze": {"model_timeout": 30}}}}


def settings_of(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    if where == "the project":
        (tmp_path / "langgraph.json").write_text(json.dumps({"graphs": {}, "adjourn": {"coping": TWICE}}))
    if where == "the settings":
        monkeypatch.setenv("ADJOURN_COPING", json.dumps(TWICE))
    return load_settings(model="openai:gpt-5-mini", project=tmp_path)


@pytest.mark.parametrize("where", ["the project", "the settings", "the engine"])
def test_nodes_of_adjourn_cope_by_rules_from_wherever(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    with ModelServer([replies.server_error(), ANALYSIS], strict=True) as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        settings = settings_of(where, tmp_path, monkeypatch)
        coping = {"review": Coping(retry=Retry(attempts=2, wait=0.01))} if where == "the engine" else None
        with Engine.open(database, settings=settings, coping=coping) as engine:
            run = engine.start("review", {"input_text": "The chair is delivered on Monday."})
    assert run.status == "completed"


@pytest.mark.parametrize(
    "ours",
    [[], {"copng": {}}, {"coping": []}, {"coping": {"review": {"retri": 1}}}],
    ids=["list", "key", "form", "rule"],
)
def test_a_project_with_rules_that_make_no_sense_is_refused(database: str, tmp_path: Path, ours: object) -> None:
    (tmp_path / "langgraph.json").write_text(json.dumps({"graphs": {}, "adjourn": ours}))
    with (
        pytest.raises(ConfigurationError, match=r"langgraph\.json"),
        Engine.open(database, settings=load_settings(project=tmp_path)),
    ):
        pass
