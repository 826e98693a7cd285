"""Which processes run, and what they are at."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether the process is there and not merely waiting for somebody to take note of its end."""
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def alive_children(pid: int) -> list[int]:
    """The processes that descend from one, that are not zombies."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] != "Z":
                found += [int(entry.name), *alive_children(int(entry.name))]
    return found


def connected_to(port: int, pids: Iterable[int]) -> int | None:
    """That of the processes that has a connection to a port of 127.0.0.1."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[2] == f"0100007F:{port:04X}" and row[3] == "01"}
    for pid in pids:
        with suppress(OSError):  # it has ended, or closed the file
            if any(str(file.readlink()) in sockets for file in (Path("/proc") / str(pid) / "fd").iterdir()):
                return pid
    return None
