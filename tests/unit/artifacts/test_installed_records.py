"""Records of installed packages lose the paths of the package cache, and nothing else."""

import json
from typing import Any

import pytest

from conda_store.artifacts.installed_records import without_cache_paths

RECORD: dict[str, Any] = {
    "name": "made",
    "extracted_package_dir": '/cache/with "quotes" and \\ü/made-1.0-0',
    "package_tarball_full_path": "/cache/made-1.0-0.conda",
    "link": {"source": "/cache/made-1.0-0", "type": 1},
    "files": ["bin/made", "extracted_package_dir", "link"],
}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("absent", [None, "link", "extracted_package_dir", "files", "package_tarball_full_path"])
def test_paths_of_the_cache_go_and_all_else_stays(indent: int | None, order: int, absent: str | None) -> None:
    record = {key: RECORD[key] for key in list(RECORD)[::order] if key != absent}
    expected = {key: value for key, value in record.items() if not key.endswith(("_dir", "_path"))}
    if absent != "link":
        expected["link"] = {"source": "", "type": 1}
    found = without_cache_paths(json.dumps(record, indent=indent, ensure_ascii=False).encode())
    assert json.loads(found) == expected
    assert b"/cache" not in found
