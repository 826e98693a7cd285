"""A file from the server to the disk: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx

from conda_store.client.answers import no_answer, refusal
from conda_store.client.transport import UNREADY, Parameters, Transport
from conda_store.errors import ServerError

OnProgress = Callable[[int, int | None], None]


def _nothing(done: int, total: int | None) -> None:
    pass


@dataclass
class _Partial:
    """What has arrived.

    `validator` is the ETag of the bytes so far, empty where they cannot be continued; `refusal` is why there is
    nothing yet.
    """

    file: BinaryIO
    done: int = 0
    total: int | None = None
    validator: str = ""
    refusal: ServerError | None = None

    def restart(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.done, self.total, self.validator = 0, None, ""


def download(
    transport: Transport,
    path: str,
    target: Path,
    *,
    parameters: Parameters | None = None,
    on_progress: OnProgress = _nothing,
    longest_wait: float = 900.0,
    clock: Callable[[], float] = time.monotonic,
) -> Path:
    """The bytes at `path` as the file `target`, which appears when it is complete and replaces an earlier one.

    Where the connection breaks, the rest is asked for by Range. Where the server has yet to make the artifact it is
    waited for, `longest_wait` seconds at most. `on_progress` gets bytes done and, where known, bytes in all.

    Raises:
        ServerError: refused, not reached, or never made.
        OSError: it cannot be written; its `filename` is the target.
    """
    try:
        descriptor, staging = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.", suffix=".part")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            _fetch(transport, path, parameters, _Partial(file), on_progress, clock() + longest_wait, clock)
        Path(staging).chmod(0o666 & ~_umask())
        Path(staging).replace(target)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
    finally:
        with contextlib.suppress(OSError):
            Path(staging).unlink(missing_ok=True)
    return target


def _fetch(
    transport: Transport,
    path: str,
    parameters: Parameters | None,
    partial: _Partial,
    on_progress: OnProgress,
    deadline: float,
    clock: Callable[[], float],
) -> None:
    failures = 0
    while True:
        before = partial.done
        try:
            wait = _attempt(transport, path, parameters, partial, on_progress)
        except httpx.TransportError as error:
            # whatever arrived shows that the server lives; silence before it, that the artifact is being made
            is_being_made = isinstance(error, httpx.ReadTimeout) and not partial.done and clock() < deadline
            failures = 1 if partial.done > before or is_being_made else failures + 1
            if failures >= transport.patience.attempts:
                raise no_answer(error, transport.url) from error
            wait = transport.patience.delay(failures)
        except ServerError as error:
            failures += 1
            if error.status not in UNREADY or failures >= transport.patience.attempts:
                raise
            wait = transport.patience.delay(failures)
        else:
            if wait is None:
                return
            if clock() + wait > deadline:
                raise partial.refusal or ServerError("the artifact was not made in time", hint="Try again later.")
        transport.sleep(wait)


def _attempt(
    transport: Transport,
    path: str,
    parameters: Parameters | None,
    partial: _Partial,
    on_progress: OnProgress,
) -> float | None:
    """Read on. None where it is complete, else the seconds after which the server wants to be asked again."""
    # offsets and lengths are of the bytes as they are stored
    headers = {"Accept-Encoding": "identity"}
    if partial.validator:
        headers |= {"Range": f"bytes={partial.done}-", "If-Range": partial.validator}
    with transport.stream(path, parameters=parameters, headers=headers, accepts=frozenset({416, 503})) as response:
        retry_after = response.headers.get("retry-after")
        if response.status_code == 202 or (response.status_code == 503 and retry_after is not None):
            response.read()
            partial.refusal = refusal(response) if response.status_code == 503 else None
            return transport.patience.delay(1, retry_after or "2")
        if response.status_code == 416:
            partial.restart()
            return 0.0
        if response.status_code >= 400:
            response.read()
            raise refusal(response)
        _begin(response, partial)
        on_progress(partial.done, partial.total)
        for piece in response.iter_bytes():
            partial.file.write(piece)
            partial.done += len(piece)
            on_progress(partial.done, partial.total)
    return None


def _begin(response: httpx.Response, partial: _Partial) -> None:
    """Make ready for the body: to go on where it is the rest, from the beginning where it is the whole."""
    is_rest = response.status_code == 206 and response.headers.get("content-range", "").startswith(
        f"bytes {partial.done}-"
    )
    if not is_rest:
        partial.restart()
    if response.headers.get("content-encoding", "identity") != "identity":
        return  # lengths would be of other bytes than those that are written
    length = response.headers.get("content-length", "")
    partial.total = partial.done + int(length) if length.isdigit() else None
    etag = response.headers.get("etag", "")
    if not is_rest and not etag.startswith("W/"):
        partial.validator = etag


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    current = os.umask(0o077)
    os.umask(current)
    return current
