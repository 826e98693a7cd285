"""Hand-made packages: the bytes written, and what an installer makes of them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tools.channel.tiny import PLACEHOLDER, Directory, File, Symlink, index, write_package


def repodata(channel: Path, subdir: str = "noarch") -> dict[str, dict[str, object]]:
    document = json.loads((channel / subdir / "repodata.json").read_text())
    packages: dict[str, dict[str, object]] = document["packages.conda"]
    return packages


def test_placeholder_has_the_length_installers_expect() -> None:
    assert len(PLACEHOLDER) == 255


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (
        write_package(tmp_path / directory, "tiny", "1.0", files={"share/a": "a", "share/b": Symlink("a")}).read_bytes()
        for directory in ("one", "two")
    )
    assert first == second


def test_record_says_what_was_asked_for(tmp_path: Path) -> None:
    write_package(
        tmp_path,
        "tiny",
        "1.0",
        build="py_3",
        build_number=3,
        depends=["python >=3.11"],
        constrains=["other <2"],
        noarch="python",
        license="MIT",
        timestamp=datetime(2024, 5, 1, tzinfo=UTC),
        extra={"license_family": "MIT", "track_features": "slow"},
    )
    index(tmp_path)
    record = repodata(tmp_path)["tiny-1.0-py_3.conda"]
    expected = {
        "build_number": 3,
        "constrains": ["other <2"],
        "depends": ["python >=3.11"],
        "license": "MIT",
        "license_family": "MIT",
        "noarch": "python",
        "timestamp": 1714521600000,
        "track_features": "slow",
    }
    assert {key: record[key] for key in expected} == expected


def test_index_writes_every_kind_of_repodata_also_inside_an_event_loop(tmp_path: Path) -> None:
    write_package(tmp_path, "tiny", "1.0", subdir="osx-arm64")

    async def inside() -> None:
        index(tmp_path)

    asyncio.run(inside())
    for subdir in ("noarch", "osx-arm64"):
        for name in ("repodata.json", "repodata.json.zst", "repodata_shards.msgpack.zst"):
            assert (tmp_path / subdir / name).is_file()


def test_installed_files(tmp_path: Path, install_from: Callable[..., list[str]]) -> None:
    channel, prefix = tmp_path / "channel", tmp_path / "env"
    write_package(
        channel,
        "tiny",
        "1.0",
        subdir="linux-64",
        files={
            "bin/tiny": f"#!/bin/sh\necho {PLACEHOLDER}\n",
            "share/tiny.bin": b"\0" + PLACEHOLDER.encode() + b"/lib\0end",
            "share/link": Symlink("tiny.bin"),
            "share/mode": File(b"x", 0o755),
            "share/empty": Directory(),
            "share/naïve": "",
        },
    )
    script = '#!/bin/sh\necho ran >"$PREFIX/log"\n'
    write_package(channel, "app", "1.0", depends=["tiny"], link_scripts={"post-link": script})
    index(channel)
    assert install_from(channel, prefix, "app") == ["app", "tiny"]
    assert (prefix / "bin/tiny").read_text() == f"#!/bin/sh\necho {prefix}\n"
    rewritten = (prefix / "share/tiny.bin").read_bytes()
    assert rewritten.startswith(b"\0" + os.fsencode(prefix) + b"/lib\0") and rewritten.endswith(b"\0end")
    assert len(rewritten) == 255 + 9
    assert (prefix / "share/link").readlink() == Path("tiny.bin")
    assert os.access(prefix / "share/mode", os.X_OK) and os.access(prefix / "bin/tiny", os.X_OK)
    assert (prefix / "share/naïve").is_file()
    assert (prefix / "log").read_text() == "ran\n"
