"""Charts as numbers: where the bars of a picture are. Templates draw them as SVG, with a table of the same numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from conda_store.db.overview import DayOfBuilds, Wait
from conda_store.domain.build import BuildStatus

WIDTH = 720
HEIGHT = 120
_GAP = 4
_OUTCOMES = (BuildStatus.COMPLETED, BuildStatus.FAILED, BuildStatus.CANCELED)


@dataclass(frozen=True)
class Bar:
    """A rectangle; `kind` is its class in the style sheet."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True)
class Day:
    day: date
    counts: Mapping[BuildStatus, int]

    @property
    def count(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True)
class BuildsChart:
    """Builds that ended, by day and outcome; `most` is the count of the highest bar."""

    days: tuple[Day, ...]
    bars: tuple[Bar, ...]
    most: int
    outcomes: tuple[BuildStatus, ...] = _OUTCOMES


def builds_chart(found: Sequence[DayOfBuilds], today: date, length: int) -> BuildsChart:
    counts: dict[date, dict[BuildStatus, int]] = {}
    for item in found:
        counts.setdefault(item.day, {})[item.status] = item.count
    days = tuple(
        Day(day, {status: counts.get(day, {}).get(status, 0) for status in _OUTCOMES})
        for day in (today - timedelta(days=ago) for ago in range(length - 1, -1, -1))
    )
    most = max((day.count for day in days), default=0)
    step = WIDTH / max(length, 1)
    bars: list[Bar] = []
    for index, day in enumerate(days):
        top = float(HEIGHT)
        for status in _OUTCOMES:
            height = HEIGHT * day.counts[status] / most if most else 0.0
            if height:
                top -= height
                bars.append(
                    Bar(round(index * step, 1), round(top, 1), round(step - _GAP, 1), round(height, 1), status.lower())
                )
    return BuildsChart(days, tuple(bars), most)


@dataclass(frozen=True)
class QueueChart:
    """How many builds waited at most in each part of the time from `start` to `end`."""

    start: datetime
    end: datetime
    counts: tuple[int, ...]
    bars: tuple[Bar, ...]

    @property
    def most(self) -> int:
        return max(self.counts, default=0)

    def hours(self) -> tuple[tuple[datetime, int], ...]:
        """The same by the hour, where any build waited; the newest first."""
        step = (self.end - self.start) / len(self.counts)
        found: dict[datetime, int] = {}
        for index, count in enumerate(self.counts):
            hour = (self.start + index * step).replace(minute=0, second=0, microsecond=0)
            found[hour] = max(found.get(hour, 0), count)
        return tuple((hour, count) for hour, count in sorted(found.items(), reverse=True) if count)


def queue_chart(waits: Sequence[Wait], end: datetime, length: timedelta, parts: int = 96) -> QueueChart:
    """From builds that waited; a wait without an end lasts until `end`. What is less than a second is no queue."""
    start = end - length
    changes: list[tuple[datetime, int]] = []
    for wait in waits:
        until = min(wait.end or end, end)
        if until - wait.start >= timedelta(seconds=1) and until > start:
            changes += [(max(wait.start, start), 1), (until, -1)]
    counts = [0] * parts
    waiting, last = 0, 0
    for moment, change in sorted(changes):
        part = min(int(parts * ((moment - start) / length)), parts - 1)
        for index in range(last, part + 1):
            counts[index] = max(counts[index], waiting)
        waiting, last = waiting + change, part
        counts[part] = max(counts[part], waiting)
    most, step = max(counts), WIDTH / parts
    bars = tuple(
        Bar(round(index * step, 1), round(HEIGHT - HEIGHT * count / most, 1), round(step, 1),
            round(HEIGHT * count / most, 1), "completed")
        for index, count in enumerate(counts) if count
    )  # fmt: skip
    return QueueChart(start, end, tuple(counts), bars)


@dataclass(frozen=True)
class Share:
    """A row of a chart of rows: `width` of `WIDTH`."""

    name: str
    value: int
    width: float


def shares(values: Mapping[str, int], most_rows: int) -> tuple[Share, ...]:
    """The largest first; what is left out is one row more, without a name."""
    ordered = sorted(((value, name) for name, value in values.items() if value), reverse=True)
    rows = [(name, value) for value, name in ordered[:most_rows]]
    if rest := sum(value for value, _ in ordered[most_rows:]):
        rows.append(("", rest))
    most = max((value for _, value in rows), default=1)
    return tuple(Share(name, value, round(WIDTH * value / most, 1)) for name, value in rows)
