"""What is installed for tests and development is locked by version and hash, and no lock names an address."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REQUIREMENTS = [ROOT / "requirements" / "dev.txt", ROOT / "tests" / "identity" / "requirements.txt"]
NPM_LOCKS = sorted((ROOT / "tests").rglob("package-lock.json"))


def names(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [*REQUIREMENTS, *NPM_LOCKS], ids=names)
def test_no_lock_names_an_address(path: Path) -> None:
    assert re.findall(r"https?://\S+", path.read_text()) == []


@pytest.mark.parametrize("path", REQUIREMENTS, ids=names)
def test_every_distribution_has_a_version_and_a_hash(path: Path) -> None:
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE)
    entries = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
    assert len(entries) > 5
    for entry in entries:
        assert re.match(r"[\w.\-]+(\[[\w,\-]+\])?==\S+.*\\\n", entry), entry
        assert "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("path", NPM_LOCKS, ids=names)
def test_every_npm_package_has_a_version_and_a_hash(path: Path) -> None:
    packages = json.loads(path.read_text())["packages"]
    locked = {name: package for name, package in packages.items() if name}
    assert len(locked) > 5
    for name, package in locked.items():
        assert package["version"] and package["integrity"].startswith("sha512-"), name
