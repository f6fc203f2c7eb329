"""The labelled texts and how an analyst does on them."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from adjourn.nodes.analysts import rule_analyst

AREAS = ("sentiment", "topic", "complexity", "risk_level")
FILE = Path(__file__).parents[1] / "data" / "labelled_texts.json"


def labelled_texts(*, held_out: bool) -> list[dict]:
    """Return one part of the set; word lists and edges were tuned without looking at errors on the held-out part."""
    return [entry for entry in json.loads(FILE.read_text(encoding="utf-8")) if entry["held_out"] is held_out]


@dataclass
class Judgement:
    """Confidences on right and on wrong answers of one area, and what always naming the commonest label would reach."""

    right: list[float]
    wrong: list[float]
    majority: float

    @property
    def accuracy(self) -> float:
        return len(self.right) / (len(self.right) + len(self.wrong))

    def line(self, area: str) -> str:
        wrong = f"{fmean(self.wrong):.2f}" if self.wrong else "none"
        return (
            f"{area:11} accuracy {self.accuracy:.2f} (majority class {self.majority:.2f}), "
            f"mean confidence right {fmean(self.right):.2f}, wrong {wrong}"
        )


def judge(entries: list[dict], area: str) -> Judgement:
    right: list[float] = []
    wrong: list[float] = []
    for entry in entries:
        analysis = rule_analyst(entry["text"])
        results, scores = analysis.analysis_results, analysis.confidence_scores
        said = results.topics[0] if area == "topic" else getattr(results, area)
        sure = scores.topics if area == "topic" else getattr(scores, area)
        (right if said == entry[area] else wrong).append(sure)
    commonest = Counter(entry[area] for entry in entries).most_common(1)[0][1]
    return Judgement(right, wrong, commonest / len(entries))
