"""The pip part of a lock: installed by uv into the staging directory, then made to fit the final prefix.

uv writes the path of the interpreter that it works with into scripts. Since that is the staging directory's, the
scripts are rewritten to the prefix that the directory will be renamed to, and the RECORD files with them. So the
prefix never exists half done.
"""

from __future__ import annotations

import asyncio
import base64
import csv
import hashlib
import io
import json
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urldefrag
from uuid import uuid4

from conda_store.builder.authentication import uv_variables
from conda_store.builder.child_process import Ended, child_environment, run_child
from conda_store.builder.failures import disk_full, redacted, says_disk_full
from conda_store.builder.forwarding import refused
from conda_store.builder.options import BuilderOptions
from conda_store.builder.package_cache import PackageCache
from conda_store.builder.ports import InstallRequest, Reporter
from conda_store.builder.pyc import EnvironmentPython, compile_in_place
from conda_store.builder.wheels import refuse_sources
from conda_store.domain.lock import PyPIPackage
from conda_store.domain.specification import parse_pip_option
from conda_store.errors import BuildFailed, PackageUnavailable, PipFailed

_LONGEST_SHEBANG = 127  # bytes; longer ones are cut by Linux before 5.1
_UNREACHABLE = (
    "error sending request", "operation timed out", "connection refused", "connection reset", "dns error",
    "failed to lookup address", "503 service unavailable", "502 bad gateway", "500 internal server error",
    "504 gateway timeout", "429 too many requests", "network connectivity is disabled",
)  # fmt: skip


@dataclass(frozen=True)
class PipInstalled:
    """What the pip part added; `size` in bytes.

    `own` are the environment's own files among it, `modules` the Python sources; both relative to the prefix.
    """

    files: int = 0
    size: int = 0
    own: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


async def install_pip_part(
    request: InstallRequest,
    python: EnvironmentPython | None,
    cache: PackageCache,
    options: BuilderOptions,
    reporter: Reporter,
) -> PipInstalled:
    """Install exactly the locked distributions into `request.staging`, each checked against its hashes.

    Raises:
        PipFailed: uv could not install them; its last lines are in the message.
        PackageUnavailable: the index cannot be reached.
        DiskFull: for want of space.
    """
    if python is None:
        raise PipFailed(
            "the environment has pip packages but no python to install them into",
            hint="Add `python` (and `pip`) to the dependencies.",
        )
    packages = request.lock.pypi
    if options.only_wheels:
        refuse_sources((package.name, package.url) for package in packages)
    reporter.log(f"Installing {len(packages)} pip packages with uv")
    cache.uv.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="conda-store-pip-") as folder:
        requirements = Path(folder, "requirements.txt")
        text = "".join(f"{requirement_line(package)}\n" for package in packages)
        await asyncio.to_thread(requirements.write_text, text, encoding="utf-8")
        ended = await _run_uv(request, requirements, cache, options, reporter)
    if ended.status != 0:
        raise refused("\n".join(ended.tail), options.addresses) or _failure(ended, request)
    installed = await asyncio.to_thread(relocate, request.staging, request.prefix, python.site_packages)
    if not request.compiles_pyc:
        return installed
    compiled, written = await compile_in_place(installed.modules, request.staging, request.prefix, python)
    return PipInstalled(
        installed.files + compiled.files, installed.size + compiled.size, (*installed.own, *written), installed.modules
    )


def requirement_line(package: PyPIPackage) -> str:
    """The line of a requirements file that allows just this file, or one with the package's hashes."""
    hashes = "".join(f" --hash={value}" for value in package.hashes)
    if not package.url:
        return f"{package.name}=={package.version}{hashes}"
    url, fragment = urldefrag(package.url)
    kept = "&".join(part for part in fragment.split("&") if part.startswith(("subdirectory=", "egg=")))
    # uv puts variables of its environment where it finds `${...}`
    return f"{package.name} @ {url}{'#' + kept if kept else ''}".replace("${", "%24{") + hashes


async def _run_uv(
    request: InstallRequest, requirements: Path, cache: PackageCache, options: BuilderOptions, reporter: Reporter
) -> Ended:
    command: list[str | Path] = [
        options.uv, "pip", "install", "--python", request.staging / "bin" / "python", "--no-deps", "--no-config",
        "--break-system-packages", "--no-progress", "--color", "never", "--link-mode", "hardlink",
        "--cache-dir", cache.uv, "--requirement", requirements,
    ]  # fmt: skip
    if all(package.hashes for package in request.lock.pypi):
        command.append("--require-hashes")
    if options.only_wheels:
        command.append("--no-build")
    environment = child_environment(
        request.staging,
        CONDA_PREFIX=str(request.staging),
        # what Python says of its own paths is the final prefix, which does not exist yet
        CPATH=str(request.staging / "include"),
        LIBRARY_PATH=str(request.staging / "lib"),
        UV_PYTHON_DOWNLOADS="never",
        PYTHONDONTWRITEBYTECODE="1",  # it would name the staging directory
        **index_variables(request.pip_options, options),
    )
    try:
        with uv_variables(options) as (variables, descriptors):
            return await run_child(
                command,
                environment=environment | variables,
                directory=request.staging,
                on_line=lambda line: reporter.log(f"uv: {redacted(line)}"),
                descriptors=descriptors,
                timeout=options.pip_timeout,
            )
    except TimeoutError:
        raise PipFailed(
            f"installing the pip packages took longer than {options.pip_timeout:g} seconds",
            hint="An index may be slow, or a package may take long to compile; an operator can raise `pip_timeout`.",
        ) from None
    except OSError as error:
        raise PipFailed(f"uv cannot be started: {error}", hint="Install the `uv` distribution.") from error


def index_variables(pip_options: Iterable[str], options: BuilderOptions) -> dict[str, str]:
    """uv's variables for where packages come from: variables, since other users can read a command line."""
    index = options.default_index_url
    extra: list[str] = []
    trusted: list[str] = []
    for name, value in map(parse_pip_option, pip_options):
        if name == "--index-url":
            index = value
        elif name == "--extra-index-url":
            extra.append(value)
        elif name == "--trusted-host":
            trusted.append(value)
    variables = {
        "UV_DEFAULT_INDEX": index or "",
        "UV_INDEX": " ".join(extra),
        "UV_INSECURE_HOST": " ".join(trusted),
        "UV_FIND_LINKS": ",".join(options.find_links),
        "UV_NO_INDEX": "1" if index == "" else "",
        "UV_OFFLINE": "1" if options.is_offline else "",
        "UV_HTTP_TIMEOUT": f"{options.download_timeout:.0f}",
    }
    return {name: value for name, value in variables.items() if value}


def _failure(ended: Ended, request: InstallRequest) -> BuildFailed:
    text = redacted("\n".join(ended.tail)) or f"uv ended with status {ended.status}"
    lower = text.lower()
    if says_disk_full(lower):
        return disk_full(request.staging)
    if any(mark in lower for mark in _UNREACHABLE):
        return PackageUnavailable(
            f"the pip packages cannot be downloaded:\n{text}", hint="The index may be down; the build is tried again."
        )
    return PipFailed(f"installing the pip packages failed:\n{text}", hint="See uv's lines in the log.")


# --- from the staging directory to the prefix ----------------------------------------------------------------


def relocate(staging: Path, prefix: Path, site_packages: str) -> PipInstalled:
    """Let everything that uv installed in `staging` name `prefix`, and guard what is shared with uv's cache."""
    files = size = 0
    own: list[str] = []
    modules: list[str] = []
    for information in sorted((staging / site_packages).glob("*.dist-info")):
        installer = information / "INSTALLER"
        if installer.is_file() and installer.read_text(errors="replace").strip() == "uv":
            rows = _relocate_distribution(staging, prefix, information)
            for path in _installed_files(staging, information, rows):
                status = path.lstat()
                inside = path.relative_to(staging).as_posix()
                files += 1
                size += status.st_size
                if path.suffix == ".py" and inside.startswith(site_packages):
                    modules.append(inside)
                if status.st_nlink > 1:
                    path.chmod(stat.S_IMODE(status.st_mode) & ~0o222)
                else:
                    own.append(inside)
    return PipInstalled(files, size, tuple(own), tuple(modules))


def _relocate_distribution(staging: Path, prefix: Path, information: Path) -> list[list[str]]:
    """Rewrite the distribution's scripts and its RECORD; returns the rows of that."""
    record = information / "RECORD"
    rows = list(csv.reader(io.StringIO(record.read_text(encoding="utf-8")))) if record.exists() else []
    is_changed = False
    kept = []
    for row in rows:
        path = Path(os.path.normpath(information.parent / row[0]))
        if path.name == "direct_url.json" and path.parent == information and _is_plain_file(path):
            # the lock names files of an index by their URL: to users these are ordinary releases
            path.unlink(missing_ok=True)
            is_changed = True
            continue
        if path.parent == staging / "bin" and (data := relocated_script(path, staging, prefix)) is not None:
            _replace(path, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            row = [row[0], f"sha256={digest}", str(len(data))]
            is_changed = True
        kept.append(row)
    if is_changed:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(kept)
        _replace(record, text.getvalue().encode())
    return kept


def _is_plain_file(path: Path) -> bool:
    try:
        return "archive_info" in json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False


def relocated_script(path: Path, staging: Path, prefix: Path) -> bytes | None:
    """The script's text with `prefix` for `staging`; None where it is no text that names it."""
    if path.is_symlink() or not path.is_file():
        return None
    data = path.read_bytes()
    old, new = os.fsencode(staging), os.fsencode(prefix)
    if old not in data or b"\0" in data:
        return None
    first, newline, rest = data.partition(b"\n")
    if first.startswith(b"#!" + old):
        return _shebang(first.replace(old, new)) + newline + rest.replace(old, new)
    return data.replace(old, new)


def _shebang(line: bytes) -> bytes:
    """The line itself, or where it is too long for the kernel, a shell that executes the interpreter."""
    if len(line) <= _LONGEST_SHEBANG:
        return line
    return b"#!/bin/sh\n'''exec' '" + line.removeprefix(b"#!") + b"' \"$0\" \"$@\"\n' '''"


def _replace(path: Path, data: bytes) -> None:
    """New content under the same name and mode; what other names the old content has keeps it."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    temporary.write_bytes(data)
    temporary.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IWUSR)
    temporary.replace(path)


def _installed_files(staging: Path, information: Path, rows: Sequence[Sequence[str]]) -> Iterable[Path]:
    for row in rows:
        path = Path(os.path.normpath(information.parent / row[0]))
        if path.is_relative_to(staging) and path.is_file() and not path.is_symlink():
            yield path
