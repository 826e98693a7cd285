"""Pages at the paths of other releases, `/admin/...` and `/ui/...`, lead to ours, and `/favicon.ico` to the icon."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse

from conda_store.server.parts import Caller
from conda_store.server.web import static_files
from conda_store.server.web.rendering import PageRoute, own_path

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/admin/{rest:path}")
@router.get("/admin")
def get_admin(request: Request, call: Caller, rest: str = "") -> RedirectResponse:
    """The same path, query included."""
    raw = (request.scope.get("raw_path") or request.url.path.encode()).decode("latin-1")
    path = raw.removeprefix(f"{call.options.prefix}/admin").lstrip("/\\")
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{call.options.prefix}/{path}{query}")


@router.get("/ui/{rest:path}")
@router.get("/ui")
def get_ui(call: Caller, rest: str = "") -> RedirectResponse:
    """`/ui/<namespace>/<name>` is an environment, `/ui/<namespace>/new-environment` the form, anything else home."""
    parts = [part for part in rest.split("/") if part]
    options = call.options
    if len(parts) == 2 and parts[1] == "new-environment":
        return RedirectResponse(own_path(options, "create", namespace=parts[0]))
    if len(parts) == 2:
        return RedirectResponse(own_path(options, "environment", *parts))
    return RedirectResponse(own_path(options))


@router.get("/favicon.ico")
def get_favicon(call: Caller) -> RedirectResponse:
    """Where browsers look that have seen no page yet."""
    return RedirectResponse(f"{call.options.prefix}{static_files.asset_path('icon.svg')}")
