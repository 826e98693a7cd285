"""Compiled modules of `noarch: python` packages: made once per package and Python version, then hard-linked.

rattler leaves these packages without `.pyc`, so each first import in each environment would compile, and in an
environment that its users cannot write to, every import. A `.pyc` is valid while it names the modification time and
size of its source; these are the same in every environment, whose sources are links to the cached file. The path in
the compiled code is corrected by Python when it loads it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from conda_store.builder.child_process import child_environment, run_child
from conda_store.builder.package_cache import PackageCache
from conda_store.builder.ports import Reporter
from conda_store.builder.seals import Seal, package_paths
from conda_store.builder.together import together
from conda_store.domain.lock import PlatformLock
from conda_store.domain.noarch import is_free_threaded, python_version, site_packages

_PROCESSES = 2
_TIMEOUT = 1800.0  # seconds for one compiling process
_SOURCE_ROOT = "site-packages/"
_MANIFEST = "manifest.json"

# runs in the environment's own Python: for each line of JSON, compiles sources whose results do not exist yet
_COMPILER = """
import json, os, py_compile, sys
for line in sys.stdin:
    source, target, shown = json.loads(line)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        py_compile.compile(source, target, shown, doraise=True,
                           invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP)
    except (py_compile.PyCompileError, OSError, ValueError, RecursionError):
        pass  # packages carry files on purpose that are no Python of this version
"""


@dataclass(frozen=True)
class EnvironmentPython:
    """The Python of an environment: where modules go (relative to the prefix), and a name for what it compiles."""

    site_packages: str
    tag: str
    compiled_suffix: str
    is_cpython: bool


def environment_python(lock: PlatformLock) -> EnvironmentPython | None:
    """What the lock's python record says; None where there is none."""
    python = lock.package("python")
    if python is None:
        return None
    version = python_version(python)
    is_final = all(part.isdigit() for part in python.version.split("."))
    return EnvironmentPython(
        site_packages=site_packages(python),
        # between pre-releases the format of compiled code changes
        tag=f"cpython-{version if is_final else python.version}{'t' if is_free_threaded(python) else ''}",
        compiled_suffix=f".cpython-{version.replace('.', '')}.pyc",
        is_cpython="pypy" not in python.build and "graal" not in python.build,
    )


@dataclass(frozen=True)
class Compiled:
    """What compiling added to the environment; `size` in bytes."""

    files: int = 0
    size: int = 0


async def compile_and_link(
    seals: Sequence[Seal],
    cache: PackageCache,
    staging: Path,
    python: EnvironmentPython,
    reporter: Reporter,
) -> Compiled:
    """Give those of the sealed packages that are noarch their `.pyc` in `staging`, compiling what is not compiled yet.

    Modules that cannot be compiled are passed over: importing them fails as it would anyway.
    """
    noarch = [seal for seal in seals if seal.is_noarch_python]
    folder = cache.pyc / python.tag
    missing = [seal for seal in noarch if not (folder / _entry(seal) / _MANIFEST).exists()]
    if missing:
        reporter.log(f"Compiling the modules of {len(missing)} packages for {python.tag}")
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        await together(_compile(share, cache, folder, staging, python) for share in _shares(missing) if share)
    return await asyncio.to_thread(_link_all, noarch, folder, staging, python)


def _entry(seal: Seal) -> str:
    # the inode tells a package that was fetched anew from the one before
    return f"{seal.directory}-{seal.inode}"


def _shares(seals: Sequence[Seal]) -> list[list[Seal]]:
    """The seals spread over `_PROCESSES` lists of about the same number of bytes, the largest first."""
    shares: list[list[Seal]] = [[] for _ in range(_PROCESSES)]
    weights = [0] * _PROCESSES
    for seal in sorted(seals, key=lambda seal: seal.size, reverse=True):
        lightest = weights.index(min(weights))
        shares[lightest].append(seal)
        weights[lightest] += seal.size
    return shares


async def compile_in_place(
    modules: Sequence[str], staging: Path, prefix: Path, python: EnvironmentPython
) -> tuple[Compiled, list[str]]:
    """Compile modules (paths in the environment) that belong to it alone; the totals, and what was written."""
    jobs = []
    for module in modules:
        target = _compiled_path(module, python)
        jobs.append((f"{staging}/{module}", f"{staging}/{target}", f"{prefix}/{module}"))
    await _run_compiler(jobs, staging, staging)
    written = [target for module in modules if (staging / (target := _compiled_path(module, python))).is_file()]
    return Compiled(len(written), sum((staging / path).stat().st_size for path in written)), written


async def _compile(
    seals: Sequence[Seal], cache: PackageCache, folder: Path, staging: Path, python: EnvironmentPython
) -> None:
    """Compile the packages' modules with one process; each is complete once its manifest is there."""
    drafts = {seal: folder / f".{uuid4().hex}" for seal in seals}
    jobs = [
        job for seal, draft in drafts.items() for job in _jobs(cache.packages / seal.directory, seal, draft, python)
    ]
    if not await _run_compiler(jobs, staging, folder):
        return  # an interpreter that does not run here; the environment works without
    for seal, draft in drafts.items():
        await asyncio.to_thread(_publish, draft, folder / _entry(seal))


async def _run_compiler(jobs: Sequence[tuple[str, str, str]], staging: Path, directory: Path) -> bool:
    ended = await run_child(
        [staging / "bin" / "python", "-I", "-S", "-B", "-c", _COMPILER],
        environment=child_environment(staging),
        directory=directory,
        stdin="\n".join(json.dumps(job) for job in jobs).encode(),
        on_line=lambda _: None,
        timeout=_TIMEOUT,
    )
    return ended.status == 0


def _jobs(directory: Path, seal: Seal, draft: Path, python: EnvironmentPython) -> list[tuple[str, str, str]]:
    """(source, compiled file, path shown in tracebacks) of each module that environments share."""
    own = set(seal.own)
    present = {entry["_path"] for entry in package_paths(directory)}
    jobs = []
    for path in sorted(present):
        if path.endswith(".py") and path.startswith(_SOURCE_ROOT) and path not in own:
            module = path.removeprefix(_SOURCE_ROOT)
            compiled = _compiled_path(module, python)
            if f"{_SOURCE_ROOT}{compiled}" not in present:
                jobs.append((str(directory / path), str(draft / compiled), f"{python.site_packages}/{module}"))
    return jobs


def _compiled_path(module: str, python: EnvironmentPython) -> str:
    folder, _, name = module.rpartition("/")
    return f"{folder + '/' if folder else ''}__pycache__/{name.removesuffix('.py')}{python.compiled_suffix}"


def _publish(draft: Path, target: Path) -> None:
    """Record what was compiled and put it where builds look; another build may have been quicker."""
    files = []
    for directory, _, names in os.walk(draft):
        for name in names:
            path = Path(directory, name)
            path.chmod(0o444)
            files.append((path.relative_to(draft).as_posix(), path.stat().st_size))
    draft.mkdir(exist_ok=True)
    (draft / _MANIFEST).write_text(json.dumps(sorted(files)))
    with contextlib.suppress(OSError):
        draft.rename(target)


def _link_all(seals: Sequence[Seal], folder: Path, staging: Path, python: EnvironmentPython) -> Compiled:
    files = size = 0
    made: set[str] = set()
    root = f"{staging}/{python.site_packages}"
    for seal in seals:
        source = f"{folder}/{_entry(seal)}"
        try:
            listed: list[tuple[str, int]] = json.loads(Path(source, _MANIFEST).read_bytes())
        except (OSError, ValueError):
            continue
        for path, length in listed:
            if _link(f"{source}/{path}", f"{root}/{path}", made):
                files += 1
                size += length
    return Compiled(files, size)


def _link(source: str, target: str, made: set[str]) -> bool:
    """Hard-link, or copy to another file system; what is there already (a package's own, a collision) stays."""
    directory = target.rpartition("/")[0]
    if directory not in made:
        os.makedirs(directory, exist_ok=True)  # noqa: PTH103 - thousands of them
        made.add(directory)
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError:
        Path(target).write_bytes(Path(source).read_bytes())
    return True
