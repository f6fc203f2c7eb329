"""What a run is started with, checked before anything is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NotRequired

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema
from typing_extensions import TypedDict

from ...errors import InvalidInput
from ...state.inputs import Words
from ..arguments import check_count, check_seconds, one_of
from .measuring import check_thresholds
from .strategies import check_order

__all__ = ["adaptive_input", "check_constraints"]


def check_constraints(given: Any) -> Any:
    """Return resource constraints; see `adjourn.state.adaptive.ResourceConstraints`.

    Raises:
        InvalidInput: They are no mapping, a name is unknown, or a value does not fit.
    """
    if not isinstance(given, Mapping):
        raise InvalidInput(f"resource_constraints must be a mapping with {', '.join(_CONSTRAINTS)}, not {given!r:.60}.")
    for name, value in given.items():
        one_of("resource constraint", name, _CONSTRAINTS)
        _CONSTRAINTS[name](name, value)
    return given


def adaptive_input(strategies: Iterable[str], metrics: Mapping[str, Any]) -> Any:
    """Return the input schema of a workflow with these strategies and metrics.

    Whoever checks a value against it gets InvalidInput for a strategy or a metric that does not exist,
    an empty list, a threshold that is not from 0 to 1; so a bad input is refused when a run is started.
    """
    names = list(strategies)

    def check_strategy(value: Any) -> Any:
        one_of("strategy", value, names)
        return value

    keys: dict[str, Any] = {
        "main_task": Words,
        "material": NotRequired[Any],
        "task_type": NotRequired[str],
        "current_strategy": NotRequired[_checked(check_strategy, {"enum": names}, "str")],
        "fallback_strategies": NotRequired[
            _checked(
                lambda value: check_order(value, names),
                {"type": "array", "items": {"enum": names}, "minItems": 1},
                "list[str]",
            )
        ],
        "quality_thresholds": NotRequired[
            _checked(
                lambda value: check_thresholds(value, metrics),
                {"type": "object", "properties": dict.fromkeys(metrics, _SHARE), "additionalProperties": False},
                "dict[str, float]",
            )
        ],
        "resource_constraints": NotRequired[_checked(check_constraints, {"type": "object"}, "dict")],
    }
    return TypedDict("AdaptiveInput", keys)  # type: ignore[operator]


# whoever starts a run may say it, and plain functions get a thread for each
_MOST_WORKERS: Final = 100
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}


def _check_people(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} must be true or false, not {value!r:.60}.")


def _check_workers(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_WORKERS:
        raise InvalidInput(f"{name} must be a whole number from 1 to {_MOST_WORKERS}, not {value!r:.60}.")


_CONSTRAINTS: Mapping[str, Callable[[str, Any], Any]] = {
    "target_seconds": check_seconds,
    "timeout_seconds": check_seconds,
    "max_workers": _check_workers,
    "max_attempts": lambda name, value: check_count(name, value, 1),
    "people": _check_people,
}


def _checked(check: Callable[[Any], Any], json_schema: dict[str, Any], name: str) -> Any:
    """Return a type whose values are checked by a function, and which messages call by a name."""

    class Checked:
        @classmethod
        def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
            return core_schema.no_info_plain_validator_function(check)

        @classmethod
        def __get_pydantic_json_schema__(cls, _: CoreSchema, __: GetJsonSchemaHandler) -> dict[str, Any]:
            return json_schema

    Checked.__name__ = name
    return Checked
