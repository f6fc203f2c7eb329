"""The rules of schedules: which moments have come since the last time somebody looked; pure functions.

Cron expressions are read by cronsim, which does as Debian's cron does: five fields, `L`, `LW` and `#` included, and what
stands for a fixed time of the day happens once on the days when clocks change. In front of the five there may be a field
of seconds.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from ..errors import ConfigurationError

__all__ = ["Due", "Missed", "Timetable", "due_moments", "next_moment"]

Missed: TypeAlias = Literal["latest", "all", "skip"]
_MOST: Final = 1000
_MINUTE: Final = timedelta(minutes=1)
_TICK: Final = timedelta(microseconds=1)
_ANY_TIME: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Timetable:
    """When a schedule starts its workflow.

    Args:
        cron: Five fields (minute, hour, day of the month, month, day of the week), or six with the seconds in front.
        timezone: The IANA name of the zone whose clocks are meant, such as `Europe/Berlin`.
        missed: What becomes of moments that nobody was there for: `latest` makes up for the newest of them and skips the
            others, `all` makes up for each, `skip` for none.
        grace: Seconds after which a moment was missed; until then it is only late.

    Raises:
        ConfigurationError: One of them cannot be used; the message says which and what would be right.
    """

    cron: str
    timezone: str = "UTC"
    missed: Missed = "latest"
    grace: float = 60.0

    def __post_init__(self) -> None:
        _check_types(self.cron, self.timezone, self.grace)
        if self.missed not in get_args(Missed):
            raise ConfigurationError(f"missed={self.missed!r} is no policy; there are: {', '.join(get_args(Missed))}.")
        if not 0 <= self.grace < float("inf"):
            raise ConfigurationError(f"grace={self.grace!r} is no number of seconds; 0 or more would be right.")
        if next_moment(self, _ANY_TIME) is None:
            raise ConfigurationError(f"The cron expression {self.cron!r} names a day that never comes.")

    @classmethod
    def stored(cls, cron: str, timezone: str, missed: Missed, grace: float) -> tuple[Timetable, str | None]:
        """Return one that was checked when it was stored, and why it cannot be used here; None where it can.

        A zone may have gone since, or be known elsewhere only.
        """
        try:
            return cls(cron, timezone, missed, grace), None
        except ConfigurationError as error:
            found = object.__new__(cls)
            for name, value in (("cron", cron), ("timezone", timezone), ("missed", missed), ("grace", grace)):
                object.__setattr__(found, name, value)
            return found, error.message


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be started.

    Args:
        moments: The moments that are due, in UTC and in their order.
        skipped: Whether there are others that were missed and are not made up.
        last: Up to where everything is settled; the next look begins behind it.
    """

    moments: tuple[datetime, ...]
    skipped: bool
    last: datetime


def due_moments(timetable: Timetable, last: datetime, now: datetime, *, most: int = _MOST) -> Due:
    """Return the moments behind `last` and up to `now`, as the policy wants them.

    Args:
        timetable: The schedule.
        last: Up to where everything is settled (aware).
        now: The time (aware).
        most: The most moments to return; those behind them are for the next look.
    """
    late_since = now - timedelta(seconds=timetable.grace)
    before = late_since - _TICK  # the last time at which a moment would have been missed
    missed: list[datetime] = []
    if timetable.missed == "all":
        missed = list(itertools.islice(_between(timetable, last, before), most))
    elif timetable.missed == "latest":
        missed = _newest(timetable, last, before)
    on_time = list(itertools.islice(_between(timetable, max(last, before), now), most - len(missed)))
    first = next(_between(timetable, last, before), None)
    skipped = first is not None and first not in missed
    moments = (*missed, *on_time)
    return Due(moments, skipped, moments[-1] if moments else before if skipped else last)


def next_moment(timetable: Timetable, after: datetime) -> datetime | None:
    """Return the first moment behind a time, in UTC; None when none comes within fifty years."""
    return next(_moments(timetable, after), None)


def _check_types(cron: Any, timezone: Any, grace: Any) -> None:
    for name, text in (("cron", cron), ("timezone", timezone)):
        if not isinstance(text, str):
            raise ConfigurationError(f"{name}={text!r} is no text.")
    if not isinstance(grace, int | float) or isinstance(grace, bool):
        raise ConfigurationError(f"grace={grace!r} is no number of seconds.")


def _between(timetable: Timetable, last: datetime, until: datetime) -> Iterator[datetime]:
    return itertools.takewhile(lambda moment: moment <= until, _moments(timetable, last))


def _newest(timetable: Timetable, last: datetime, until: datetime) -> list[datetime]:
    """Return the last of the moments between two times, if there is one, without a look at all of them."""
    span = _MINUTE
    while last < until:
        begin = max(last, until - span)
        if found := list(_between(timetable, begin, until)):
            return found[-1:]
        if begin == last:
            break
        span *= 2
    return []


def _moments(timetable: Timetable, after: datetime) -> Iterator[datetime]:
    """Yield the moments behind a time.

    The minutes are cronsim's, which minds changing clocks for five fields only; the seconds are added to them. An hour
    that is left out moves several times of the day to one moment, which counts once.
    """
    zone = _zone(timetable.timezone)
    minutes, seconds = _expression(timetable.cron)
    # in UTC, since a minute earlier on the wall may be a time that never was
    begin = (after.astimezone(UTC).replace(second=0, microsecond=0) - _MINUTE).astimezone(zone)
    for minute in CronSim(minutes, begin):
        for second in seconds:
            moment = minute.astimezone(UTC) + timedelta(seconds=second)
            if moment > after:
                after = moment
                yield moment


@cache
def _expression(cron: str) -> tuple[str, tuple[int, ...]]:
    """Return the five fields of an expression, and the seconds of each of its minutes."""
    try:
        seconds = CronSim(cron, _ANY_TIME).seconds
    except CronSimError as error:
        raise ConfigurationError(
            f"{cron!r} is no cron expression: {error}. It has five fields (minute, hour, day of the month, month, day "
            "of the week), such as '0 3 * * *' for three o'clock each day, or six with the seconds in front."
        ) from None
    return " ".join(cron.split()[-5:]), tuple(sorted(seconds))


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # a zone that is not found is a KeyError
        raise ConfigurationError(
            f"{name!r} is no time zone; names are those of the IANA database, such as 'UTC' or 'Europe/Berlin'."
        ) from None
