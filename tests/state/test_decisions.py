"""The constructors of decisions."""

from typing import Any

import pytest

from adjourn import Decision, InvalidDecision, approve, edit, reject, respond


def test_the_four_decisions() -> None:
    assert approve() == Decision("approve")
    assert approve("fine") == Decision("approve", message="fine")
    assert edit({"amount": 7}) == Decision("edit", args={"amount": 7})
    assert reject("why") == Decision("reject", message="why")
    assert respond("text") == Decision("respond", message="text")


@pytest.mark.parametrize("text", ["", "  "])
def test_an_empty_response_is_refused(text: str) -> None:
    with pytest.raises(InvalidDecision, match="takes the text"):
        respond(text)


@pytest.mark.parametrize("args", [{}, {1: "a"}])
def test_an_edit_without_names_is_refused(args: dict[Any, Any]) -> None:
    with pytest.raises(InvalidDecision, match="changed arguments by name"):
        edit(args)
