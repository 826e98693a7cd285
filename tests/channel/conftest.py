"""Installing from a channel, for the tests of the tool that makes channels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from rattler import Gateway, MatchSpec, VirtualPackage, install, solve

Install = Callable[..., list[str]]


@pytest.fixture
def install_from(tmp_path: Path) -> Install:
    """Solve specs against one channel (URL or directory) and install: returns the names of the records."""

    def install_them(channel: str | Path, prefix: Path, *specs: str) -> list[str]:
        url = channel.as_uri() if isinstance(channel, Path) else channel

        async def run() -> list[str]:
            records = await solve(
                [url],
                [MatchSpec(spec) for spec in specs],
                gateway=Gateway(cache_dir=tmp_path / "repodata"),
                platforms=["linux-64", "noarch"],
                virtual_packages=[package.into_generic() for package in VirtualPackage.detect()],
            )
            await install(records, prefix, cache_dir=tmp_path / "packages", execute_link_scripts=True)
            return sorted(record.name.normalized for record in records)

        return asyncio.run(run())

    return install_them
