"""`/api/v1/`, permissions and usage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from conda_store import __version__
from conda_store.domain.access import Actor
from conda_store.server.api.schemas import Answer, PermissionShape, UsageShape, VersionShape
from conda_store.server.parts import Caller
from conda_store.server.rendering import moment, ok
from conda_store.services import namespaces

router = APIRouter(tags=["status"])

# what is shown for tokens that do not expire
_SHOWN_LIFETIME = timedelta(days=1)


@router.get("/api/v1/", response_model=Answer[VersionShape])
def get_status() -> Response:
    """The version of the server; answers without a token, and without looking at the database."""
    return ok({"version": __version__})


@router.get("/api/v1/permission/", response_model=Answer[PermissionShape])
def get_permissions(call: Caller) -> Response:
    """Who the caller is, and what they may do where."""
    return ok(_permissions(call.actor))


def _permissions(actor: Actor) -> dict[str, Any]:
    roles: dict[str, list[str]] = {}
    permissions: dict[str, set[str]] = {}
    for binding in actor.effective_bindings:
        roles.setdefault(binding.entity, []).append(binding.role.name)
        held = binding.role.permissions & actor.permissions_over(binding)
        permissions.setdefault(binding.entity, set()).update(held)
    expiration = f"{moment(actor.expires)}Z" if actor.expires else None
    if actor.is_authenticated and expiration is None:
        expiration = moment(datetime.now(UTC) + _SHOWN_LIFETIME)
    return {
        "authenticated": actor.is_authenticated,
        "primary_namespace": actor.primary_namespace,
        "entity_permissions": {entity: sorted(held) for entity, held in permissions.items()},
        "entity_roles": roles,
        "expiration": expiration,
    }


@router.get("/api/v1/usage/", response_model=Answer[dict[str, UsageShape]])
def get_usage(call: Caller) -> Response:
    """What the namespaces that the caller sees hold, in environments, builds and bytes."""
    return ok(
        {
            item.name: {"num_environments": item.environments, "num_builds": item.builds, "storage": item.storage}
            for item in namespaces.usage(call.context, call.actor)
        }
    )
