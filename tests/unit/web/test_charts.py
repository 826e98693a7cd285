from __future__ import annotations

from datetime import date

from conda_store.db.overview import DayOfBuilds
from conda_store.domain.build import BuildStatus
from conda_store.server.web.charts import HEIGHT, WIDTH, builds_chart, shares

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
