"""The present state of channels, asked for cheaply: one HEAD request for each subdir, remembered for some seconds."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from conda_store.builder.access import require_file
from conda_store.builder.authentication import entries
from conda_store.builder.head_requests import Answer, RequestFailed, head
from conda_store.builder.options import BuilderOptions
from conda_store.builder.together import together
from conda_store.domain.channel import without_credentials
from conda_store.errors import ChannelNotFound, ChannelUnavailable

SHARDS = "repodata_shards.msgpack.zst"
FILES = (SHARDS, "repodata.json.zst", "repodata.json")
ABSENT = "absent"
_MISSING = frozenset({404, 410})
_CLOSED = frozenset({401, 403, 407})


@dataclass(frozen=True)
class ChannelState:
    """`subdirs` maps each subdir to a digest of its state; `has_safe_shards` is False where sharded repodata must
    not be used: without ETag rattler cannot revalidate it."""

    url: str
    subdirs: Mapping[str, str]
    has_safe_shards: bool = True

    @property
    def digest(self) -> str:
        """sha256 (hex) over all of it."""
        return hashlib.sha256(json.dumps([self.url, sorted(self.subdirs.items())]).encode()).hexdigest()


@dataclass(frozen=True)
class _Subdir:
    digest: str
    has_safe_shards: bool = True


class ChannelChecks:
    """Asks channels for their state. Requests at the same moment share one check."""

    def __init__(self, options: BuilderOptions) -> None:
        self._options = options
        self._known: dict[tuple[str, tuple[str, ...]], tuple[float, ChannelState]] = {}
        self._running: dict[tuple[str, tuple[str, ...]], asyncio.Task[ChannelState]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def state(self, url: str, subdirs: tuple[str, ...]) -> ChannelState:
        """The state of a channel, at most `repodata_check_interval` seconds old.

        Raises:
            ChannelNotFound: it is not there, or not open to us.
            ChannelUnavailable: it does not answer, or with an error of its own.
        """
        self._follow_loop()
        key = (url, subdirs)
        known = self._known.get(key)
        if known is not None and time.monotonic() - known[0] < self._options.repodata_check_interval:
            return known[1]
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._check(url, subdirs))
            self._running[key] = task
            task.add_done_callback(lambda done: self._ended(key, done))
        state = await asyncio.shield(task)
        self._known[key] = (time.monotonic(), state)
        return state

    def _ended(self, key: tuple[str, tuple[str, ...]], task: asyncio.Task[ChannelState]) -> None:
        if self._running.get(key) is task:
            del self._running[key]
        if not task.cancelled():
            task.exception()  # whoever waited may have been cancelled

    def _follow_loop(self) -> None:
        """Tasks belong to an event loop; in another one begin anew."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            self._running.clear()

    async def _check(self, url: str, subdirs: tuple[str, ...]) -> ChannelState:
        parts = urlsplit(url)
        if parts.scheme == "file":
            require_file(unquote(parts.path), self._options)
            found = await asyncio.to_thread(_local_state, Path(unquote(parts.path)), subdirs)
        elif parts.scheme in ("http", "https") and not self._options.is_offline:
            try:
                async with asyncio.timeout(self._options.channel_check_timeout):
                    answers = await together(self._subdir(url, subdir) for subdir in subdirs)
            except TimeoutError:
                raise _unavailable(
                    url, f"did not answer within {self._options.channel_check_timeout:g} seconds"
                ) from None
            found = dict(zip(subdirs, answers, strict=True))
        elif self._options.is_offline:
            found = {subdir: _Subdir("offline") for subdir in subdirs}
        else:  # a store that knows no HEAD (s3://, oci://): taken to be new each time
            found = {subdir: _Subdir(str(time.time_ns())) for subdir in subdirs}
        if found.get("noarch", _Subdir("")).digest == ABSENT:
            raise _not_found(url, any(subdir.digest != ABSENT for subdir in found.values()))
        return ChannelState(
            without_credentials(url),
            {name: subdir.digest for name, subdir in found.items()},
            all(subdir.has_safe_shards for subdir in found.values()),
        )

    async def _subdir(self, url: str, subdir: str) -> _Subdir:
        closed = None
        unsafe: Answer | None = None  # shards without ETag: only where there is nothing else
        for file in FILES:
            answer = await self._head(url, f"{url}/{subdir}/{file}")
            status = answer.status
            if 200 <= status < 300:
                if file == SHARDS and "etag" not in answer.headers:
                    unsafe = answer
                    continue
                return _Subdir(_digest(file, answer.headers), unsafe is None)
            if status in _CLOSED:
                closed = status  # stores without a listing say 403 for what is not there
            elif status not in _MISSING:
                raise _unavailable(url, f"answered {status} for {subdir}/{file}")
        if unsafe is not None:
            return _Subdir(_digest(SHARDS, unsafe.headers))
        if closed is not None:
            raise ChannelNotFound(
                f"Channel {without_credentials(url)} refused {subdir}/repodata.json with status {closed}",
                hint="Check its name; a private channel needs a credential in the namespace.",
            )
        return _Subdir(ABSENT)

    async def _head(self, channel: str, url: str) -> Answer:
        try:
            return await head(
                url,
                limit=self._options.channel_check_timeout,
                entries=entries(self._options),
                addresses=self._options.addresses,
            )
        except RequestFailed as error:
            raise _unavailable(channel, f"cannot be reached ({error})") from error


def _digest(file: str, headers: Mapping[str, str]) -> str:
    """Over the validator; where there is only a date, which has seconds, over the length too."""
    etag = headers.get("etag")
    dated = [headers.get("last-modified") or str(time.time_ns()), headers.get("content-length")]
    return hashlib.sha256(json.dumps([file, etag or dated]).encode()).hexdigest()


def _local_state(directory: Path, subdirs: tuple[str, ...]) -> dict[str, _Subdir]:
    found = {}
    for subdir in subdirs:
        stamps = []
        for file in FILES:
            try:
                stat = (directory / subdir / file).stat()
            except OSError:
                continue
            stamps.append((file, stat.st_mtime_ns, stat.st_size, stat.st_ino))
        digest = hashlib.sha256(json.dumps(stamps).encode()).hexdigest()
        found[subdir] = _Subdir(digest if stamps else ABSENT)
    return found


def _unavailable(url: str, what: str) -> ChannelUnavailable:
    return ChannelUnavailable(
        f"Channel {without_credentials(url)} {what}",
        hint="It may be down for the moment; if it stays so, check the URL and the network of the service.",
    )


def _not_found(url: str, has_others: bool) -> ChannelNotFound:
    missing = "has no noarch/repodata.json, which every channel must have" if has_others else "does not exist"
    hint = "Check the channel's name in the specification, and the channel alias of the service."
    if url.endswith("/defaults"):
        hint = "`defaults` is what conda's own configuration says; write https://repo.anaconda.com/pkgs/main, if that."
    return ChannelNotFound(f"Channel {without_credentials(url)} {missing}", hint=hint)
