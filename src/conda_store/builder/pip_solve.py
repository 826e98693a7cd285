"""The pip part of a specification, solved by uv against the conda part: every file with its URL and hash."""

from __future__ import annotations

import shutil
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from conda_store.builder.authentication import uv_variables
from conda_store.builder.child_process import child_environment, run_child
from conda_store.builder.failures import disk_full, redacted, says_disk_full
from conda_store.builder.forwarding import refused
from conda_store.builder.matchspecs import parse_requirement
from conda_store.builder.options import BuilderOptions
from conda_store.builder.ports import Reporter
from conda_store.builder.stub_wheels import write_stub
from conda_store.builder.wheels import ONLY_WHEELS, best_wheel, refuse_sources, uv_platform
from conda_store.domain.build import Phase, Progress
from conda_store.domain.channel import without_credentials
from conda_store.domain.lock import CondaPackage, PlatformLock, PyPIPackage
from conda_store.domain.specification import Specification, parse_pip_option
from conda_store.errors import PackageUnavailable, PipFailed, Unsolvable

# conda's names of distributions that PyPI knows under another
_PYPI_NAMES = {
    "dask-core": "dask", "distributed-core": "distributed", "importlib_metadata": "importlib-metadata",
    "matplotlib-base": "matplotlib", "msgpack-python": "msgpack", "opencv": "opencv-python",
    "py-opencv": "opencv-python", "py-xgboost": "xgboost", "pyqt": "pyqt5", "python-build": "build",
    "python-dateutil": "python-dateutil", "python-flatbuffers": "flatbuffers", "python-graphviz": "graphviz",
    "python-kubernetes": "kubernetes", "python-lmdb": "lmdb", "python-tzdata": "tzdata", "pytorch": "torch",
    "seaborn-base": "seaborn", "tensorflow-base": "tensorflow", "typing_extensions": "typing-extensions",
}  # fmt: skip
_UNREACHABLE = (
    "request failed", "failed to fetch", "error sending request", "could not connect", "connection", "timed out",
    "dns error", "503", "502", "500 internal",
)  # fmt: skip


async def solve_pip(
    specification: Specification,
    locks: Sequence[PlatformLock],
    cache: Path,
    options: BuilderOptions,
    reporter: Reporter,
    cooldown: timedelta = timedelta(0),
) -> list[PlatformLock]:
    """The locks with their pip parts; what conda provides is kept at conda's version and left out. `cache` is uv's.

    Files that were uploaded within the cooldown, or of which the index does not say when, are left out.

    Raises:
        Unsolvable: no versions fit, or there is no Python to fit them to.
        PackageUnavailable: an index cannot be reached.
        PipFailed: uv cannot do it, or took too long.
        DiskFull: for want of space.
    """
    solved = []
    if options.only_wheels:  # uv would fetch a repository before it looks whether it may build it
        direct = map(parse_requirement, specification.pip_requirements)
        refuse_sources((requirement.name, requirement.url or "") for requirement in direct)
    for lock in locks:  # one after the other: the second finds most of the answers in uv's cache
        reporter.log(f"solving the pip part for {lock.platform.value}")
        reporter.progress(Progress(Phase.SOLVING))
        packages = await _solve(specification, lock, cache, options, reporter, cooldown)
        reporter.log(f"solved the pip part for {lock.platform.value}: {len(packages)} packages")
        solved.append(replace(lock, pypi=packages))
    return solved


async def _solve(
    specification: Specification,
    lock: PlatformLock,
    cache: Path,
    options: BuilderOptions,
    reporter: Reporter,
    cooldown: timedelta,
) -> tuple[PyPIPackage, ...]:
    python = lock.package("python")
    if python is None:
        raise Unsolvable(
            f"The pip part needs Python, and the conda part for {lock.platform.value} has none",
            hint="Add `python` to the dependencies.",
        )
    provided = provided_by_conda(lock.conda)
    with tempfile.TemporaryDirectory(prefix="conda-store-pip-") as name:
        directory = Path(name)
        requirements = directory / "requirements.in"
        requirements.write_text("\n".join(_requirement_lines(specification, options)) + "\n", encoding="utf-8")
        constraints = directory / "constraints.txt"
        stubs = (write_stub(directory, name, version) for name, version in provided.items())
        constraints.write_text("".join(f"{stub.name.split('-')[0]} @ {stub.as_uri()}\n" for stub in stubs))
        answer = directory / "pylock.toml"
        command: list[str | Path] = [
            options.uv, "pip", "compile", requirements, "--constraints", constraints, "--output-file", answer,
            "--format", "pylock.toml", "--generate-hashes", "--no-header", "--quiet", "--color", "never",
            "--no-config", "--no-python-downloads", "--python", sys.executable,
            "--python-version", python.version, "--python-platform", uv_platform(lock.platform),
            "--cache-dir", cache, *_flags(specification, options),
        ]  # fmt: skip
        if cooldown:
            command += ["--exclude-newer", (datetime.now(UTC) - cooldown).isoformat(timespec="seconds")]
        for name in provided:
            command += ["--no-emit-package", name]
        lines = await _run(command, directory, options, reporter)
        if not answer.exists():
            text = "\n".join(lines)
            if says_disk_full(text.lower()):
                raise disk_full(cache)
            refusal = refused(text, options.addresses)
            raise refusal or _failure(lines, specification, lock, provided, cooldown, only_wheels=options.only_wheels)
        document = tomllib.loads(answer.read_text(encoding="utf-8"))
    packages = [_package(item, lock, python.version) for item in document.get("packages", [])]
    return tuple(sorted(packages, key=lambda package: package.name))


async def _run(
    command: Sequence[str | Path], directory: Path, options: BuilderOptions, reporter: Reporter
) -> list[str]:
    if shutil.which(options.uv) is None:
        raise PipFailed(f"There is no program {options.uv.name}", hint="The service needs uv; ask its operator.")
    lines: list[str] = []

    def on_line(line: str) -> None:
        text = redacted(line).replace(str(directory), "")
        lines.append(text)
        reporter.log(text)

    try:
        with uv_variables(options) as (variables, descriptors):
            await run_child(
                command,
                environment=child_environment(directory, UV_HTTP_RETRIES=str(options.download_retries), **variables),
                directory=directory,
                on_line=on_line,
                descriptors=descriptors,
                timeout=options.pip_timeout,
            )
    except TimeoutError as error:
        raise PipFailed(
            f"The pip part was not solved within {options.pip_timeout:g} seconds",
            hint="Pin its packages, or see whether the package index answers.",
        ) from error
    except OSError as error:
        raise PipFailed(
            f"uv cannot be started: {error.strerror}", hint="The service needs the uv program; ask its operator."
        ) from error
    return lines


def _requirement_lines(specification: Specification, options: BuilderOptions) -> list[str]:
    """Requirements and indexes. In a file, since a command line can be read by everybody on the machine."""
    given = [parse_pip_option(line) for line in specification.pip_options]
    lines = [f"{name} {value}" for name, value in given if name != "--trusted-host"]
    if options.default_index_url and "--index-url" not in dict(given):
        lines.append(f"--index-url {options.default_index_url}")
    return [*lines, *specification.pip_requirements]


def _flags(specification: Specification, options: BuilderOptions) -> list[str]:
    given = [parse_pip_option(line) for line in specification.pip_options]
    flags = [f"--find-links={link}" for link in options.find_links]
    if options.default_index_url == "" and "--index-url" not in dict(given):
        flags.append("--no-index")
    if options.is_offline:
        flags.append("--offline")
    if options.only_wheels:
        flags.append("--no-build")
    for name, value in given:
        if name == "--trusted-host":
            flags += ["--allow-insecure-host", value]
    return flags


def provided_by_conda(packages: Sequence[CondaPackage]) -> dict[str, str]:
    """PyPI name -> version of the Python distributions among conda packages, as far as their versions are PyPI's."""
    provided: dict[str, str] = {}
    for package in packages:
        needs = {text.partition(" ")[0] for text in package.depends}
        if package.name == "python_abi" or not needs & {"python", "python_abi"}:
            continue
        try:
            version = Version(package.version)
        except InvalidVersion:
            continue
        provided[canonicalize_name(_PYPI_NAMES.get(package.name, package.name))] = str(version)
    return provided


def _package(item: Mapping[str, Any], lock: PlatformLock, python: str) -> PyPIPackage:
    name: str = item["name"]
    version: str | None = item.get("version")
    if "vcs" in item:
        source = item["vcs"]
        revision = source.get("commit-id") or source.get("requested-revision")
        directory = f"#subdirectory={source['subdirectory']}" if source.get("subdirectory") else ""
        link = f"{source.get('type', 'git')}+{source['url']}@{revision}{directory}"
        return PyPIPackage(name, version or str(revision), without_credentials(link), ())
    if "directory" in item:
        raise Unsolvable(
            f"pip requirement {name} is a directory on the server", hint="Use a package of an index, or a URL."
        )
    file = item.get("archive") or best_wheel(item.get("wheels", []), lock.platform, python) or item.get("sdist")
    url = file and (file.get("url") or file.get("path"))
    if not file or not url:
        raise Unsolvable(f"{name} {version} has no file for Python {python} on {lock.platform.value}")
    hashes = tuple(f"{kind}:{digest}" for kind, digest in sorted(file.get("hashes", {}).items()))
    return PyPIPackage(name, version or "0", without_credentials(url), hashes)


def _failure(
    lines: Sequence[str],
    specification: Specification,
    lock: PlatformLock,
    provided: Mapping[str, str],
    cooldown: timedelta,
    *,
    only_wheels: bool,
) -> Unsolvable | PackageUnavailable | PipFailed:
    """uv's words, and what conda has to do with them."""
    said = [line.strip().removeprefix("error: ").removeprefix("cause: ") for line in lines]
    text = "\n".join(f"  {line}" for line in said)
    where = f"for {lock.platform.value}"
    if "no solution found" not in text.lower() and any(mark in text.lower() for mark in _UNREACHABLE):
        return PackageUnavailable(
            f"The package index cannot be reached\n{text}",
            hint="It may be down for the moment; the build is tried again.",
        )
    no_sources = ONLY_WHEELS if only_wheels and "is disabled" in text else ""
    if "no solution found" not in text.lower() and "unsatisfiable" not in text.lower():
        return PipFailed(f"The pip part cannot be solved {where}\n{text}", hint=no_sources)
    named = [f"{name} {version}" for name, version in provided.items() if name in _words(text)]
    hint = f"The conda part provides {', '.join(named)}: change it there, or loosen the pip part." if named else ""
    if no_sources:
        hint = f"{hint}\n{no_sources}".strip()
    if cooldown:
        hint = f"{hint}\nFiles younger than {cooldown.days} days are left out (package_cooldown_days).".strip()
    shown = ", ".join(specification.pip_requirements[:10])
    return Unsolvable(f"The pip part ({shown}) has no solution {where}\n{text}", hint=hint)


def _words(text: str) -> set[str]:
    separators = str.maketrans(dict.fromkeys("<>=!~,;:()`'\"[]", " "))
    return set(text.translate(separators).split())
