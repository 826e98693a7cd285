"""Conda's platforms (subdirs)."""

from __future__ import annotations

import platform
import sys
from enum import StrEnum


class Platform(StrEnum):
    LINUX_64 = "linux-64"
    LINUX_AARCH64 = "linux-aarch64"
    LINUX_PPC64LE = "linux-ppc64le"
    OSX_64 = "osx-64"
    OSX_ARM64 = "osx-arm64"
    WIN_64 = "win-64"
    WIN_ARM64 = "win-arm64"

    @property
    def family(self) -> str:
        """linux, osx or win."""
        return self.value.partition("-")[0]

    @property
    def is_windows(self) -> bool:
        return self.family == "win"


def current_platform() -> Platform:
    """The platform that this process runs on."""
    machine = platform.machine().lower()
    if sys.platform == "linux":
        suffix = {"x86_64": "64", "amd64": "64", "aarch64": "aarch64", "ppc64le": "ppc64le"}[machine]
        return Platform(f"linux-{suffix}")
    if sys.platform == "darwin":
        return Platform.OSX_ARM64 if machine == "arm64" else Platform.OSX_64
    return Platform.WIN_ARM64 if machine == "arm64" else Platform.WIN_64
