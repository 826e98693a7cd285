"""Blobs: handed out to those who may read the environment that they belong to, whole or in part (RFC 9110)."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from conda_store.errors import NotFound
from conda_store.server.api.documented import refusals
from conda_store.server.parts import Caller
from conda_store.server.serving import blob_answer
from conda_store.services import artifacts
from conda_store.services.artifacts import Blob

router = APIRouter(tags=["artifacts"])


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
    headers = {
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'{_disposition(blob)}; filename="{blob.key.rpartition("/")[2]}"',
    }
    return blob_answer(blobs, request, info, blob.content_type, headers)


def _disposition(blob: Blob) -> str:
    return "inline" if blob.content_type.startswith(("text/", "application/json")) else "attachment"
