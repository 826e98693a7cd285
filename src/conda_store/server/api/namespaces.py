"""Namespaces."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from conda_store.server.api import shapes
from conda_store.server.api.documented import refusals
from conda_store.server.api.parameters import NamespaceName, Number, Order, Size, SortBy, page_request
from conda_store.server.api.schemas import Acknowledgement, Answer, Document, NamespaceRow, NamespaceShape, PageOf
from conda_store.server.parts import Caller
from conda_store.server.rendering import JSON, acknowledged, ok
from conda_store.services import namespaces

router = APIRouter(tags=["namespaces"])


@router.get("/api/v1/namespace/", response_model=PageOf[NamespaceRow])
def list_namespaces(
    call: Caller, page: Number = None, size: Size = None, order: Order = None, sort_by: SortBy = None
) -> Response:
    """The namespaces that the caller sees. Sorted by `name`."""
    request = page_request(call.options, page, size, order, sort_by)
    found = namespaces.list_namespaces(call.context, call.actor, request)
    rows = [{"id": row.id, "name": row.name} for row in found.rows]
    # this list alone has no `message`
    return JSON({"status": "ok", "data": rows, "page": found.page, "size": found.size, "count": found.count})


@router.get("/api/v1/namespace/{namespace}/", response_model=Answer[NamespaceShape], responses=refusals(404))
def get_namespace(call: Caller, namespace: NamespaceName) -> Response:
    return ok(shapes.namespace(namespaces.get_namespace(call.context, call.actor, namespace)))


@router.post("/api/v1/namespace/{namespace}/", response_model=Acknowledgement, responses=refusals(400, 403, 409))
def create_namespace(call: Caller, namespace: NamespaceName) -> Response:
    namespaces.create_namespace(call.context, call.actor, namespace)
    return acknowledged()


@router.put("/api/v1/namespace/{namespace}/metadata", response_model=Acknowledgement, responses=refusals(403, 404))
def set_namespace_metadata(call: Caller, namespace: NamespaceName, metadata: Document) -> Response:
    """The body is the metadata itself; it replaces what was there."""
    namespaces.set_namespace_metadata(call.context, call.actor, namespace, metadata)
    return acknowledged()


@router.delete("/api/v1/namespace/{namespace}/", response_model=Acknowledgement, responses=refusals(403, 404))
def delete_namespace(call: Caller, namespace: NamespaceName) -> Response:
    """Deletes the environments in it, and all their builds, too."""
    namespaces.delete_namespace(call.context, call.actor, namespace)
    return acknowledged()
