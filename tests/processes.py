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
    """The processes that descend from one, that are not zombies. The list is read once: looks may follow each other
    quickly."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                if fields[0] != "Z":
                    children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    wanted = [pid]
    while wanted:
        wanted = [child for parent in wanted for child in children.get(parent, ())]
        found += wanted
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
