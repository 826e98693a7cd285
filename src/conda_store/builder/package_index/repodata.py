"""The repodata of a channel's subdir, and the summaries in its channeldata, fetched when they changed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
from rattler import Channel, Client, SparseRepoData, Subdir, fetch_repo_data

from conda_store.builder.authentication import config_of
from conda_store.builder.failures import redacted
from conda_store.builder.forwarding import forwarder, refused
from conda_store.builder.package_index.catalog import read_summaries
from conda_store.builder.package_index.layout import Layout, replacing
from conda_store.builder.package_index.model import IndexOptions
from conda_store.errors import ChannelUnavailable


@dataclass(frozen=True)
class Source:
    """The repodata of one subdir as it is now; `state` stays equal while the content does."""

    channel: str
    subdir: str
    state: str
    repodata: SparseRepoData


class Fetcher:
    def __init__(self, layout: Layout, options: IndexOptions) -> None:
        self.layout = layout
        self.options = options
        self.client = _client(options)

    async def repodata(self, channel: str, subdir: str, known_state: str | None) -> Source | None:
        """The subdir's repodata; None where its state is the known one.

        Raises:
            ChannelUnavailable: it cannot be had, or what came is no repodata.
            FileNotFoundError: the channel has no such subdir.
        """
        local = _local_file(channel, subdir)
        if local is not None and local.is_file():
            return self._read_local(channel, subdir, local, known_state)
        if local is not None and not any(local.with_name(local.name + suffix).is_file() for suffix in (".zst", ".bz2")):
            raise FileNotFoundError(local)
        cache = self.layout.repodata(channel, subdir)
        cache.parent.mkdir(mode=0o700, parents=True, exist_ok=True)  # rattler notes the URLs that it used
        cache.mkdir(exist_ok=True)
        try:
            async with asyncio.timeout(self.options.fetch_timeout):
                (repodata,) = await fetch_repo_data(
                    channels=[Channel(channel)],
                    platforms=[Subdir(subdir)],
                    cache_path=cache,
                    callback=None,
                    client=self.client,
                )
        except TimeoutError:
            raise _unavailable(channel, subdir, f"no answer within {self.options.fetch_timeout:g} s") from None
        except Exception as error:  # rattler raises its own class, and ValueError or OSError for what it cannot read
            # what was downloaded may be what cannot be read: the next attempt begins without it
            shutil.rmtree(cache, ignore_errors=True)
            raise self._failure(channel, subdir, error) from error
        state = _cached_state(cache)
        if state == known_state:
            repodata.close()
            return None
        return Source(channel, subdir, state, repodata)

    def _read_local(self, channel: str, subdir: str, path: Path, known_state: str | None) -> Source | None:
        stat = path.stat()
        state = f"{stat.st_mtime_ns} {stat.st_size} {stat.st_ino}"
        if state == known_state:
            return None
        try:
            return Source(channel, subdir, state, SparseRepoData(Channel(channel), subdir, path))
        except Exception as error:  # as above
            raise self._failure(channel, subdir, error) from error

    def _failure(self, channel: str, subdir: str, error: Exception) -> Exception:
        text = redacted(str(error))
        if (refusal := refused(text, self.options.addresses)) is not None:
            return ChannelUnavailable(
                f"The repodata of {channel} for {subdir} is not read: {refusal.message}", hint=refusal.hint
            )
        if text.startswith("repodata not found"):
            return FileNotFoundError(f"{channel}/{subdir}")
        causes = [line.removeprefix("Caused by: ").strip() for line in text.splitlines() if line.strip()]
        return _unavailable(channel, subdir, "; ".join((causes[0], *causes[-1:])) if len(causes) > 1 else text)

    async def summaries(self, channel: str) -> None:
        """Bring the file of summaries up to date; leave it as it is when the channel's channeldata cannot be had.

        Summaries are an ornament: a channel without channeldata.json is as good as any.
        """
        target = self.layout.summaries(channel)
        local = _local_file(channel, "channeldata.json", is_directory=False)
        with contextlib.suppress(httpx.HTTPError, OSError, ValueError, TimeoutError):
            if local is not None:
                stat = local.stat()
                state, content = f"{stat.st_mtime_ns} {stat.st_size}", None
                if state != _summaries_tag(target):
                    content = local.read_bytes()
            else:
                async with asyncio.timeout(self.options.fetch_timeout):
                    state, content = await self._download_channeldata(channel, _summaries_tag(target))
            if content is not None:
                _write_summaries(target, state, json.loads(content))

    async def _download_channeldata(self, channel: str, tag: str) -> tuple[str, bytes | None]:
        """The answer's ETag and body; no body where the tag is still right.

        Raises:
            ValueError: larger than the limit.
            httpx.HTTPError: no good answer.
        """
        headers = {"If-None-Match": tag} if tag else {}
        used = forwarder(self.options.addresses)
        url = f"{channel.rstrip('/')}/channeldata.json"
        async with (
            httpx.AsyncClient(follow_redirects=True, timeout=30, proxy=used.url if used else None) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code == httpx.codes.NOT_MODIFIED:
                return tag, None
            response.raise_for_status()
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > self.options.channeldata_limit:
                    raise ValueError("channeldata.json is larger than the limit")
            return response.headers.get("ETag", ""), bytes(body)


def _client(options: IndexOptions) -> Client:
    config = config_of(options.authentication_file, options.addresses)
    return Client.from_config(config, max_retries=options.retries, timeout=max(1, round(options.fetch_timeout)))


def _unavailable(channel: str, subdir: str, reason: str) -> ChannelUnavailable:
    return ChannelUnavailable(
        f"The repodata of {channel} for {subdir} cannot be read: {reason}",
        hint="Packages are still listed as they were when it was last read; the next refresh tries again.",
    )


def _local_file(channel: str, name: str, *, is_directory: bool = True) -> Path | None:
    """The file of a `file://` channel, None for others."""
    parts = urlsplit(channel)
    if parts.scheme != "file":
        return None
    path = Path(unquote(parts.path)) / name
    return path / "repodata.json" if is_directory else path


def _cached_state(cache: Path) -> str:
    """The digest that rattler keeps beside the repodata."""
    (info,) = cache.glob("*.info.json")
    values = json.loads(info.read_bytes())
    return str(values.get("blake2_hash") or f"{values['mtime_ns']} {values['size']}")


def _summaries_tag(path: Path) -> str:
    try:
        return str(json.loads(path.read_bytes())["tag"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _write_summaries(target: Path, tag: str, channeldata: Any) -> None:
    """Keep what is needed of it, unless it is what was kept before.

    Raises:
        ValueError: this is no channeldata.
    """
    packages = channeldata.get("packages") if isinstance(channeldata, dict) else None
    if not isinstance(packages, dict):
        raise ValueError("no channeldata")
    summaries = {
        name.lower(): summary
        for name, entry in packages.items()
        if isinstance(entry, dict) and isinstance(summary := entry.get("summary"), str)
    }
    if summaries == read_summaries(target) and tag == _summaries_tag(target):
        return
    with replacing(target) as staging:
        staging.write_text(json.dumps({"tag": tag, "summaries": summaries}, ensure_ascii=False), encoding="utf-8")
