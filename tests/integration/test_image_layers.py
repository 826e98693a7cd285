"""Layers of real packages, unpacked one over the other, are what an installer would have laid out there."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import tarfile
from collections.abc import Mapping, Set
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import rattler

from conda_store.artifacts.oci.own_layer import write_plain_layer
from conda_store.artifacts.oci.package_layer import write_package_layer
from conda_store.builder.activation import STATE, state
from conda_store.builder.conda_meta import HISTORY, history
from conda_store.builder.engine import RattlerBuilder
from conda_store.builder.ports import InstallRequest, SolveRequest
from conda_store.domain.image import IMAGE_PREFIX, image_python, plan_layers
from conda_store.domain.lock import CondaPackage, PlatformLock
from conda_store.domain.platform import Platform, current_platform
from conda_store.domain.specification import Specification, environment_variables
from conda_store.services.solving import Silent
from tests.unpacking import unpack_all
from tools.channel.tiny import index

pytestmark = pytest.mark.channel
SMALL = ("python=3.11",)
MEDIUM = (
    "python=3.13", "numpy", "pandas", "ipykernel", "odd-prefix", "odd-unicode", "odd-symlink", "odd-long-path",
    "odd-modes", "odd-python", "odd-activate", "odd-post-link", "odd-empty-directory", "odd-no-files", "odd-licensed",
)  # fmt: skip
# what only the installer can tell, and what is the environment's own
_NOT_OF_PACKAGES = {"CACHEDIR.TAG", "conda-meta/history"}


class Environment:
    """An environment that rattler made for the image's prefix, and the packages that it was made of."""

    def __init__(self, channel: Path, root: Path, specs: tuple[str, ...]) -> None:
        self.prefix = root / "prefix"
        records = asyncio.run(self._install(channel, root, specs))
        self.lock = PlatformLock(Platform(current_platform()), tuple(locked(record) for record in records))
        self.directories = {
            package.name: Path(self._record(package)["extracted_package_dir"]) for package in self.lock.conda
        }

    async def _install(self, channel: Path, root: Path, specs: tuple[str, ...]) -> list[rattler.RepoDataRecord]:
        records = await rattler.solve(
            [rattler.Channel(channel.as_uri())],
            [rattler.MatchSpec(spec) for spec in specs],
            gateway=rattler.Gateway(cache_dir=root / "repodata"),
            platforms=[str(current_platform()), "noarch"],
            virtual_packages=rattler.VirtualPackage.detect(),
        )
        await rattler.install(
            records, target_prefix=self.prefix, alternative_target_prefix=Path(IMAGE_PREFIX), cache_dir=root / "pkgs"
        )
        return records

    def _record(self, package: CondaPackage) -> dict[str, str]:
        name = f"{package.name}-{package.version}-{package.build}.json"
        record: dict[str, str] = json.loads((self.prefix / "conda-meta" / name).read_bytes())
        return record


def locked(record: rattler.RepoDataRecord) -> CondaPackage:
    kind = "python" if record.noarch.python else "generic" if record.noarch.generic else None
    return CondaPackage(
        name=record.name.normalized,
        version=str(record.version),
        build=str(record.build),
        subdir=record.subdir,
        url=record.url,
        channel=record.channel or "",
        build_number=record.build_number,
        sha256=record.sha256.hex() if record.sha256 else None,
        size=record.size,
        depends=tuple(record.depends),
        noarch=kind,
    )


def unpacked(
    lock: PlatformLock, directories: Mapping[str, Path], root: Path, budget: int, own: Mapping[str, bytes] | None = None
) -> Path:
    python = image_python(lock)
    blobs = []
    for plan in plan_layers(lock, budget):
        target = io.BytesIO()
        write_package_layer(plan, directories, python, target)
        blobs.append(target)
    if own is not None:
        target = io.BytesIO()
        write_plain_layer(own, target, has_scripts=False)
        blobs.append(target)
    for blob in blobs:
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(blob.getvalue()))) as layer:
            unpack_all(layer, root)
    return root / IMAGE_PREFIX.strip("/")


def contents(root: Path, ignored: Set[str] = _NOT_OF_PACKAGES) -> dict[str, object]:
    """Directories, links' targets; files' bytes, whether they may be run and as whom, and their time (of commands,
    which have none: no time)."""
    found: dict[str, object] = {}
    for directory, folders, names in os.walk(root):
        for file in (Path(directory, name) for name in [*names, *folders]):
            path = file.relative_to(root).as_posix()
            if path in ignored:
                continue
            if file.is_symlink():
                found[path] = str(file.readlink())
            elif file.is_dir():
                found[path] = "a directory"
            elif path.startswith("conda-meta/") and path.endswith(".json"):
                found[path] = without_origin(json.loads(file.read_bytes()))
            else:
                status = file.stat()
                time = None if path.startswith(("bin/", "conda-meta/")) else int(status.st_mtime)
                found[path] = (file.read_bytes(), oct(status.st_mode & 0o7100), time)
    return found


def without_origin(record: dict[str, Any]) -> dict[str, object]:
    kept = ("name", "version", "build", "build_number", "subdir", "url", "channel", "fn", "sha256", "depends")
    return {key: record.get(key) for key in kept} | {"files": sorted(record["files"])}


@pytest.mark.parametrize(("specs", "budget"), [(SMALL, 94), (MEDIUM, 94), (MEDIUM, 12)])
def test_layers_are_what_the_installer_lays_out(
    real_channel: Path, tmp_path: Path, specs: tuple[str, ...], budget: int
) -> None:
    environment = Environment(real_channel, tmp_path, specs)
    theirs = contents(environment.prefix)
    ours = contents(unpacked(environment.lock, environment.directories, tmp_path / "root", budget))
    assert len(theirs) > 1000
    assert set(theirs) == set(ours)
    assert [path for path in theirs if theirs[path] != ours[path]] == []


def test_what_archives_hold_besides_plain_files(tmp_path: Path) -> None:
    """Hard links are files of their own; bits that make others of who runs a file, and empty directories, are left."""
    members = [
        (member("bin/one", 0o4755), b"#!/bin/sh\n"),
        (member("bin/two", 0o4755, tarfile.LNKTYPE, "bin/one"), b""),
        (member("share/empty", 0o755, tarfile.DIRTYPE), b""),
    ]
    paths = [{"_path": f"bin/{name}", "path_type": "hardlink"} for name in ("one", "two")]
    info = {
        "index.json": {
            "name": "linked",
            "version": "1",
            "build": "0",
            "build_number": 0,
            "depends": [],
            "subdir": "noarch",
        },
        "paths.json": {"paths_version": 1, "paths": paths},
    }
    archive = tmp_path / "channel" / "noarch" / "linked-1-0.tar.bz2"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:bz2") as tar:
        for name, document in info.items():
            members.append((member(f"info/{name}", 0o644), json.dumps(document).encode()))
        for header, data in members:
            header.size = len(data)
            tar.addfile(header, io.BytesIO(data))
    index(tmp_path / "channel")
    environment = Environment(tmp_path / "channel", tmp_path, ("linked",))
    theirs = contents(environment.prefix)
    ours = contents(unpacked(environment.lock, environment.directories, tmp_path / "root", 94))
    assert ours == theirs
    assert ours["bin/one"] == ours["bin/two"] == (b"#!/bin/sh\n", "0o100", None)
    assert "share" not in ours


def member(name: str, mode: int, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.mode, header.type, header.linkname, header.mtime = mode, kind, target, 1_500_000_000
    return header


def test_an_image_of_the_lock_is_what_the_builder_lays_out(real_channel: Path, tmp_path: Path) -> None:
    """Without the environment: history, variables and all, at a prefix that no file names."""
    specification = Specification("all", (real_channel.as_uri(),), MEDIUM, variables={"COLOUR": "blue", "N": 3})
    variables = environment_variables(specification)
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)

    async def made() -> tuple[PlatformLock, Mapping[str, Path]]:
        builder = RattlerBuilder(tmp_path / "cache")
        platform = Platform(current_platform())
        found = (await builder.solve(SolveRequest(specification, (platform,), ""), Silent())).platforms[0]
        request = InstallRequest(
            found, tmp_path / "staging", tmp_path / "prefix", MEDIUM, variables, moment=moment, trash=tmp_path / "trash"
        )
        await builder.install(request, Silent())
        directories = await builder.extracted(found, tmp_path / "scratch", Silent())
        await builder.close()
        return found, directories

    lock, directories = asyncio.run(made())
    own = {HISTORY: history(lock.conda, MEDIUM, moment).encode(), STATE: state(variables)}
    theirs = contents(tmp_path / "prefix", frozenset())
    ours = contents(unpacked(lock, directories, tmp_path / "root", 94, own), frozenset())
    assert set(theirs) == set(ours)
    prefix, target = str(tmp_path / "prefix").encode(), IMAGE_PREFIX.encode()
    different = [path for path in theirs if theirs[path] != ours[path]]
    assert own.keys() <= theirs.keys() - set(different)
    # compiled Python is what packages bring: nobody compiles noarch ones, unless the environment is to have that
    compiled = {path for path in ours if path.endswith(".pyc")}
    assert "lib/python3.13/__pycache__/os.cpython-313.pyc" in compiled
    assert "lib/python3.13/site-packages/odd_python/__init__.py" in ours
    assert not {path for path in compiled if "/odd_python/" in path}
    # all that differs is where the prefix is written
    for path in different:
        assert prefix in files_of(tmp_path / "prefix", path), path
        assert target in files_of(tmp_path / "root" / IMAGE_PREFIX.strip("/"), path), path


def files_of(root: Path, path: str) -> bytes:
    return (root / path).read_bytes()
