"""What `adjourn resume` makes of its words and options."""

import pytest

from adjourn import Decision, InvalidDecision, approve, edit, reject, respond
from adjourn.cli.answers import Given, read_answer


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        (Given("approve"), approve()),
        (Given("approve", "seen"), approve("seen")),
        (Given("reject"), reject()),
        (Given("reject", "too risky"), reject("too risky")),
        (Given("reject", comment="too risky"), reject("too risky")),
        (Given("respond", "it is from 2024"), respond("it is from 2024")),
        (Given("request_more_info", "it is from 2024"), respond("it is from 2024")),
        (Given("edit", assignments=["a=x", "b:=2"]), edit({"a": "x", "b": 2})),
        (Given("modify", edit='{"a": 1}'), edit({"a": 1})),
        (Given("edit", edit='{"a": 1, "b": 2}', assignments=["b=x"]), edit({"a": 1, "b": "x"})),
        (Given("edit", comment="less", edit='{"a": 1}'), Decision("edit", {"a": 1}, "less")),
        (Given("edit", editor=True, comment="less"), Decision("edit", {}, "less")),
        (Given(editor=True), Decision("edit", {})),
        (Given(value='{"colour": "red"}'), {"colour": "red"}),
        (Given(value="false"), False),
    ],
)
def test_words_and_options_make_one_answer(given: Given, answer: object) -> None:
    assert read_answer(given) == answer


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (Given(), "Say what you decide: approve, edit, reject, respond"),
        (Given("aprove"), "'aprove' is no decision; there are approve, edit, reject, respond. Did you mean approve?"),
        (Given("edit"), "An edit says what changes"),
        (Given("edit", "risk=low"), "write --set risk=low"),
        (Given("edit", "less"), "a comment stands behind --comment"),
        (Given("edit", editor=True, assignments=["a=b"]), "leave --set and --edit out"),
        (Given("approve", editor=True), "approve does not"),
        (Given(editor=True, value="1"), "--value is the whole answer"),
        (Given("edit", edit="[1]"), "--edit takes the changed arguments by name"),
        (Given("edit", edit="{"), "--edit is not valid JSON"),
        (Given("edit", assignments=["x"]), "--set takes key=value"),
        (Given("respond"), "respond needs the text"),
        (Given("respond", "  "), "respond needs the text"),
        (Given("reject", "a", comment="b"), "The text was given twice"),
        (Given("approve", assignments=["a=b"]), "approve does not"),
        (Given("reject", edit="{}"), "reject does not"),
        (Given("approve", value="1"), "--value is the whole answer"),
        (Given(value="blue"), "--value is not valid JSON"),
    ],
)
def test_what_makes_no_answer_is_refused_with_what_would(given: Given, said: str) -> None:
    with pytest.raises(InvalidDecision) as refused:
        read_answer(given)
    assert said in str(refused.value)
