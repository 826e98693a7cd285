"""A builder without packages, for tests of everything around it: quick, deterministic, and failing when told to.

What a specification names decides what happens: `fail-always` cannot be solved, `fail-install` cannot be installed,
`fail-transient` fails to install the first time (a file in `memory` remembers it, for builders in several processes),
`sleep-5` takes five seconds to install (decimals are possible: `sleep-0.5`), `hang` takes for ever, `missing-*` is
in no channel, and of `clash-*` only one can be installed in another version than 1.0.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from conda_store.builder import formats
from conda_store.builder.activation import write_variables
from conda_store.builder.conda_meta import history
from conda_store.builder.ports import Access, Installed, InstallRequest, Reporter, SolveRequest
from conda_store.domain.build import Phase, Progress
from conda_store.domain.channel import channel_url
from conda_store.domain.credential import NO_CREDENTIALS, Credentials
from conda_store.domain.lock import CondaPackage, Lock, PlatformLock, PyPIPackage
from conda_store.domain.package_policy import PackagePolicy
from conda_store.domain.platform import Platform
from conda_store.domain.specification import AnySpecification, Specification
from conda_store.errors import BuildFailed, PackageUnavailable, Problem, Refusal, Unsolvable

_NAME_END = " <>=!~[;@"


class FakeBuilder:
    """Implements `ports.Builder`.

    `state` is what `channel_state` gives: change it, and a solve is no longer the same. `calls` counts the calls of
    each method.
    """

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self.state = "state-1"
        self.calls: Counter[str] = Counter()
        self.is_closed = False
        self._failed: set[str] = set()

    def prepare(self) -> None:
        pass

    def problems(self, specification: Specification) -> tuple[Problem, ...]:
        return tuple(
            Problem(f"Invalid conda package dependency specification {text}", ("dependencies", index))
            for index, text in enumerate(specification.dependencies)
            if not _name(text)
        )

    def conda_name(self, match_spec: str) -> str:
        return _name(match_spec.rpartition("::")[2])

    def pypi_name(self, requirement: str) -> str:
        return _name(requirement).replace("_", "-").replace(".", "-")

    def read(self, text: bytes, *, format: str | None, name: str | None) -> AnySpecification:
        return formats.read(text, format=format, name=name, problems=self.problems)

    async def channel_state(self, request: SolveRequest) -> str:
        self.calls["channel_state"] += 1
        return self.state

    async def solve(self, request: SolveRequest, reporter: Reporter) -> Lock:
        self.calls["solve"] += 1
        reporter.log("solving")
        reporter.progress(Progress(Phase.SOLVING))
        await asyncio.sleep(0)
        specification = request.specification
        names = {self.conda_name(text): text for text in specification.dependencies}
        if missing := sorted(name for name in names if name.startswith("missing-")):
            raise Unsolvable(f"Packages not found in the channels: {', '.join(missing)}")
        if "fail-always" in names:
            raise Unsolvable("`fail-always` cannot be installed", hint="Remove it.")
        if specification.until is not None and specification.until < "2020-09-13":
            raise Unsolvable(f"nothing had been made by {specification.until}")
        clashing = sorted(
            text for name, text in names.items() if name.startswith("clash-") and text not in {name, f"{name}=1.0"}
        )
        if len(clashing) > 1:
            raise Unsolvable(f"`{clashing[0]}` and `{clashing[1]}` cannot be installed together")
        channels = tuple(channel_url(name, request.channel_alias) for name in specification.channels)
        return Lock(
            channels=channels,
            platforms=tuple(
                PlatformLock(
                    platform,
                    tuple(_package(name, names[name], platform, channels) for name in sorted(names)),
                    tuple(_distribution(self.pypi_name(line), line) for line in specification.pip_requirements),
                )
                for platform in request.platforms
            ),
            pip_options=specification.pip_options,
        )

    async def refusals(
        self, lock: Lock, policy: PackagePolicy, channel_alias: str, access: Access
    ) -> tuple[Refusal, ...]:
        """By name alone; it knows no licences, and no package is old."""
        self.calls["refusals"] += 1
        names = [package.name for part in lock.platforms for package in part.conda]
        found = [
            refusal
            for name in names
            for refusal in (
                policy.forbidden_conda(name, {name, f"{name} *"}.__contains__),
                policy.refused_license(name, None),
                policy.too_new(name, None),
            )
        ]
        return tuple(refusal for refusal in found if refusal is not None)

    async def install(self, request: InstallRequest, reporter: Reporter) -> Installed:
        self.calls["install"] += 1
        names = [package.name for package in request.lock.conda]
        reporter.log("Preparing transaction: done")
        for name in names:
            await self._misbehave(name)
        reporter.log("Executing transaction: done")
        try:
            return _lay_out(request, reporter)
        except OSError as error:
            shutil.rmtree(request.staging, ignore_errors=True)
            raise BuildFailed(f"installing failed: {error}") from error

    async def extracted(
        self, lock: PlatformLock, scratch: Path, reporter: Reporter, credentials: Credentials = NO_CREDENTIALS
    ) -> Mapping[str, Path]:
        """Packages of one script each, in `scratch`."""
        self.calls["extracted"] += 1
        return {package.name: _extract(package, scratch) for package in lock.conda}

    async def tidy(self) -> int:
        return 0

    async def close(self) -> None:
        self.is_closed = True

    def _has_failed(self, name: str) -> bool:
        """Whether it failed before; from now on it has."""
        marker = self._memory / name if self._memory else None
        before = name in self._failed or (marker is not None and marker.exists())
        self._failed.add(name)
        if marker is not None:
            marker.touch()
        return before

    async def _misbehave(self, name: str) -> None:
        kind, _, seconds = name.partition("-")
        if name == "hang":
            await asyncio.Event().wait()
        elif kind == "sleep":
            await asyncio.sleep(float(seconds))
        elif name == "fail-install":
            raise BuildFailed("package fail-install cannot be installed")
        elif name == "fail-transient" and not self._has_failed(name):
            raise PackageUnavailable("package fail-transient cannot be downloaded at the moment")


def _lay_out(request: InstallRequest, reporter: Reporter) -> Installed:
    total = len(request.lock.conda)
    meta = request.staging / "conda-meta"
    meta.mkdir(parents=True)
    names = tuple(package.name for package in request.lock.conda)
    for done, package in enumerate(request.lock.conda, start=1):
        record = {"name": package.name, "version": package.version, "build": package.build, "files": []}
        path = meta / f"{package.name}-{package.version}-{package.build}.json"
        path.write_text(json.dumps(record))
        reporter.progress(Progress(Phase.LINKING, done, total, done * 1000, total * 1000, done, names[done:]))
    (meta / "history").write_text(history(request.lock.conda, request.requested, request.moment))
    write_variables(request.staging, request.variables)
    executable = request.staging / "bin" / "python"
    executable.parent.mkdir()
    executable.write_text(f"#!/bin/sh\n# {request.prefix}\nexit 0\n")
    executable.chmod(0o755)
    files = [path for path in request.staging.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    request.prefix.parent.mkdir(parents=True, exist_ok=True)
    Path(request.staging).rename(request.prefix)
    return Installed(size=size, files=len(files))


def _extract(package: CondaPackage, scratch: Path) -> Path:
    directory = scratch / f"{package.name}-{package.version}-{package.build}"
    script = directory / "bin" / package.name
    script.parent.mkdir(parents=True)
    script.write_text(f"#!/bin/sh\necho {package.name} {package.version}\n")
    script.chmod(0o755)
    os.utime(script, (1_600_000_000, 1_600_000_000))
    (directory / "info").mkdir()
    paths = [{"_path": f"bin/{package.name}", "path_type": "hardlink"}]
    (directory / "info" / "paths.json").write_text(json.dumps({"paths_version": 1, "paths": paths}))
    return directory


def _package(name: str, text: str, platform: Platform, channels: tuple[str, ...]) -> CondaPackage:
    channel = channels[0] if channels else "https://conda.example/fake"
    version = text[len(name) :].strip(" =<>!~").partition(",")[0].partition("=")[0].rstrip(".*") or "1.0"
    digest = hashlib.sha256(f"{name} {version} {platform}".encode()).hexdigest()
    return CondaPackage(
        name=name,
        version=version,
        build="0",
        subdir=platform.value,
        url=f"{channel}/{platform.value}/{name}-{version}-0.conda",
        channel=channel,
        md5=digest[:32],
        sha256=digest,
        size=1000,
        timestamp=1_600_000_000_000,
    )


def _distribution(name: str, line: str) -> PyPIPackage:
    version = line.partition("==")[2].strip() or "1.0"
    url = f"https://pypi.example/{name}-{version}-py3-none-any.whl"
    return PyPIPackage(name, version, url, (f"sha256:{hashlib.sha256(url.encode()).hexdigest()}",))


def _name(text: str) -> str:
    for position, character in enumerate(text):
        if character in _NAME_END:
            return text[:position].lower()
    return text.lower()
