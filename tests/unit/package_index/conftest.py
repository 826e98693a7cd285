"""Channels of a few records, written as repodata.json, and an index over them without a child process."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from conda_store.builder.package_index import IndexOptions, PackageIndex
from conda_store.builder.package_index.child import refresh
from conda_store.builder.package_index.request import Request
from conda_store.errors import CondaStoreError

Record = tuple[str, str, str]
"""Name, version, build string."""


def write_repodata(
    channel: Path, records: Iterable[Record], *, subdir: str = "noarch", license: str | None = "MIT"
) -> None:
    """Replace the subdir's repodata.json, with a modification time of its own."""
    packages = {}
    for name, version, build in records:
        packages[f"{name}-{version}-{build}.conda"] = {
            "name": name,
            "version": version,
            "build": build,
            "build_number": 0,
            "depends": [],
            "subdir": subdir,
            "sha256": "0" * 64,
            "md5": "0" * 32,
            "size": 1,
        } | ({"license": license} if license else {})
    text = json.dumps({"info": {"subdir": subdir}, "packages": {}, "packages.conda": packages, "repodata_version": 1})
    (channel / subdir).mkdir(parents=True, exist_ok=True)
    staging = channel / subdir / "repodata.json.new"
    staging.write_text(text)
    staging.replace(channel / subdir / "repodata.json")


def refresh_here(
    directory: Path,
    channels: Iterable[str],
    platforms: Iterable[str] = (),
    *,
    options: IndexOptions | None = None,
    asked_at: int | None = None,
) -> list[CondaStoreError]:
    """What the child process does, in this one."""
    request = Request.of(
        directory=str(directory),
        channels=channels,
        platforms=platforms,
        asked_at=time.time_ns() if asked_at is None else asked_at,
        options=options or IndexOptions(fetch_timeout=20, retries=0),
    )
    return asyncio.run(refresh(request))


@pytest.fixture
def index(tmp_path: Path) -> Iterator[PackageIndex]:
    """An empty index in `tmp_path / "index"`."""
    with PackageIndex(tmp_path / "index") as opened:
        yield opened


@pytest.fixture
def channel(tmp_path: Path) -> Callable[..., str]:
    """Makes (or replaces) a channel of the given records and gives its URL."""

    def make(name: str, records: Iterable[Record], **options: str) -> str:
        write_repodata(tmp_path / name, records, **options)  # type: ignore[arg-type]
        return (tmp_path / name).as_uri()

    return make
