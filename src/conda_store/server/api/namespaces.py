"""Namespaces."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from conda_store.server.api import shapes
from conda_store.server.api.bodies import Document, NamespaceBody, RoleBody, RoleHolderBody
from conda_store.server.api.documented import refusals
from conda_store.server.api.parameters import NamespaceName, Number, Order, Size, SortBy, page_request
from conda_store.server.api.schemas import (
    Acknowledgement,
    Answer,
    NamespaceRoleShape,
    NamespaceRow,
    NamespaceShape,
    PageOf,
)
from conda_store.server.parts import Call, Caller
from conda_store.server.rendering import JSON, acknowledged, ok
from conda_store.services import namespaces, roles

router = APIRouter(tags=["namespaces"])

OtherNamespace = Annotated[str, Query(description="The namespace whose role is asked for.")]


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
    """With its role mappings of version 1, for those who may see them."""
    found = namespaces.get_namespace(call.context, call.actor, namespace)
    return ok(shapes.namespace(found, roles.list_mappings(call.context, call.actor, namespace)))


@router.post("/api/v1/namespace/{namespace}/", response_model=Acknowledgement, responses=refusals(400, 403, 409))
def create_namespace(call: Caller, namespace: NamespaceName) -> Response:
    namespaces.create_namespace(call.context, call.actor, namespace)
    return acknowledged()


@router.put("/api/v1/namespace/{namespace}/", response_model=Acknowledgement, responses=refusals(400, 403, 404))
def update_namespace(call: Caller, namespace: NamespaceName, body: NamespaceBody) -> Response:
    """Replaces metadata and role mappings (version 1), as far as they are given. The mappings say what those may do
    elsewhere whose primary namespace this is; nobody can give more than they hold."""
    roles.update_namespace(call.context, call.actor, namespace, body.metadata, body.role_mappings)
    return acknowledged()


@router.get(
    "/api/v1/namespace/{namespace}/roles", response_model=Answer[list[NamespaceRoleShape]], responses=refusals(403, 404)
)
def list_namespace_roles(call: Caller, namespace: NamespaceName) -> Response:
    """Which namespaces have a role in this one (role mappings of version 2)."""
    return ok([shapes.namespace_role(row) for row in roles.list_roles(call.context, call.actor, namespace)])


@router.delete("/api/v1/namespace/{namespace}/roles", response_model=Acknowledgement, responses=refusals(403, 404))
def delete_namespace_roles(call: Caller, namespace: NamespaceName) -> Response:
    roles.delete_roles(call.context, call.actor, namespace)
    return acknowledged()


@router.get(
    "/api/v1/namespace/{namespace}/role",
    response_model=Answer[NamespaceRoleShape],
    responses=refusals(400, 403, 404),
)
def get_namespace_role(call: Caller, namespace: NamespaceName, other_namespace: OtherNamespace) -> Response:
    return ok(shapes.namespace_role(roles.get_role(call.context, call.actor, namespace, other_namespace)))


@router.post(
    "/api/v1/namespace/{namespace}/role", response_model=Acknowledgement, responses=refusals(400, 403, 404, 409)
)
def give_namespace_role(call: Caller, namespace: NamespaceName, body: RoleBody) -> Response:
    """Gives those of another namespace a role in this one."""
    roles.give_role(call.context, call.actor, namespace, body.other_namespace, body.role)
    return acknowledged(_without_effect(call))


@router.put("/api/v1/namespace/{namespace}/role", response_model=Acknowledgement, responses=refusals(400, 403, 404))
def change_namespace_role(call: Caller, namespace: NamespaceName, body: RoleBody) -> Response:
    roles.change_role(call.context, call.actor, namespace, body.other_namespace, body.role)
    return acknowledged(_without_effect(call))


@router.delete("/api/v1/namespace/{namespace}/role", response_model=Acknowledgement, responses=refusals(403, 404))
def delete_namespace_role(call: Caller, namespace: NamespaceName, body: RoleHolderBody) -> Response:
    """Takes the role away, if there is one."""
    roles.take_role(call.context, call.actor, namespace, body.other_namespace)
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


def _without_effect(call: Call) -> str | None:
    """What to tell about a role mapping of version 2 that is kept, and counts for nothing."""
    if call.context.deployment.role_mappings_version == 2:
        return None
    return "It has no effect yet: role mappings of version 1 count here (role_mappings_version)."
