"""Packages of the Debian (or Ubuntu) release that this machine runs, through its own apt."""

from __future__ import annotations

import functools
import io
import re
import tarfile
import tempfile
from pathlib import Path

from .conda_package import Entry, File, Symlink
from .process import ChannelError, run, say
from .store import Cache

_APT = ("apt-get", "-qq", "-o", "APT::Sandbox::User=root")
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Debian:
    """Downloads .deb files and source tarballs once, and reads them."""

    def __init__(self, cache: Cache) -> None:
        self._debs = cache.folder("debs")
        self._sources = cache.folder("sources")
        self._apt = cache.folder("apt")

    def fetch(self, names: list[str]) -> None:
        """Download what is missing with one apt-get, as starting it takes longer than most downloads."""
        missing = [name for name in names if self._find(name) is None]
        if missing:
            known = set(run("apt-cache", "pkgnames").decode().split())
            missing = [name if name in known else f"{name}t64" for name in missing]
            say(f"downloading {len(missing)} Debian packages")
            _download_into(self._debs, "download", *missing)

    def deb(self, name: str) -> Path:
        found = self._find(name)
        if found is None:
            self.fetch([name])
            found = self._find(name)
        if found is None:
            raise ChannelError(f"apt-get downloaded no package {name}", "sudo apt-get update, then try again")
        return found

    def version(self, name: str) -> str:
        """The upstream version: `1:1.2.13.dfsg-1` gives 1.2.13."""
        full = run("dpkg-deb", "-f", self.deb(name), "Version").decode().strip()
        upstream = full.split(":")[-1].rsplit("-", 1)[0]
        return re.sub(r"[.+~](deb|dfsg|really|ds|repack|git).*", "", upstream).replace("-", ".").replace("+", ".")

    @functools.cache  # noqa: B019 - one object per run
    def contents(self, name: str) -> dict[str, Entry]:
        """The files and links of a package by their path without the leading slash, /lib being /usr/lib."""
        tree: dict[str, Entry] = {}
        packed = run("dpkg-deb", "--fsys-tarfile", self.deb(name))
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            for member in archive:
                path = re.sub(r"^\./(?=(bin|lib|lib64|sbin)/)", "./usr/", member.name).removeprefix("./")
                if member.issym():
                    tree[path] = Symlink(member.linkname)
                elif member.isfile():
                    data = archive.extractfile(member)
                    assert data is not None
                    tree[path] = File(data.read(), 0o755 if member.mode & 0o100 else 0o644)
        return tree

    def source(self, package: str, version: str) -> Path:
        """The upstream tarball of the source package whose version starts with `version`, out of any current release.

        apt reads a configuration of its own, so nothing of the machine's changes.
        """
        for suites in ((), ("bookworm", "trixie"), ("sid",)):
            if suites:
                self._download_source(package, version, suites)
            found = sorted(self._sources.glob(f"{package}_{version}*.orig.tar.*z"))
            if found:
                return found[-1]
        raise ChannelError(f"Debian has no source package {package} {version}", "give an interpreter: prefix:/path")

    def _download_source(self, package: str, version: str, suites: tuple[str, ...]) -> None:
        if not Path(_KEYRING).exists():
            raise ChannelError(f"{_KEYRING} is missing", "sudo apt-get install debian-archive-keyring")
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (self._apt / folder).mkdir(parents=True, exist_ok=True)
        lines = [f"deb-src [signed-by={_KEYRING}] {_mirror()} {suite} main\n" for suite in suites]
        (self._apt / "sources.list").write_text("".join(lines))
        settings = {
            "Dir::Etc::sourcelist": self._apt / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::State": self._apt / "state",
            "Dir::Cache": self._apt / "cache",
            "Acquire::Check-Valid-Until": "false",
        }
        options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        run(*_APT, *options, "update", hint="is the Debian mirror in /etc/apt reachable?")
        listed = run("apt-cache", *options, "showsrc", package).decode()
        versions = [one for one in re.findall(r"^Version: (.+)$", listed, re.M) if one.startswith(version)]
        if versions:
            _download_into(self._sources, *options, "source", "--download-only", f"{package}={versions[0]}")

    def _find(self, name: str) -> Path | None:
        found = [*self._debs.glob(f"{name}_*.deb"), *self._debs.glob(f"{name}t64_*.deb")]
        return max(found, default=None)


def _download_into(folder: Path, *arguments: str) -> None:
    """Files appear in the folder only once they are whole."""
    with tempfile.TemporaryDirectory(dir=folder) as directory:
        run(*_APT, *arguments, cwd=Path(directory), hint="sudo apt-get update, then try again")
        for file in Path(directory).iterdir():
            file.replace(folder / file.name)


def _mirror() -> str:
    """The archive from which this machine's apt gets Debian itself."""
    for file in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        text = file.read_text() if file.is_file() else ""
        found = re.search(r"^(?:deb\s.*?|URIs:\s*)(https?://\S+/debian)/?\s", text, re.M)
        if found:
            return found[1]
    raise ChannelError("no archive of Debian in /etc/apt", "give an interpreter that is there: prefix:/path")
