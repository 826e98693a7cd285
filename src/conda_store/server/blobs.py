"""Blobs: handed out to those who may read the environment that they belong to, whole or in part (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from email.utils import format_datetime

import anyio
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response, StreamingResponse

from conda_store.errors import NotFound
from conda_store.server.api.documented import refusals
from conda_store.server.parts import Call, Caller
from conda_store.services import artifacts
from conda_store.services.artifacts import Blob
from conda_store.storage.blobs import BlobInfo

router = APIRouter(tags=["artifacts"])

_CHUNK = 512 * 1024
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@router.head("/storage/{key:path}", include_in_schema=False)
@router.get("/storage/{key:path}", responses=refusals(404), response_class=Response)
async def get_blob(call: Caller, key: str, request: Request) -> Response:
    """The content of an artifact. Where the store can sign URLs: a redirect to it, good for an hour."""
    blob = await run_in_threadpool(artifacts.find_blob, call.context, call.actor, key)
    blobs = call.context.blobs
    if signed := await run_in_threadpool(blobs.sign, blob.key, call.options.signed_url_lifetime):
        return RedirectResponse(signed, headers={"Cache-Control": "no-store"})
    info = await blobs.head_async(blob.key)
    if info is None:
        raise NotFound("no such file")
    return _answer(call, request, blob, info)


def _answer(call: Call, request: Request, blob: Blob, info: BlobInfo) -> Response:
    headers = {
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'{_disposition(blob)}; filename="{blob.key.rpartition("/")[2]}"',
        "Last-Modified": format_datetime(info.last_modified, usegmt=True),
        "X-Content-Type-Options": "nosniff",
    }
    if info.etag:
        headers["ETag"] = info.etag
        if _is_known(request.headers.get("if-none-match"), info.etag):
            return Response(status_code=304, headers=headers)
    status, start, end = 200, 0, info.size
    wanted = request.headers.get("range")
    if wanted and request.headers.get("if-range", info.etag) == info.etag and (match := _RANGE.fullmatch(wanted)):
        part = _part(match[1], match[2], info.size)
        if part is None:
            return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{info.size}"})
        status, (start, end) = 206, part
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{info.size}"
    headers["Content-Length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=blob.content_type)
    content = _stream(call, blob.key, start, end)
    return StreamingResponse(content, status_code=status, headers=headers, media_type=blob.content_type)


async def _stream(call: Call, key: str, start: int, end: int) -> AsyncIterator[bytes]:
    """A file of this machine is read piece by piece as the client takes it; stores elsewhere read ahead."""
    path = call.context.blobs.local_path(key)
    if path is None:
        async for chunk in call.context.blobs.stream(key, start, end):
            yield chunk
        return
    async with await anyio.open_file(path, "rb") as file:
        await file.seek(start)
        while start < end and (chunk := await file.read(min(_CHUNK, end - start))):
            start += len(chunk)
            yield chunk


def _disposition(blob: Blob) -> str:
    return "inline" if blob.content_type.startswith(("text/", "application/json")) else "attachment"


def _is_known(header: str | None, etag: str) -> bool:
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
