"""conda-lock's lock file, version 1: checked strictly, kept as it was handed in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from conda_store.domain.names import name_problem
from conda_store.domain.platform import Platform
from conda_store.domain.specification import LockfileSpecification
from conda_store.errors import InvalidSpecification, Problem

Path = tuple[str | int, ...]
_CONDA_FILE = re.compile(r"[A-Za-z0-9_.!+\-]+-[^-/]+-[^-/]+(\.conda|\.tar\.bz2)")
_SAFE_FILE = re.compile(r"[A-Za-z0-9_.!+\-~=]+")
_PLATFORMS = frozenset(Platform)
_HEX = {"md5": re.compile(r"[0-9a-fA-F]{32}"), "sha256": re.compile(r"[0-9a-fA-F]{64}")}
_SCHEMES = {"conda": ("http", "https", "file"), "pip": ("http", "https", "file", "git+https", "git+http", "git+ssh")}
_METADATA = ("content_hash", "channels", "platforms", "sources")
_METADATA_OPTIONAL = ("time_metadata", "git_metadata", "inputs_metadata", "custom_metadata")
_PACKAGE = ("name", "version", "manager", "platform", "url", "hash", "optional")
_PACKAGE_OPTIONAL = ("dependencies", "category", "source", "build")


def read_conda_lock(document: Any, name: str | None) -> LockfileSpecification:
    """The specification that a lock document is.

    Raises:
        InvalidSpecification: with a problem for everything that is not in the format.
    """
    checker = _Checker()
    checker.name(name)
    checker.document(document)
    if checker.problems:
        raise InvalidSpecification(
            tuple(checker.problems[:50]),
            hint="A lock in conda-lock's version 1 format is needed, as `conda-lock lock` writes it.",
        )
    return LockfileSpecification(str(name), document)


class _Checker:
    """Collects problems while it walks the document."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def say(self, message: str, path: Path, kind: str = "value_error") -> None:
        self.problems.append(Problem(message, path, kind))

    def name(self, name: str | None) -> None:
        if not name:
            self.say("Field required: a lock has no name, so `environment_name` must be given", ("name",), "missing")
        elif problem := name_problem(name):
            self.say(f"environment {problem}", ("name",))

    def document(self, document: Any) -> None:
        if not self.keys(document, ("metadata", "package"), ("version",), ()):
            return
        version = document.get("version", 1)
        if version != 1 or isinstance(version, bool):
            self.say(f"Version {version!r} of the lock format is not known, only 1 is", ("version",))
            return
        self.metadata(document.get("metadata", {}), is_given="metadata" in document)
        packages = document.get("package", [])
        if not isinstance(packages, list):
            self.say("Input should be a valid list", ("package",), "list_type")
            return
        for index, package in enumerate(packages):
            self.package(package, ("package", index))

    def metadata(self, metadata: Any, *, is_given: bool) -> None:
        path: Path = ("metadata",)
        if not is_given or not self.keys(metadata, _METADATA, _METADATA_OPTIONAL, path):
            return
        self.texts_by_key(metadata.get("content_hash", {}), (*path, "content_hash"))
        self.texts(metadata.get("sources", []), (*path, "sources"))
        platforms = metadata.get("platforms", [])
        if self.texts(platforms, (*path, "platforms")):
            for index, platform in enumerate(platforms):
                self.platform(platform, (*path, "platforms", index))
        channels = metadata.get("channels", [])
        if not isinstance(channels, list):
            self.say("Input should be a valid list", (*path, "channels"), "list_type")
            return
        for index, channel in enumerate(channels):
            self.channel(channel, (*path, "channels", index))

    def channel(self, channel: Any, path: Path) -> None:
        if isinstance(channel, str):
            channel = {"url": channel}
        if not self.keys(channel, ("url",), ("used_env_vars",), path):
            return
        self.texts(channel.get("used_env_vars", []), (*path, "used_env_vars"))
        url = channel.get("url")
        if self.text(url, (*path, "url")) and "://" in url:
            self.url(url, ("http", "https", "file"), (*path, "url"))

    def package(self, package: Any, path: Path) -> None:
        if not self.keys(package, _PACKAGE, _PACKAGE_OPTIONAL, path):
            return
        for key in ("name", "version", "manager", "platform", "url"):
            if key in package:
                self.text(package[key], (*path, key))
        for key in ("category", "build"):
            if package.get(key) is not None:
                self.text(package[key], (*path, key))
        if not isinstance(package.get("optional", False), bool):
            self.say("Input should be true or false", (*path, "optional"), "bool_type")
        self.texts_by_key(package.get("dependencies", {}), (*path, "dependencies"))
        self.hashes(package.get("hash", {}), (*path, "hash"))
        self.platform(package.get("platform"), (*path, "platform"))
        manager = package.get("manager")
        if manager not in _SCHEMES:
            self.say(f"{manager!r} is neither conda nor pip", (*path, "manager"))
        elif isinstance(url := package.get("url"), str) and self.url(url, _SCHEMES[manager], (*path, "url")):
            self.file(url, manager, (*path, "url"))

    def file(self, url: str, manager: str, path: Path) -> None:
        file_name = unquote(urlsplit(url).path.rpartition("/")[2])
        if manager == "conda" and not _CONDA_FILE.fullmatch(file_name):
            self.say(f"{file_name!r} is no file of a conda package (name-version-build.conda)", path)
        elif file_name in {".", ".."} or (file_name and manager == "pip" and not _SAFE_FILE.match(file_name)):
            self.say(f"{file_name!r} is no name of a file", path)

    def hashes(self, value: Any, path: Path) -> None:
        if not self.keys(value, (), ("md5", "sha256"), path):
            return
        for kind, pattern in _HEX.items():
            digest = value.get(kind)
            if digest is not None and not (isinstance(digest, str) and pattern.fullmatch(digest)):
                self.say(f"{str(digest)[:80]!r} is no {kind} in hexadecimal digits", (*path, kind))

    def platform(self, value: Any, path: Path) -> None:
        if isinstance(value, str) and value not in _PLATFORMS:
            self.say(f"Platform {value[:80]!r} is none of {', '.join(Platform)}", path)

    def url(self, url: str, schemes: tuple[str, ...], path: Path) -> bool:
        try:
            parts = urlsplit(url)
            port_is_fine = parts.port is None or parts.port >= 0
        except ValueError:
            self.say("The URL cannot be read", path)
            return False
        if parts.scheme not in schemes or not port_is_fine:
            self.say(f"A URL with {' or '.join(schemes)} is needed, found {parts.scheme[:20] or 'none'!r}", path)
            return False
        user = parts.netloc.rpartition("@")[0]
        if (user and parts.scheme != "git+ssh") or "/t/" in parts.path[:3]:
            self.say("The URL holds credentials; leave them out, the service is given its own", path)
            return False
        return True

    def keys(self, value: Any, required: tuple[str, ...], optional: tuple[str, ...], path: Path) -> bool:
        if not isinstance(value, Mapping):
            self.say("Input should be a valid dictionary or object", path, "dict_type")
            return False
        for key in required:
            if key not in value:
                self.say("Field required", (*path, key), "missing")
        for key in value:
            if key not in required and key not in optional:
                self.say("Extra inputs are not permitted", (*path, str(key)), "extra_forbidden")
        return True

    def text(self, value: Any, path: Path) -> bool:
        if isinstance(value, str) and value:
            return True
        hint = "; put it in quotes" if isinstance(value, int | float) else ""
        self.say(f"Input should be a valid string, found {value!r:.80}{hint}", path, "string_type")
        return False

    def texts(self, value: Any, path: Path) -> bool:
        if not isinstance(value, list):
            self.say("Input should be a valid list", path, "list_type")
            return False
        before = len(self.problems)
        for index, item in enumerate(value):
            self.text(item, (*path, index))
        return len(self.problems) == before

    def texts_by_key(self, value: Any, path: Path) -> None:
        if not isinstance(value, Mapping):
            self.say("Input should be a valid dictionary", path, "dict_type")
            return
        for key, item in value.items():
            if not isinstance(item, str):
                self.say(f"Input should be a valid string, found {item!r:.80}", (*path, str(key)), "string_type")
