"""Every query's answer equals that of a few lines of Python over all rows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rattler import Version

from conda_store.builder.package_index import PackageIndex, PackagePage, PackageQuery
from conda_store.builder.package_index.layout import Layout
from conda_store.builder.package_index.model import SortKey
from conda_store.builder.package_index.readers import opened
from conda_store.builder.package_index.search import search

from .conftest import Record, refresh_here, write_repodata

NAMES = ["a_b", "axb", "numpy", "numpy-base", "py", "python", "r-base", "zlib"]
VERSIONS = ["1.0", "1.00", "1.0.0", "0.9", "0.10", "1.0rc1", "1.0.post1", "1.0dev1", "2!0.1", "1.10", "1.9", "2024a"]
BUILDS = ["py311h1_0", "py312H2_0", "0", "cuda_1"]
CHANNELS = ["alpha", "beta", "gamma"]
SUBDIRS = ["noarch", "linux-64", "win-64"]
SAMPLES = 12
KEYS = st.lists(st.sampled_from([*SortKey, "nonsense"]), max_size=3).map(tuple)
QUERIES = st.builds(
    PackageQuery,
    search=st.sampled_from([None, "", "py", "PY", "numpy", "a_b", "_", "%", "%py%", "o", "nothing"]),
    exact=st.sampled_from([False, True, "true", "false", "1"]),
    build=st.sampled_from([None, "", "py3", "H1", "cuda", "0\npy", "%"]),
    distinct_on=KEYS,
    sort_by=KEYS,
    order=st.sampled_from(["asc", "desc", "sideways"]),
    page=st.integers(1, 4),
    size=st.integers(1, 7) | st.just(100),
    channels=st.none() | st.lists(st.sampled_from([*CHANNELS, "absent"]), max_size=3).map(tuple),
)
Content = dict[str, dict[str, list[Record]]]


def expected(content: Content, query: PackageQuery, urls: dict[str, str]) -> tuple[list[tuple[str, str, str]], int]:
    """Channel, name and version of the rows on the page, and the count, the obvious way."""
    builds: dict[tuple[str, str, str], set[str]] = {}
    for channel, subdirs in content.items():
        for records in subdirs.values():
            for name, version, build in records:
                builds.setdefault((urls[channel], name.lower(), version), set()).add(build.lower())
    rows = [row for row in builds if query.channels is None or row[0] in query.channels]
    if query.search and query.exact in (True, "true", "1"):
        rows = [row for row in rows if row[1] == query.search.lower()]
    elif query.search:
        rows = [row for row in rows if query.search.lower() in row[1]]
    if query.build:
        rows = [row for row in rows if any(query.build.lower() in build for build in builds[row])]
    place = {"channel": 0, "name": 1, "version": 2}
    distinct = [key for key in query.distinct_on if key in place]
    keys = list(dict.fromkeys([*distinct, *(key for key in query.sort_by if key in place), *place]))

    def rank(row: tuple[str, str, str]) -> tuple[object, ...]:
        return tuple((Version(row[2]), row[2]) if key == "version" else row[place[key]] for key in keys)

    rows.sort(key=rank, reverse=query.order == "desc")
    if distinct:
        first: dict[tuple[str, ...], tuple[str, str, str]] = {}
        for row in rows:
            first.setdefault(tuple(row[place[key]] for key in distinct), row)
        rows = list(first.values())
    start = (query.page - 1) * query.size
    return rows[start : start + query.size], len(rows)


def as_tuples(page: PackagePage) -> list[tuple[str, str, str]]:
    return [(row.channel_url, row.name, row.version) for row in page.rows]


@dataclass(frozen=True)
class Sample:
    content: Content = field(repr=False)
    urls: dict[str, str] = field(repr=False)
    catalog: Path
    index: PackageIndex


def write_sample(root: Path, dice: random.Random) -> Sample:
    """Some of the channels, each with some of the records in some of the subdirs, and the index of it."""
    urls = {name: (root / name).as_uri() for name in (*CHANNELS, "absent")}
    content: Content = {}
    for channel in dice.sample(CHANNELS, dice.randint(1, 3)):
        content[channel] = {subdir: random_records(dice) for subdir in dice.sample(SUBDIRS, dice.randint(1, 3))}
        for subdir, records in content[channel].items():
            write_repodata(root / channel, records, subdir=subdir)
    assert refresh_here(root / "index", [urls[name] for name in content], ["linux-64", "win-64"]) == []
    return Sample(content, urls, Layout(root / "index").catalog, PackageIndex(root / "index"))


def random_records(dice: random.Random) -> list[Record]:
    records = {(dice.choice(NAMES), dice.choice(VERSIONS), dice.choice(BUILDS)) for _ in range(dice.randint(0, 60))}
    return sorted(records)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Sample]]:
    dice = random.Random(20)
    made = [write_sample(tmp_path_factory.mktemp("sample"), dice) for _ in range(SAMPLES)]
    yield made
    for sample in made:
        sample.index.close()


@settings(deadline=None, max_examples=300)
@given(query=QUERIES, which=st.integers(0, SAMPLES - 1))
def test_answers_equal_the_obvious_ones(samples: list[Sample], query: PackageQuery, which: int) -> None:
    sample = samples[which]
    if query.channels is not None:
        query = replace(query, channels=tuple(sample.urls[name] for name in query.channels))
    page = sample.index.search(query)
    assert (as_tuples(page), page.count) == expected(sample.content, query, sample.urls)
    assert len({row.id for row in page.rows}) == len(page.rows)
    with opened(sample.catalog) as connection:
        assert search(connection, query, few=0) == page, "another way when packages are many"


def test_the_requests_of_the_user_interface(tmp_path: Path) -> None:
    records = [(name, version, "0") for name in ("numpy", "numpydoc", "scipy") for version in ("1.9", "1.10", "2.0rc1")]
    write_repodata(tmp_path / "channel", records)
    write_repodata(tmp_path / "other", [("numpy", "1.9", "0"), ("numpy", "1.10.0", "0")])
    refresh_here(tmp_path / "index", [(tmp_path / name).as_uri() for name in ("channel", "other")])
    with PackageIndex(tmp_path / "index") as index:
        names = index.search(PackageQuery(search="NUM", distinct_on=("name",), page=1, size=100))
        versions = index.search(
            PackageQuery(search="numpy", exact="true", distinct_on=("version",), sort_by=("version",), order="desc")
        )
    assert [row.name for row in names.rows] == ["numpy", "numpydoc"]
    assert names.count == 2
    assert [row.version for row in versions.rows] == ["2.0rc1", "1.10.0", "1.10", "1.9"]
    assert versions.count == 4
