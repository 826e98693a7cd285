"""Namespaces: listed and made."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from conda_store.db.paging import PageRequest
from conda_store.domain.roles import Permission
from conda_store.server.parts import Caller
from conda_store.server.web.forms import Sent
from conda_store.server.web.parameters import Number, Size
from conda_store.server.web.rendering import PageRoute, own_path, page, redirect
from conda_store.services import namespaces

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_PAGE_SIZE = 100


@router.get("/namespace/")
def get_namespaces(request: Request, call: Caller, number: Number = 1, size: Size = _PAGE_SIZE) -> Response:
    found = namespaces.list_namespaces(call.context, call.actor, PageRequest(number, size))
    usage = {row.name: row for row in namespaces.usage(call.context, call.actor)}
    may_create = call.actor.may_somewhere(Permission.NAMESPACE_CREATE)
    return page(request, "namespaces.html", found=found, usual=_PAGE_SIZE, usage=usage, may_create_namespace=may_create)


@router.post("/namespace/")
def post_namespace(call: Caller, sent: Sent) -> Response:
    namespaces.create_namespace(call.context, call.actor, sent.text("namespace"))
    return redirect(own_path(call.options, "namespace", said="namespace-created"))
