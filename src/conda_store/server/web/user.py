"""Who is logged in, and what they may do."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from conda_store.server.parts import Caller
from conda_store.server.web.rendering import PageRoute, own_path, page
from conda_store.services import metrics, namespaces

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/user/")
def get_user(request: Request, call: Caller) -> Response:
    if not call.actor.is_authenticated:
        return RedirectResponse(own_path(call.options, "login", next=own_path(call.options, "user")))
    bindings = [
        (binding.entity, binding.role.name, sorted(binding.role.permissions)) for binding in call.actor.bindings
    ]
    numbers = metrics.numbers(call.context)
    return page(
        request,
        "user.html",
        bindings=bindings,
        usage=namespaces.usage(call.context, call.actor),
        disk_total=numbers.get("disk_total", 0),
        disk_free=numbers.get("disk_free", 0),
    )
