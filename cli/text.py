"""Text for people: safe to show on a terminal, short enough to read."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Final

__all__ = ["age", "clean", "duration", "one_line", "shortened", "span", "summary", "timestamp"]

# Escape sequences as a whole (CSI, OSC and other strings, two-character ones), then single control characters, then
# the marks that change the direction of text: in a question they could show something else than what is approved.
_SEQUENCES: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_].*?(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-~]|\x9b[0-?]*[ -/]*[@-~]", re.DOTALL
)
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_SURROGATES: Final = re.compile(r"[\ud800-\udfff]")


def clean(text: str) -> str:
    """Return text without anything that a terminal would obey; line ends and tabs stay.

    Args:
        text: From a model, a user or a file.
    """
    text = _SEQUENCES.sub("", text.replace("\r\n", "\n"))
    return _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", _CONTROLS.sub("", text))


def one_line(text: str) -> str:
    """Return text cleaned, with every run of white space as one blank."""
    return " ".join(clean(text).split())


def shortened(text: str, limit: int) -> str:
    """Return text on one line, cut at a word when it is longer than a limit, and then with its length.

    Args:
        text: Anything.
        limit: The most characters to keep; 0 keeps all of it, line by line.
    """
    if not limit:
        return clean(text).strip()
    flat = one_line(text)
    if len(flat) <= limit:
        return flat
    cut = flat[:limit].rpartition(" ")[0] or flat[:limit]
    return f"{cut} … ({len(text):,} characters)"


def summary(value: Any, limit: int) -> str:
    """Return any value in words: text as it is, a list with commas, a dictionary with its keys.

    Args:
        value: JSON-safe or not.
        limit: The most characters to keep; 0 keeps all.
    """
    return shortened(_words(value, depth=0), limit)


def _words(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict) and depth < 4:
        return ", ".join(f"{name}: {_words(item, depth + 1)}" for name, item in value.items()) or "-"
    if isinstance(value, list | tuple) and depth < 4:
        items = [_words(item, depth + 1) for item in value]
        return ("; " if any(", " in item for item in items) else ", ").join(items) or "-"
    return str(value)


def duration(seconds: float) -> str:
    """Return a length of time in its natural unit, such as `12 ms`, `3.4 s`, `5 min 2 s`, `3 h 10 min`, `12 d 4 h`."""
    if seconds < 0.9995:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    left = round(seconds)
    parts: list[str] = []
    for size, unit in units:
        if left >= size or parts:
            parts.append(f"{left // size} {unit}" if left >= size else "")
            left %= size
    return " ".join(part for part in parts[:2] if part)


def age(then: datetime, now: datetime) -> str:
    """Return how long ago something was, in one unit.

    Args:
        then: When it was (aware).
        now: The time now (aware).
    """
    gone = now - then
    return "just now" if gone < timedelta(minutes=1) else f"{span(gone)} ago"


def span(length: timedelta) -> str:
    """Return a length of time in one unit, whole ones only: `3 d`, `5 h`, `12 min`, `40 s`; never negative."""
    seconds = max(length / timedelta(seconds=1), 0)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds // 1:.0f} s"


def timestamp(at: datetime) -> str:
    """Return a moment in the local time of whoever reads it, to the second."""
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
