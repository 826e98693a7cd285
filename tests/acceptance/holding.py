"""A channel with large packages, and builds that stay in a phase."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.acceptance.harness import tiny_channel
from tools.channel.serve import ChannelServer, Fault
from tools.channel.tiny import index, write_package


def large_packages(directory: Path) -> Path:
    """`many` is large enough to be met while it is linked, `big` (40 MB) while it is packed; and the tiny ones."""
    tiny_channel(directory)
    write_package(directory, "many", "1.0", files={f"share/many/{number}": f"{number}\n" for number in range(6000)})
    write_package(directory, "big", "1.0", files={f"share/big/{number}": os.urandom(1 << 20) for number in range(40)})
    index(directory)
    return directory


def held_in(channel: ChannelServer, phase: str, name: str = "env") -> str:
    """A specification whose build stays in a phase until the faults are cleared (linking: for a moment)."""
    dependencies = "two, three"
    if phase == "solving":
        channel.faults["*repodata*"] = Fault(hang=True)
    elif phase == "downloading":
        package = f"held-{time.monotonic_ns()}"
        write_package(channel.directory, package, "1.0", files={"share/held": "held"})
        index(channel.directory)
        channel.faults[f"*/{package}-*"] = Fault(hang=True)
        dependencies = f"one, {package}"
    elif phase == "linking":
        dependencies = "many, two"
    return f"name: {name}\ndependencies: [{dependencies}]\n"
