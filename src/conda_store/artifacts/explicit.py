"""The lock as an explicit list, which conda, mamba and micromamba install without a solve."""

from __future__ import annotations

from conda_store.domain.conda_lock import pip_hashes
from conda_store.domain.lock import CondaPackage, PlatformLock, PyPIPackage


def render(lock: PlatformLock, *, is_sha256: bool = False) -> bytes:
    """`# platform: …`, `@EXPLICIT` and one URL a line with `#<md5>`, or `#sha256:<digest>` where that is wanted or all
    there is. The pip part follows as comments, as there is no place for it in this form. UTF-8."""
    lines = [f"# platform: {lock.platform}", "@EXPLICIT"]
    lines += [_conda_line(package, is_sha256=is_sha256) for package in sorted(lock.conda, key=lambda item: item.name)]
    if lock.pypi:
        lines += ["# to be installed with pip:"]
        lines += [_pip_line(package) for package in sorted(lock.pypi, key=lambda item: item.name)]
    return "".join(line + "\n" for line in lines).encode()


def _conda_line(package: CondaPackage, *, is_sha256: bool) -> str:
    if package.sha256 and (is_sha256 or not package.md5):
        return f"{package.url}#sha256:{package.sha256}"
    return f"{package.url}#{package.md5}" if package.md5 else package.url


def _pip_line(package: PyPIPackage) -> str:
    hashes = "".join(f" --hash={algorithm}:{value}" for algorithm, value in sorted(pip_hashes(package).items()))
    return f"# pip {package.name} @ {package.url}{hashes}"
