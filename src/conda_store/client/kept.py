"""Environments that were downloaded to be run, kept in the user's cache directory."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from conda_store.client.address import parse_address, without_credentials
from conda_store.client.locking import locked
from conda_store.client.models import Build
from conda_store.client.unpacking import unpack
from conda_store.errors import CondaStoreError, ServerError

MAX_PREFIX = 255
MARK = ".conda-store-unpacked"

Fetch = Callable[[Path], object]


def kept_path() -> Path:
    """Where this user's environments are kept."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("conda-store", appauthor=False)) / "run"


class KeptEnvironments:
    """`<root>/<server>/<build id>-<digest>`: the digest tells builds apart that had one id, as after a new beginning.

    A prefix counts as soon as its mark is there, which is written last.
    """

    def __init__(self, root: Path, server_url: str) -> None:
        self.directory = root / _server_name(server_url)

    def prefix(self, build: Build) -> Path:
        digest = hashlib.sha256(build.identity.encode()).hexdigest()[:8]
        return self.directory / f"{build.id}-{digest}"

    def latest(self, build_id: int) -> Path | None:
        """The prefix last unpacked for this id, where there is one: good enough while the server is away."""
        marks = sorted(self.directory.glob(f"{build_id}-*/{MARK}"), key=lambda mark: mark.stat().st_mtime)
        return marks[-1].parent if marks else None

    def ensure(self, build: Build, fetch: Fetch, *, on_wait: Callable[[], None] = lambda: None) -> Path:
        """The prefix of the build, unpacked now if it was not; `fetch` puts its archive at the path that it is given.

        Of several processes that want the same build one fetches and the others wait, after a call of `on_wait`.

        Raises:
            ServerError: the archive is damaged, or what `fetch` raises.
            OSError: it cannot be written.
        """
        prefix = self.prefix(build)
        if (prefix / MARK).exists():
            return prefix
        _check_length(prefix)
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.directory / f"{prefix.name}.lock", on_wait=on_wait):
            if not (prefix / MARK).exists():
                _make(prefix, fetch)
        return prefix


@contextmanager
def passing_environment(fetch: Fetch) -> Iterator[Path]:
    """An unpacked environment that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="conda-store-run-") as directory:
        prefix = Path(directory) / "environment"
        _make(prefix, fetch)
        yield prefix


def _make(prefix: Path, fetch: Fetch) -> None:
    """Unpack beside, rename, let the environment rewrite its prefix, mark it."""
    archive = prefix.with_name(f"{prefix.name}.tar.gz")
    staging = prefix.with_name(f"{prefix.name}.staging")
    for leftover in (staging, prefix):  # of a process that was killed
        if leftover.exists():
            shutil.rmtree(leftover)
    try:
        fetch(archive)
        unpack(archive, staging)
        staging.rename(prefix)
        _relocate(prefix)
        (prefix / MARK).touch()
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        shutil.rmtree(prefix, ignore_errors=True)
        raise
    finally:
        archive.unlink(missing_ok=True)


def _relocate(prefix: Path) -> None:
    """Run the environment's `conda-unpack`, with its own Python where it has one."""
    if not (prefix / "bin" / "activate").exists():
        raise ServerError(
            "the archive holds no bin/activate, so it is no environment that can be run",
            hint="`conda-store download --artifact archive` gets it as it is.",
        )
    program = prefix / "bin" / "conda-unpack"
    if not program.exists():
        return
    python = prefix / "bin" / "python"
    with program.open("rb") as file:
        is_script_of_python = b"python" in file.readline()
    interpreter = [str(python if python.exists() else sys.executable)] if is_script_of_python else []
    outcome = subprocess.run(
        [*interpreter, str(program)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    if outcome.returncode != 0:
        text = outcome.stdout.decode(errors="replace").strip()
        raise ServerError(f"the environment's conda-unpack failed with status {outcome.returncode}: {text[-2000:]}")


def _check_length(prefix: Path) -> None:
    if len(str(prefix)) > MAX_PREFIX:
        raise CondaStoreError(
            f"{prefix} is longer than the {MAX_PREFIX} characters that a prefix may have",
            hint="Choose a shorter cache directory with XDG_CACHE_HOME.",
        )


def _server_name(url: str) -> str:
    """A directory's name for a server: readable, and one of its own for every address."""
    address = without_credentials(parse_address(url))
    readable = re.sub(r"[^A-Za-z0-9.-]+", "_", address.partition("://")[2])[:60]
    return f"{readable}-{hashlib.sha256(address.encode()).hexdigest()[:8]}"
