"""Style sheet, scripts and icon: read once, named by their content, so that browsers keep them."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.responses import Response

from conda_store.errors import NotFound

router = APIRouter(include_in_schema=False)

_DIRECTORY = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@lru_cache(maxsize=1)
def _files() -> dict[str, tuple[bytes, str]]:
    """Content and digest of each file."""
    contents = {path.name: path.read_bytes() for path in sorted(_DIRECTORY.iterdir()) if path.suffix in _TYPES}
    return {name: (content, hashlib.sha256(content).hexdigest()[:16]) for name, content in contents.items()}


def asset_path(name: str) -> str:
    """Where a file is, below the prefix; another path when its content is another."""
    return f"/static/{name}?v={_files()[name][1]}"


@router.get("/static/{name}")
def get_static(name: str, request: Request) -> Response:
    found = _files().get(name)
    if found is None:
        raise NotFound("no such file")
    content, digest = found
    is_named = request.query_params.get("v") == digest
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable" if is_named else "no-cache",
        "ETag": f'"{digest}"',
    }
    if request.headers.get("if-none-match") == f'"{digest}"':
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=_TYPES[Path(name).suffix])
