"""What kind of fault an error is: one that may pass, or one that will be the same tomorrow.

Every provider's client has errors of its own; they are told apart by what they have in common: an HTTP status, headers,
and the names of their classes. So none of these packages need be installed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

__all__ = ["Kind", "exhausted", "kind_of", "mark_exhausted", "retry_after", "status_of"]

Kind = Literal["passes", "final"]

# RFC 9110 and 6585: the request may be repeated. 409 is what several providers answer to calls that meet each other.
_PASSING: Final = frozenset({408, 409, 425, 429})
# A 429 that waiting does not help: the account has no money left.
_SPENT: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
# Classes, theirs or those that they are made of, which say that the other side was not reached or fell silent.
_UNREACHED: Final = frozenset(
    {
        "APIConnectionError", "ClientConnectionError", "ConnectTimeoutError", "ConnectionClosedError",
        "ConnectionError", "EndpointConnectionError", "IncompleteRead", "NodeTimeoutError", "ReadTimeoutError",
        "ServerDisconnectedError", "ServiceUnavailable", "Timeout", "TimeoutError", "TransportError", "gaierror",
    }
)  # fmt: skip
_MARK: Final = "__adjourn_exhausted__"


def kind_of(error: BaseException, also: tuple[str, ...] = ()) -> Kind:
    """Return what kind of fault an error is.

    Args:
        error: The error. A group of errors passes when each in it does.
        also: Names of more exceptions that may pass: of their class, with or without its module.

    Returns:
        `passes` for HTTP 408, 409, 425, 429 (unless the account is empty) and 5xx, for connections that failed, for
        time-outs, and for those named; `final` for all others, wrong requests, keys and values among them.
    """
    if isinstance(error, BaseExceptionGroup):
        return "passes" if all(kind_of(each, also) == "passes" for each in error.exceptions) else "final"
    if not isinstance(error, Exception):
        return "final"
    if any(name in also for name in _names(error)):
        return "passes"
    status = status_of(error)
    if status is not None:
        spent = status == 429 and _code(error) in _SPENT
        return "passes" if not spent and (status in _PASSING or status >= 500) else "final"
    return "passes" if any(name in _UNREACHED for name in _names(error)) else "final"


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an error reports; None where it reports none."""
    response = getattr(error, "response", None)
    found = [getattr(error, "status_code", None), getattr(response, "status_code", None), getattr(error, "code", None)]
    if isinstance(response, Mapping):  # botocore's form
        found.append(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
    return next((each for each in found if isinstance(each, int) and 100 <= each <= 599), None)


def retry_after(error: BaseException, now: datetime) -> float | None:
    """Return the seconds for which a server asks to be left alone; None where it does not say.

    Args:
        error: Its answer, as an error with HTTP headers.
        now: The time (UTC), for servers that name a moment.
    """
    headers = getattr(getattr(error, "response", None), "headers", None)
    if headers is None:
        return None
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or not isinstance(text, str):
        return seconds
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)


def mark_exhausted(error: BaseException) -> None:
    """Note at an error that everything was tried, so that nobody around tries it all again."""
    setattr(error, _MARK, True)


def exhausted(error: BaseException) -> bool:
    """Whether everything was tried before this error was raised."""
    if isinstance(error, BaseExceptionGroup):
        return any(exhausted(each) for each in error.exceptions)
    return bool(getattr(error, _MARK, False))


def _names(error: BaseException) -> Iterator[str]:
    for each in type(error).__mro__:
        yield each.__name__
        yield f"{each.__module__}.{each.__qualname__}"


def _code(error: BaseException) -> Any:
    code = getattr(error, "code", None)
    body = getattr(error, "body", None)
    return code if isinstance(code, str) else body.get("code") if isinstance(body, Mapping) else None


def _number(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None
    return value if 0 <= value < float("inf") else None
