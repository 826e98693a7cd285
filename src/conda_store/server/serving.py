"""Sending a blob, whole or in part (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from conda_store.errors import NotFound
from conda_store.server.parts import parts_of
from conda_store.server.sending import EXTENSION, SendFile
from conda_store.storage.blobs import BlobInfo, BlobStore
from conda_store.storage.keys import stored_path

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_CHUNK = 512 << 10


def blob_answer(
    blobs: BlobStore, request: Request, info: BlobInfo, media_type: str, headers: Mapping[str, str]
) -> Response:
    """The blob, the part of it that the request asks for, or 304 where the client has it. `headers` go with it; an
    `ETag` among them takes the place of the store's."""
    etag = headers.get("ETag") or info.etag
    given = {
        "Accept-Ranges": "bytes",
        "Last-Modified": format_datetime(info.last_modified, usegmt=True),
        "X-Content-Type-Options": "nosniff",
        **headers,
    }
    if etag:
        given["ETag"] = etag
        if is_known(request, etag):
            return Response(status_code=304, headers=given)
    status, start, end = 200, 0, info.size
    wanted = request.headers.get("range")
    if wanted and request.headers.get("if-range", etag) == etag and (match := _RANGE.fullmatch(wanted)):
        part = _part(match[1], match[2], info.size)
        if part is None:
            return Response(status_code=416, headers=given | {"Content-Range": f"bytes */{info.size}"})
        status, (start, end) = 206, part
        given["Content-Range"] = f"bytes {start}-{end - 1}/{info.size}"
    given["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=given, media_type=media_type)
    path = blobs.local_path(info.key)
    prefix = parts_of(request).options.accel_redirect
    if path is not None and prefix and request.method == "GET":
        # the server in front sends it, and sees to ranges itself
        place = f"{prefix.rstrip('/')}/{quote(stored_path(info.key))}"
        kept = {name: value for name, value in given.items() if name not in {"Content-Length", "Content-Range"}}
        return Response(headers={**kept, "X-Accel-Redirect": place}, media_type=media_type)
    if path is not None and end > start and EXTENSION in request.scope.get("extensions", {}):
        return FileAnswer(path, start, end, status_code=status, headers=given, media_type=media_type)
    content = blobs.stream(info.key, start, end) if path is None else _read(path, start, end)
    return StreamingResponse(content, status_code=status, headers=given, media_type=media_type)


class FileAnswer(Response):
    """A part of a file of this machine, sent by the kernel.

    Raises, when it is called:
        NotFound: the file has been removed since it was looked for.
    """

    def __init__(self, path: Path, start: int, end: int, **keywords: Any) -> None:
        super().__init__(**keywords)
        self._path, self._start, self._end = path, start, end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        send_file: SendFile = scope["extensions"][EXTENSION]
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            raise NotFound("what was asked for has just been removed") from None
        with file:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await send_file(file, self._start, self._end - self._start)
        await send({"type": "http.response.body", "body": b""})


async def _read(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    """A file is read piece by piece as the client takes it."""
    async with await anyio.open_file(path, "rb") as file:
        await file.seek(start)
        while start < end and (chunk := await file.read(min(_CHUNK, end - start))):
            start += len(chunk)
            yield chunk


def is_known(request: Request, etag: str) -> bool:
    """Whether the client says that it has this already (RFC 9110, 13.1.2)."""
    header = request.headers.get("if-none-match")
    if header is None:
        return False
    known = {item.strip().removeprefix("W/") for item in header.split(",")}
    return "*" in known or etag.removeprefix("W/") in known


def _part(first: str, last: str, size: int) -> tuple[int, int] | None:
    """Start and end (not included) of a range, None where it lies outside."""
    if not first:
        length = int(last) if last else 0
        return (max(size - length, 0), size) if length and size else None
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    return (start, end) if start < end else None
