"""Running a program for a build: its lines go to the log, and it never outlives the build."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PASSED_ON = (
    "LANG", "LC_ALL", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy",
    "no_proxy", "all_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
)  # fmt: skip
_LINES_KEPT = 40
_LONGEST_LINE = 1 << 20
# The first argument is the number of a pipe's reading end. When we end, so does the pipe, and the guard kills the whole
# group: the kernel's way (PR_SET_PDEATHSIG) would reach the program alone, and not what it has started.
_GUARDED = '(read -r _ <"/dev/fd/$0"; kill -KILL 0) </dev/null >/dev/null 2>&1 & exec "$@"'


@dataclass(frozen=True)
class Ended:
    """`tail` are the last lines that the program wrote, to either stream."""

    status: int
    tail: tuple[str, ...]


def child_environment(prefix: Path, **extra: str) -> dict[str, str]:
    """Variables for a program that works on `prefix`: none of the service's own, which may be secrets."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    path = f"{prefix / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {"HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"} | passed | {"PATH": path} | extra


async def run_child(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    directory: Path,
    on_line: Callable[[str], None],
    stdin: bytes = b"",
    descriptors: Sequence[int] = (),
    timeout: float,  # noqa: ASYNC109 - killing belongs to it
) -> Ended:
    """Run the program in a process group of its own, which is killed when the caller is cancelled.

    It inherits the open `descriptors`. None of the group outlives us either, however we end.

    Raises:
        TimeoutError: it ran longer than `timeout` seconds, and was killed.
        OSError: it could not be started.
    """
    watched, kept_open = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", _GUARDED, str(watched)),
            *command,
            env=dict(environment),
            cwd=directory,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(watched, *descriptors),
            limit=_LONGEST_LINE,
        )
    except BaseException:
        os.close(kept_open)
        raise
    finally:
        os.close(watched)
    tail: deque[str] = deque(maxlen=_LINES_KEPT)
    try:
        async with asyncio.timeout(timeout):
            await asyncio.gather(_feed(process, stdin), _read(process, tail, on_line))
            status = await process.wait()
    finally:
        # also when it ended well: the guard is there, and something that it started may still run
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.returncode is None:
            await process.wait()
        os.close(kept_open)
    return Ended(status, tuple(tail))


async def _feed(process: asyncio.subprocess.Process, data: bytes) -> None:
    if process.stdin is None:
        return
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(data)
        await process.stdin.drain()
    process.stdin.close()


async def _read(process: asyncio.subprocess.Process, tail: deque[str], on_line: Callable[[str], None]) -> None:
    if process.stdout is None:
        return
    while True:
        try:
            raw = await process.stdout.readline()
        except ValueError:  # a line beyond the limit: the rest of it follows as lines of its own
            continue
        if not raw:
            return
        if line := raw.decode(errors="replace").rstrip():
            tail.append(line)
            on_line(line)
