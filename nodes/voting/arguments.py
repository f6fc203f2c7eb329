"""What a caller gives to a vote, checked: options, weights, accuracies.

Numbers become fractions of the decimals that they are written as: 0.1 + 0.2 is 0.3, and a tie on paper is a tie.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ...errors import InvalidInput
from ..arguments import check_share, is_number

__all__ = ["check_accuracies", "check_options", "check_weights", "exact"]


def exact(number: float) -> Fraction:
    """Return a number as the fraction that its shortest decimal form says."""
    return Fraction(number) if isinstance(number, int) else Fraction(str(float(number)))


def check_options(options: Sequence[Any]) -> list[str]:
    """Return the options of a vote.

    Raises:
        InvalidInput: They are fewer than two, not text, empty, or not all different.
    """
    names = None if isinstance(options, str) else list(options)
    if names is None or not all(isinstance(name, str) and name.strip() for name in names):
        raise InvalidInput(
            f'options takes a list of names that are not empty, such as ["ship", "wait"], not {options!r}.'
        )
    if len(names) < 2:
        raise InvalidInput(f"A vote needs two options or more, not {names!r}; with one there is nothing to decide.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidInput(f"Each option must be named once; {', '.join(map(repr, twice))} is there more than once.")
    return names


def check_weights(weights: Mapping[str, Any], agents: Iterable[str]) -> dict[str, Fraction]:
    """Return the weight of each agent.

    Raises:
        InvalidInput: An agent has no weight; a weight is no finite number or negative; or all of them are 0.
    """
    found: dict[str, Fraction] = {}
    for agent in sorted(agents):
        weight = _of("weight", weights, agent)
        if not is_number(weight) or not math.isfinite(weight) or weight < 0:
            raise InvalidInput(f"The weight of {agent!r} must be a finite number of at least 0, not {weight!r}.")
        found[agent] = exact(weight)
    if found and not sum(found.values()):
        raise InvalidInput(
            f"The weights of {', '.join(map(repr, found))} are 0 in sum, so no vote could count. "
            "Give at least one of them a weight above 0."
        )
    return found


def check_accuracies(accuracies: Mapping[str, Any] | None, agents: Iterable[str]) -> dict[str, Fraction]:
    """Return the accuracy of each agent.

    Raises:
        InvalidInput: An agent has none, or it is not a number from 0 to 1.
    """
    if accuracies is None:
        raise InvalidInput(
            "The rule 'log_odds' needs the accuracy of each agent: accuracies={agent: how often it is right, 0 to 1}. "
            "Where that is not known, use 'plurality', or 'weighted' with weights of your own."
        )
    found: dict[str, Fraction] = {}
    for agent in sorted(agents):
        accuracy = _of("accuracy", accuracies, agent)
        check_share(f"The accuracy of {agent!r}", accuracy)
        found[agent] = exact(accuracy)
    return found


def _of(what: str, given: Mapping[str, Any], agent: str) -> Any:
    if agent not in given:
        names = ", ".join(sorted(map(repr, given))) or "nobody"
        raise InvalidInput(f"There is no {what} for the agent {agent!r}; it is given for {names}.")
    return given[agent]
