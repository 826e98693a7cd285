"""Credentials of channels and package indexes: written, never read."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from conda_store.domain.credential import CredentialNote
from conda_store.server.api.bodies import CredentialBody
from conda_store.server.api.documented import refusals
from conda_store.server.api.parameters import NamespaceName
from conda_store.server.api.schemas import Acknowledgement, Answer, CredentialShape, SealedShape
from conda_store.server.parts import Caller
from conda_store.server.rendering import acknowledged, moment, ok
from conda_store.services import credentials

router = APIRouter(tags=["credentials"])

Host = Annotated[str, Query(description="Without scheme, port and path.")]


@router.get("/api/v1/credential/", response_model=Answer[list[CredentialShape]], responses=refusals(403))
def list_credentials(call: Caller) -> Response:
    """Which credentials the builds of all namespaces use; what they are is never told."""
    return ok([_shape(note) for note in credentials.list_credentials(call.context, call.actor)])


@router.put("/api/v1/credential/", response_model=Acknowledgement, responses=refusals(400, 403))
def set_credential(call: Caller, body: CredentialBody) -> Response:
    """Set the credential for a host, for the builds of all namespaces."""
    host = credentials.set_credential(call.context, call.actor, body.model_dump())
    return acknowledged(f"credential for {host} set")


@router.delete("/api/v1/credential/", response_model=Acknowledgement, responses=refusals(403, 404))
def delete_credential(call: Caller, host: Host) -> Response:
    credentials.delete_credential(call.context, call.actor, host)
    return acknowledged()


@router.post("/api/v1/credential/seal/", response_model=Answer[SealedShape], responses=refusals(403))
def seal_anew(call: Caller) -> Response:
    """Seal all credentials with the first of the keys, after which the other keys can be dropped."""
    return ok({"count": credentials.seal_anew(call.context, call.actor)})


@router.get(
    "/api/v1/namespace/{namespace}/credential/",
    response_model=Answer[list[CredentialShape]],
    responses=refusals(403, 404),
)
def list_namespace_credentials(call: Caller, namespace: NamespaceName) -> Response:
    """Which credentials the builds of a namespace use, those of all namespaces included."""
    return ok([_shape(note) for note in credentials.list_credentials(call.context, call.actor, namespace)])


@router.put(
    "/api/v1/namespace/{namespace}/credential/", response_model=Acknowledgement, responses=refusals(400, 403, 404)
)
def set_namespace_credential(call: Caller, namespace: NamespaceName, body: CredentialBody) -> Response:
    """Set the credential for a host, for the builds of a namespace."""
    host = credentials.set_credential(call.context, call.actor, body.model_dump(), namespace)
    return acknowledged(f"credential for {host} set")


@router.delete(
    "/api/v1/namespace/{namespace}/credential/", response_model=Acknowledgement, responses=refusals(403, 404)
)
def delete_namespace_credential(call: Caller, namespace: NamespaceName, host: Host) -> Response:
    credentials.delete_credential(call.context, call.actor, host, namespace)
    return acknowledged()


def _shape(note: CredentialNote) -> dict[str, Any]:
    return {
        "host": note.host,
        "namespace": note.namespace,
        "kind": note.kind.value,
        "set_by": note.set_by,
        "set_on": moment(note.set_on),
    }
