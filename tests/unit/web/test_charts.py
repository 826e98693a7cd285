from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from conda_store.db.overview import DayOfBuilds, Wait
from conda_store.domain.build import BuildStatus
from conda_store.server.web.charts import HEIGHT, WIDTH, builds_chart, queue_chart, shares

TODAY = date(2026, 11, 21)


def test_bars_stand_on_each_other_and_the_highest_fills_the_picture() -> None:
    found = [
        DayOfBuilds(TODAY, BuildStatus.COMPLETED, 3),
        DayOfBuilds(TODAY, BuildStatus.FAILED, 1),
        DayOfBuilds(date(2026, 11, 20), BuildStatus.COMPLETED, 2),
    ]
    chart = builds_chart(found, TODAY, 3)
    assert [day.count for day in chart.days] == [0, 2, 4]
    assert chart.most == 4
    yesterday, completed, failed = chart.bars
    assert (completed.height, failed.height, yesterday.height) == (HEIGHT * 0.75, HEIGHT * 0.25, HEIGHT * 0.5)
    assert completed.y + completed.height == HEIGHT
    assert failed.y + failed.height == completed.y
    assert failed.y == 0
    assert completed.x + completed.width <= WIDTH


def test_without_builds_there_are_no_bars() -> None:
    chart = builds_chart([], TODAY, 30)
    assert (len(chart.days), chart.bars, chart.most) == (30, (), 0)


def test_the_largest_come_first_and_the_rest_is_one_row() -> None:
    rows = shares({"a": 1, "b": 4, "c": 2, "none": 0, "d": 1}, 2)
    assert [(row.name, row.value) for row in rows] == [("b", 4), ("c", 2), ("", 2)]
    assert rows[0].width == WIDTH
    assert rows[1].width == WIDTH / 2


def test_the_queue_is_as_long_as_what_waited_at_once() -> None:
    end = datetime(2026, 11, 21, 12, 10, tzinfo=UTC)
    hour = timedelta(hours=1)
    waits = [
        Wait(end - 3 * hour, end - 2 * hour),
        Wait(end - 2.5 * hour, end - 1.5 * hour),
        Wait(end - 30 * hour, end - 23.75 * hour),  # began before
        Wait(end - 0.5 * hour, None),  # waits still
        Wait(end - 8 * hour, end - 8 * hour + timedelta(milliseconds=300)),  # did not really wait
    ]
    chart = queue_chart(waits, end, 24 * hour, parts=24)
    assert chart.counts == (1, *[0] * 20, 2, 2, 1)
    assert chart.most == 2
    assert [bar.height for bar in chart.bars] == [HEIGHT / 2, HEIGHT, HEIGHT, HEIGHT / 2]
    assert chart.hours()[0] == (datetime(2026, 11, 21, 11, tzinfo=UTC), 1)


def test_without_waits_there_is_no_queue() -> None:
    chart = queue_chart([], datetime(2026, 11, 21, tzinfo=UTC), timedelta(hours=24))
    assert (chart.most, chart.bars, chart.hours()) == (0, (), ())
