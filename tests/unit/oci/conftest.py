"""Extracted packages, as they lie in the cache, made by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from conda_store.domain.lock import CondaPackage

PLACEHOLDER = "/placeholder" * 20
MTIME = 1_500_000_000


class Cache:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.directories: dict[str, Path] = {}

    def add(
        self,
        name: str,
        files: dict[str, bytes],
        *,
        modes: dict[str, int] | None = None,
        links: dict[str, str] | None = None,
        noarch: dict[str, Any] | None = None,
        version: str = "1.0",
        size: int = 1000,
        depends: tuple[str, ...] = (),
        subdir: str = "",
    ) -> CondaPackage:
        """A package whose files hold `PLACEHOLDER` where a prefix belongs."""
        directory = self.root / f"{name}-{version}-0"
        (directory / "info").mkdir(parents=True)
        paths = []
        for path, content in files.items():
            target = directory / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod((modes or {}).get(path, 0o644))
            os.utime(target, (MTIME, MTIME))
            entry = {"_path": path, "path_type": "hardlink"}
            if PLACEHOLDER.encode() in content:
                mode = "binary" if b"\0" in content else "text"
                entry |= {"prefix_placeholder": PLACEHOLDER, "file_mode": mode}
            paths.append(entry)
        for path, link_target in (links or {}).items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).symlink_to(link_target)
            paths.append({"_path": path, "path_type": "softlink"})
        (directory / "info" / "paths.json").write_text(json.dumps({"paths_version": 1, "paths": paths}))
        if noarch:
            (directory / "info" / "link.json").write_text(json.dumps({"noarch": noarch}))
        self.directories[name] = directory
        subdir = subdir or ("noarch" if noarch else "linux-64")
        url = f"https://conda.example/forge/{subdir}/{name}-{version}-0.conda"
        return CondaPackage(
            name, version, "0", subdir, url, "https://conda.example/forge", sha256="ab" * 32, size=size, depends=depends
        )


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")
