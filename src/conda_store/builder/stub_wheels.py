"""Wheels that say a name and a version and hold nothing: how uv is told what conda installs."""

from __future__ import annotations

import zipfile
from pathlib import Path


def write_stub(directory: Path, name: str, version: str) -> Path:
    """`directory/name-version-py3-none-any.whl` (PEP 427), without dependencies: conda has seen to those."""
    distribution = f"{name.replace('-', '_')}-{version}"
    folder = f"{distribution}.dist-info"
    path = directory / f"{distribution}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{folder}/WHEEL", "Wheel-Version: 1.0\nGenerator: conda-store\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{folder}/RECORD", "")
    return path
