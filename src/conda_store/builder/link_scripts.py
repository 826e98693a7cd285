"""Post-link scripts: code of packages that wants to run in the finished environment. Only named packages may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rattler import PackageRecord

from conda_store.builder.child_process import child_environment, run_child
from conda_store.builder.failures import redacted
from conda_store.builder.ports import Reporter
from conda_store.builder.records import install_record
from conda_store.builder.seals import Seal
from conda_store.domain.lock import CondaPackage
from conda_store.errors import LinkScriptFailed

_TIMEOUT = 600.0  # seconds for one script
_MESSAGES = ".messages.txt"


def choose_scripts(
    packages: Sequence[CondaPackage], seals: Mapping[str, Seal], allowed: frozenset[str]
) -> tuple[list[CondaPackage], list[CondaPackage]]:
    """The packages whose scripts run, each after those that it depends on, and the packages whose scripts do not."""
    having = [package for package in packages if package.name in seals and seals[package.name].has_link_script]
    skipped = [package for package in having if not ({"*", package.name} & allowed)]
    running = {package.name: package for package in having if {"*", package.name} & allowed}
    if len(running) < 2:
        return list(running.values()), skipped
    order = PackageRecord.sort_topologically([install_record(package) for package in packages])
    return [running[record.name.source] for record in order if record.name.source in running], skipped


async def run_scripts(prefix: Path, packages: Sequence[CondaPackage], reporter: Reporter) -> None:
    """Run the packages' scripts in `prefix`, their output going to the log.

    They run as the service's user, with few of its variables, and are not confined: as root they could even change
    files shared with other environments. That is why policy has to name them.

    Raises:
        LinkScriptFailed: a script ended with another status than 0, or took longer than ten minutes.
    """
    for package in packages:
        reporter.log(f"Running the post-link script of {package.name}")
        try:
            await _run(prefix, package, reporter)
        finally:
            _tell_messages(prefix, package, reporter)


async def _run(prefix: Path, package: CondaPackage, reporter: Reporter) -> None:
    script = prefix / "bin" / f".{package.name}-post-link.sh"
    environment = child_environment(
        prefix,
        PREFIX=str(prefix),
        CONDA_PREFIX=str(prefix),
        PKG_NAME=package.name,
        PKG_VERSION=package.version,
        PKG_BUILDNUM=str(package.build_number),
    )
    try:
        ended = await run_child(
            ["/bin/sh", script],
            environment=environment,
            directory=prefix,
            on_line=lambda line: reporter.log(f"{package.name}: {redacted(line)}"),
            timeout=_TIMEOUT,
        )
    except TimeoutError:
        raise LinkScriptFailed(
            f"the post-link script of {package.name} {package.version} did not end within {_TIMEOUT:g} seconds",
            hint="Leave the package out of the packages whose link scripts may run, or use another version of it.",
        ) from None
    if ended.status != 0:
        output = redacted("\n".join(ended.tail)) or "it wrote nothing"
        raise LinkScriptFailed(
            f"the post-link script of {package.name} {package.version} failed with status {ended.status}:\n{output}",
            hint="Leave the package out of the packages whose link scripts may run, or use another version of it.",
        )


def _tell_messages(prefix: Path, package: CondaPackage, reporter: Reporter) -> None:
    """Scripts leave words for the user in a file that the installer shows and removes."""
    path = prefix / _MESSAGES
    if path.is_file():
        for line in path.read_text(errors="replace").splitlines():
            reporter.log(f"{package.name}: {redacted(line)}")
        path.unlink()
