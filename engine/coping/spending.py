"""What a run has spent on models, and whether it may spend more, as pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import ConfigurationError
from ...state.coping import Budget, Price, named

__all__ = ["Granted", "Spent", "Usage", "cost_of", "excess", "limits"]


@dataclass(frozen=True, slots=True)
class Usage:
    """The tokens of one answer.

    Args:
        input: Of the prompt.
        output: Of the answer.
    """

    input: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run has spent so far, in all its drives.

    Args:
        calls: Answers that were counted.
        tokens: Tokens, of prompts and answers.
        cost: Money.
    """

    calls: int = 0
    tokens: int = 0
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Granted:
    """What people have granted beyond the budget.

    Args:
        times: How often they have approved: each adds the budget once more.
        tokens: Tokens that edits added.
        cost: Money that edits added.
    """

    times: int = 0
    tokens: float = 0
    cost: float = 0.0

    @classmethod
    def by(cls, decisions: Iterable[Mapping[str, Any]]) -> Granted:
        """Add up what answers to the question for more grant.

        Args:
            decisions: The answers, each with its `type` and, of an edit, the `edited_action`.
        """
        granted = cls()
        for each in decisions:
            if each["type"] == "approve":
                granted = cls(granted.times + 1, granted.tokens, granted.cost)
            elif each["type"] == "edit":
                more = each["edited_action"]["args"]
                granted = cls(
                    granted.times, granted.tokens + more.get("tokens", 0), granted.cost + more.get("cost", 0.0)
                )
        return granted


def limits(budget: Budget, granted: Granted) -> tuple[float | None, float | None]:
    """Return the limits that count: of tokens, and of money."""
    tokens = None if budget.tokens is None else budget.tokens * (1 + granted.times) + granted.tokens
    cost = None if budget.cost is None else budget.cost * (1 + granted.times) + granted.cost
    return tokens, cost


def excess(budget: Budget, spent: Spent, granted: Granted) -> str | None:
    """Say what is used up, in words; None while another call may begin.

    Args:
        budget: The budget of the run.
        spent: What was spent.
        granted: What people granted beyond it.
    """
    tokens, cost = limits(budget, granted)
    if tokens is not None and spent.tokens >= tokens:
        return f"{spent.tokens:,} of {tokens:,.0f} tokens in {spent.calls} calls"
    if cost is not None and spent.cost >= cost:
        return f"{spent.cost:.4f} of {cost:.4f} in {spent.calls} calls"
    return None


def cost_of(budget: Budget, usage: Usage, names: tuple[str, ...]) -> float:
    """Return what an answer costs; nothing where the budget is one of tokens alone.

    Args:
        budget: Holds the prices.
        usage: The tokens of the answer.
        names: What the model is called, the most exact name first.

    Raises:
        ConfigurationError: The budget is one of money and the model has no price.
    """
    price: Price | None = named(budget.prices, *names)
    if price is None:
        if budget.cost is None:
            return 0.0
        raise ConfigurationError(
            f"The budget is one of money, and the model {names[0]!r} has no price. Give it one: "
            f"Budget(cost=…, prices={{{names[0]!r}: Price(input=…, output=…)}}), for a million tokens each."
        )
    return (usage.input * price.input + usage.output * price.output) / 1_000_000
