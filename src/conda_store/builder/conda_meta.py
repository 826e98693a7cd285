"""`conda-meta`: what was asked for and when, readable by those who use the environment."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from conda_store.domain.channel import without_credentials
from conda_store.domain.lock import CondaPackage

HISTORY = "conda-meta/history"
_READABLE = 0o644  # rattler writes 0600
# conda reads the specs of its history only below a line that names a version
_HISTORY_VERSION = "24.1.0"


@dataclass(frozen=True)
class Clobbered:
    """A path that several packages contain: the environment has the one of `winner` (None where unknown)."""

    path: str
    loser: str
    winner: str | None


def finish_conda_meta(
    prefix: Path, packages: Sequence[CondaPackage], requested: Iterable[str], moment: datetime
) -> int:
    """Write the history of `moment`, let everybody read the records, and drop what marks the prefix as a cache.

    Returns the bytes of the files in `conda-meta`.
    """
    meta = prefix / "conda-meta"
    meta.mkdir(exist_ok=True)
    (prefix / HISTORY).write_text(history(packages, requested, moment), encoding="utf-8")
    with contextlib.suppress(FileNotFoundError):
        (prefix / "CACHEDIR.TAG").unlink()  # tools for backup and archives would leave the environment out
    size = 0
    with os.scandir(meta) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                Path(entry.path).chmod(_READABLE)
                size += entry.stat().st_size
    return size


def extracted_directory(prefix: Path, package: CondaPackage) -> Path | None:
    """Where the package's record says that it was linked from; None where there is no such record."""
    try:
        return Path(json.loads(_record_path(prefix, package).read_bytes())["extracted_package_dir"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def rename_in_records(prefix: Path, old: Path, new: Path, packages: Iterable[CondaPackage]) -> None:
    """Let the packages' records say that what was extracted below `old` is below `new`."""
    for package in packages:
        path = _record_path(prefix, package)
        with contextlib.suppress(FileNotFoundError):
            text = path.read_bytes()
            path.write_bytes(text.replace(_quoted(old) + b"/", _quoted(new) + b"/"))


def _record_path(prefix: Path, package: CondaPackage) -> Path:
    return prefix / "conda-meta" / f"{package.name}-{package.version}-{package.build}.json"


def _quoted(path: Path) -> bytes:
    """The beginning of a JSON string."""
    return json.dumps(str(path), ensure_ascii=False)[:-1].encode()


def history(packages: Sequence[CondaPackage], requested: Iterable[str], moment: datetime) -> str:
    """conda's history of one revision (UTC), from which `conda env export --from-history` takes what was asked for."""
    lines = [
        f"==> {moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} <==",
        "# cmd: conda-store build",
        f"# conda version: {_HISTORY_VERSION}",
        *(f"+{_distribution(package)}" for package in sorted(packages, key=lambda package: package.name)),
    ]
    if specs := list(requested):
        lines.append(f"# update specs: {specs!r}")
    return "\n".join(lines) + "\n"


def _distribution(package: CondaPackage) -> str:
    channel = without_credentials(package.channel).rstrip("/").removesuffix(f"/{package.subdir}")
    return f"{channel}/{package.subdir}::{package.name}-{package.version}-{package.build}"


def clobbered(prefix: Path) -> list[Clobbered]:
    """The paths where packages collided; costs nothing where none did."""
    root = prefix / "__clobbers__"
    if not root.is_dir():
        return []
    losses = []
    for directory, _, files in os.walk(root):
        for name in files:
            loser, _, path = Path(directory, name).relative_to(root).as_posix().partition("/")
            losses.append((path, loser))
    winners = _owners(prefix, {path for path, _ in losses})
    return [Clobbered(path, loser, winners.get(path)) for path, loser in sorted(losses)]


def _owners(prefix: Path, paths: set[str]) -> dict[str, str]:
    """Which package's record lists each path."""
    owners: dict[str, str] = {}
    for record in (prefix / "conda-meta").glob("*.json"):
        document = json.loads(record.read_bytes())
        owners.update(dict.fromkeys(paths & set(document["files"]), document["name"]))
    return owners
