"""What packages list as their files, in both forms."""

from __future__ import annotations

import json

import pytest

from conda_store.domain.package_paths import path_entries


def entries(**info: str) -> list[dict[str, object]]:
    files = {name.replace("_json", ".json"): text.encode("latin-1") for name, text in info.items()}
    return path_entries(files.get)


def test_paths_json_comes_before_the_older_files() -> None:
    listed = json.dumps({"paths": [{"_path": "a"}, {"_path": "b", "path_type": "softlink"}]})
    found = entries(paths_json=listed, files="other\n", has_prefix="other\n")
    assert found == [{"_path": "a", "path_type": "hardlink"}, {"_path": "b", "path_type": "softlink"}]


def test_of_an_old_package_nothing_tells_which_are_links() -> None:
    has_prefix = '/old/placeholder binary lib/library.so\nbin/script\n"/a b" text "share/with space"\n'
    found = entries(files="lib/library.so\nbin/script\nshare/with space\n\nshare/plain\n", has_prefix=has_prefix)
    assert found == [
        {"_path": "lib/library.so", "prefix_placeholder": "/old/placeholder", "file_mode": "binary"},
        {"_path": "bin/script", "prefix_placeholder": "/opt/anaconda1anaconda2anaconda3", "file_mode": "text"},
        {"_path": "share/with space", "prefix_placeholder": "/a b", "file_mode": "text"},
        {"_path": "share/plain"},
    ]
    assert entries(files="a\n") == [{"_path": "a"}]


@pytest.mark.parametrize(
    "info",
    [
        {},
        {"paths_json": "[]"},
        {"paths_json": "{}"},
        {"paths_json": '{"paths": {}}'},
        {"paths_json": '{"paths": ["a"]}'},
        {"paths_json": '{"paths": [{"_path": "a", "path_type": null}]}'},
        {"paths_json": "nonsense"},
        {"files": "\xff"},
    ],
)
def test_what_cannot_be_read_is_an_error_that_is_expected(info: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        entries(**info)
