"""Hand-made packages and channels for tests, in milliseconds.

write_package(channel, "tiny-lib", "1.0", files={"share/tiny.txt": "hello\\n"})
write_package(channel, "app", "2.0", depends=["tiny-lib >=1"], noarch="python", entry_points=["app = app:main"])
index(channel)
channel.as_uri()  # a channel that conda, mamba and rattler read
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from rattler.index import index_fs

from .conda_package import EPOCH, PLACEHOLDER, Directory, Entry, File, Package, Symlink, write_conda

__all__ = ["PLACEHOLDER", "Directory", "File", "Symlink", "index", "write_package"]


def write_package(
    channel_dir: Path,
    name: str,
    version: str,
    *,
    files: Mapping[str, str | bytes | Entry] | None = None,
    depends: Iterable[str] = (),
    constrains: Iterable[str] = (),
    subdir: str = "noarch",
    noarch: str | None = None,
    build: str = "0",
    build_number: int = 0,
    entry_points: Iterable[str] = (),
    timestamp: datetime | int | None = None,
    license: str | None = None,
    link_scripts: Mapping[str, str] | None = None,
    about: Mapping[str, object] | None = None,
    extra: Mapping[str, object] | None = None,
) -> Path:
    """Write `channel_dir/subdir/name-version-build.conda` and return its path. Call `index` once all are written.

    files: path in the prefix -> text, bytes, or a `File` (with a mode), `Symlink` or `Directory`. What lies in bin/ is
        executable. `PLACEHOLDER` in the content becomes the prefix at installation. For noarch="python" modules go to
        site-packages/ and scripts to python-scripts/.
    noarch: "generic", "python" or None; in the subdir noarch, None means "generic".
    entry_points: "command = module:function", for noarch="python" only.
    timestamp: aware datetime or seconds since 1970; 2020-01-01 if None.
    link_scripts: "post-link", "pre-unlink" or "pre-link" -> shell script, put where the installer looks for it
        (Scripts/*.bat for win-64).
    extra: fields of index.json to add or to replace, such as track_features, license_family or arch.
    """
    tree = {path: _entry(path, content) for path, content in (files or {}).items()}
    for action, script in (link_scripts or {}).items():
        path = f"Scripts/.{name}-{action}.bat" if subdir.startswith("win-") else f"bin/.{name}-{action}.sh"
        tree[path] = File(script.encode(), 0o755)
    package = Package(
        name=name,
        version=version,
        build=build,
        build_number=build_number,
        subdir=subdir,
        noarch=noarch or ("generic" if subdir == "noarch" else None),
        depends=tuple(depends),
        constrains=tuple(constrains),
        timestamp=_seconds(timestamp),
        license=license,
        entry_points=tuple(entry_points),
        about=about or {},
        extra=extra or {},
    )
    return write_conda(Path(channel_dir) / subdir / package.file_name, package, tree, level=1)


def index(channel_dir: Path) -> None:
    """Write repodata.json, its .zst and the sharded repodata of every subdir, also inside an event loop."""
    channel_dir = Path(channel_dir)
    (channel_dir / "noarch").mkdir(parents=True, exist_ok=True)
    failure: list[BaseException] = []

    async def write() -> None:
        await index_fs(channel_dir, write_zst=True, write_shards=True, force=True, max_parallel=4)

    def run() -> None:
        try:
            asyncio.run(write())
        except BaseException as error:
            failure.append(error)

    # a thread, because asyncio.run refuses to work in a thread whose event loop runs already
    thread = threading.Thread(target=run, name="index-channel")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]


def _entry(path: str, content: str | bytes | Entry) -> Entry:
    if isinstance(content, str):
        content = content.encode()
    if isinstance(content, bytes):
        return File(content, 0o755 if path.startswith(("bin/", "python-scripts/")) else 0o644)
    return content


def _seconds(timestamp: datetime | int | None) -> int:
    if timestamp is None:
        return EPOCH
    return int(timestamp.timestamp()) if isinstance(timestamp, datetime) else timestamp
