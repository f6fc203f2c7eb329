"""What the rule analyst promises for any text."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from analysts.labelled import labelled_texts
from hypothesis import given
from hypothesis import strategies as st

from adjourn.nodes.analysts import rule_analyst
from adjourn.nodes.analysts.text import cut
from adjourn.state.analysis import AREAS

CLEAR = {
    "sentiment": "The service is excellent and everybody is delighted with it. The staff were wonderful to us all.",
    "topics": "The tenant and the landlord sign the lease. Each clause of the agreement is in force.",
    "complexity": "The cat sat on the mat and had a nap. The dog ran to the gate and then it came back to us.",
    "risk_level": "The attacker has stolen the personal data of our customers. The backups were wiped.",
}
AGAINST = {
    "sentiment": "The service is terrible and everybody is furious about it. The staff were awful to us all.",
    "topics": "The server and the database cluster are down after an outage. The on-call engineer starts the failover.",
    "complexity": (
        "Notwithstanding considerable organisational impediments, the interdepartmental reconciliation initiative "
        "necessitates comprehensive documentation of administrative responsibilities."
    ),
    "risk_level": "All clear: everything is fully restored and healthy. It was a false alarm and nobody noticed.",
}
prose = st.lists(
    st.sampled_from([sentence.text for entry in labelled_texts(held_out=False) for sentence in cut(entry["text"])]),
    max_size=12,
)


def scores(text, notes=()):
    return rule_analyst(text, notes=notes).confidence_scores.model_dump()


def areas(text):
    analysis = rule_analyst(text).model_dump()
    del analysis["analysis_results"]["summary"]
    return analysis


@given(st.text(max_size=300))
def test_any_text_is_analysed_with_confidences_from_0_to_1(text):
    analysis = rule_analyst(text)
    assert set(analysis.confidence_scores.model_dump()) == set(AREAS)
    assert all(0.0 <= score <= 1.0 for score in analysis.confidence_scores.model_dump().values())
    json.dumps(analysis.state())


@pytest.mark.parametrize("text", ["", "   \n\n ", "Hello", "!!! ??? ...", "42", "contract"])
def test_nothing_and_a_single_word_get_low_confidence(text):
    assert max(scores(text).values()) < 0.6


@pytest.mark.parametrize("area", AREAS)
def test_twice_the_clear_evidence_is_never_less_convincing(area):
    text = CLEAR[area]
    assert scores(f"{text}\n\n{text}")[area] >= scores(text)[area]


@pytest.mark.parametrize("area", AREAS)
def test_contradictory_evidence_lowers_the_confidence(area):
    assert scores(f"{CLEAR[area]} {AGAINST[area]}")[area] < scores(CLEAR[area])[area]


@given(prose, st.randoms(use_true_random=False))
def test_the_order_of_sentences_changes_no_area(sentences, chance):
    shuffled = list(sentences)
    chance.shuffle(shuffled)
    assert areas("\n\n".join(shuffled)) == areas("\n\n".join(sentences))


def test_the_same_text_gives_the_same_analysis_in_every_process():
    text = "\n\n".join(entry["text"] for entry in labelled_texts(held_out=False))
    code = "import sys; from adjourn.nodes.analysts import rule_analyst; print(rule_analyst(sys.stdin.read()).state())"
    seen = {
        subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            input=text, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert seen == {f"{rule_analyst(text).state()}\n"}


def test_a_text_in_another_language_gets_the_confidences_of_a_guess():
    german = (
        "Der Vertrag läuft über zwei Jahre und verlängert sich, wenn er nicht gekündigt wird. "
        "Die Haftung des Lieferanten ist der Höhe nach unbegrenzt, und der Kunde zahlt im Voraus."
    )
    assert max(scores(german).values()) < 0.6


class TestNotes:
    QUIET = "The van is lent on Sunday. It comes back clean in the evening. The tank is full by then."

    def test_danger_that_a_note_names_counts(self):
        before = rule_analyst(self.QUIET).analysis_results
        after = rule_analyst(self.QUIET, notes=["You missed that the van was stolen and that we face a lawsuit."])
        assert before.risk_level == "low"
        assert after.analysis_results.risk_level == "high"

    def test_a_note_can_settle_the_topic_and_make_it_surer(self):
        note = ["This is a contract: an agreement between lender and borrower with a clause on liability."]
        after = rule_analyst(self.QUIET, notes=note)
        assert after.analysis_results.topics[0] == "contract"
        assert after.confidence_scores.topics > scores(self.QUIET)["topics"]

    def test_notes_are_no_part_of_summary_and_complexity(self):
        before, after = rule_analyst(self.QUIET), rule_analyst(self.QUIET, notes=[AGAINST["complexity"]])
        assert after.analysis_results.summary == before.analysis_results.summary
        assert after.analysis_results.complexity == before.analysis_results.complexity
        assert after.confidence_scores.complexity == before.confidence_scores.complexity


@given(prose.filter(bool))
def test_the_summary_is_one_to_three_sentences_of_the_text(sentences):
    text = "\n\n".join(sentences)
    summary = rule_analyst(text).analysis_results.summary
    pieces = {sentence.text for sentence in cut(text)}
    rest = summary
    used = 0
    while rest:
        piece = next(p for p in sorted(pieces, key=len, reverse=True) if rest.startswith(p))
        rest = rest.removeprefix(piece).lstrip()
        used += 1
    assert 1 <= used <= 3


def test_key_phrases_follow_the_theme_and_do_not_repeat_each_other():
    text = "The solar panel is new. A solar panel on the roof works all year. We clean the solar panel in May."
    assert rule_analyst(text).analysis_results.topics[1] == "solar panel"


# A text that costs time in the square of its length would need minutes; the limits leave room for a busy machine.
@pytest.mark.parametrize(
    "kind", ["prose", "random words", "one word", "blank lines", "full stops", "quotes", "numbers"]
)
@pytest.mark.parametrize(("length", "seconds"), [(250_000, 2), pytest.param(1_000_000, 6, marks=pytest.mark.soak)])
def test_a_long_text_takes_a_few_seconds_at_most(kind, length, seconds):
    chance = random.Random(7)
    letters = "abcdefghijklmnopqrstuvwxyz"
    text = {
        "prose": lambda: " ".join(entry["text"] for entry in labelled_texts(held_out=False)) * 60,
        "random words": lambda: " ".join("".join(chance.choices(letters, k=6)) for _ in range(143_000)),
        "one word": lambda: "a" * 1_000_000,
        "blank lines": lambda: "\n " * 500_000,
        "full stops": lambda: "A. " * 333_333,
        "quotes": lambda: '."' * 500_000,
        "numbers": lambda: "1." * 500_000,
    }[kind]()
    started = time.process_time()
    rule_analyst(text[:length])
    assert time.process_time() - started < seconds


@pytest.mark.parametrize(
    ("name", "topic", "risk", "unsure"),
    [
        ("contract.txt", "contract", "high", True),
        ("incident.md", "incident", "high", True),
        ("release_notes.md", "release", "low", False),
    ],
)
def test_the_example_documents_are_asked_about_or_not_as_the_demo_says(name, topic, risk, unsure):
    analysis = rule_analyst((Path(__file__).parents[2] / "examples" / name).read_text(encoding="utf-8"))
    assert analysis.analysis_results.topics[0] == topic
    assert analysis.analysis_results.risk_level == risk
    assert (min(analysis.confidence_scores.model_dump().values()) < 0.8) is unsure


def test_importing_the_analysts_loads_no_library():
    code = (
        "import sys, adjourn.nodes.analysts; "
        "print([m for m in ('langchain', 'langchain_core', 'snowballstemmer', 'pyphen') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
