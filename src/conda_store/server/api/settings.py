"""Settings, at their three levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from conda_store.server.api.bodies import Document
from conda_store.server.api.documented import refusals
from conda_store.server.api.parameters import EnvironmentName, NamespaceName
from conda_store.server.api.schemas import Answer, PolicyShape, QuotaShape
from conda_store.server.parts import Call, Caller
from conda_store.server.rendering import ok
from conda_store.services import quotas, settings

router = APIRouter(tags=["settings"])

QueriedNamespace = Annotated[str | None, Query(description="As in the longer path.")]
QueriedEnvironment = Annotated[str | None, Query(description="As in the longest path.")]
Unset = Annotated[Sequence[str], Query(description="Settings to drop at this level, so that the level above counts.")]
Settings = Answer[dict[str, Any]]


@router.get("/api/v1/setting/", response_model=Settings, responses=refusals(403, 404))
def get_settings(
    call: Caller, namespace: QueriedNamespace = None, environment_name: QueriedEnvironment = None
) -> Response:
    """The settings in force: those of the deployment, with what was set globally, for the namespace and for the
    environment over them."""
    return _get(call, namespace, environment_name)


@router.get("/api/v1/setting/{namespace}/", response_model=Settings, responses=refusals(403, 404))
def get_namespace_settings(
    call: Caller, namespace: NamespaceName, environment_name: QueriedEnvironment = None
) -> Response:
    return _get(call, namespace, environment_name)


@router.get("/api/v1/setting/{namespace}/{environment_name}/", response_model=Settings, responses=refusals(403, 404))
def get_environment_settings(call: Caller, namespace: NamespaceName, environment_name: EnvironmentName) -> Response:
    return _get(call, namespace, environment_name)


@router.put("/api/v1/setting/", response_model=Answer[None], responses=refusals(400, 403, 404))
def update_settings(
    call: Caller,
    values: Document,
    namespace: QueriedNamespace = None,
    environment_name: QueriedEnvironment = None,
    unset: Unset = (),
) -> Response:
    """Set some settings at one level, or drop them there; the others stay."""
    return _update(call, values, unset, namespace, environment_name)


@router.put("/api/v1/setting/{namespace}/", response_model=Answer[None], responses=refusals(400, 403, 404))
def update_namespace_settings(
    call: Caller,
    values: Document,
    namespace: NamespaceName,
    environment_name: QueriedEnvironment = None,
    unset: Unset = (),
) -> Response:
    return _update(call, values, unset, namespace, environment_name)


@router.put(
    "/api/v1/setting/{namespace}/{environment_name}/", response_model=Answer[None], responses=refusals(400, 403, 404)
)
def update_environment_settings(
    call: Caller,
    values: Document,
    namespace: NamespaceName,
    environment_name: EnvironmentName,
    unset: Unset = (),
) -> Response:
    return _update(call, values, unset, namespace, environment_name)


@router.get("/api/v1/namespace/{namespace}/policy/", response_model=Answer[list[PolicyShape]], responses=refusals(404))
def get_namespace_policies(call: Caller, namespace: NamespaceName) -> Response:
    """The rules on environments in a namespace: what a build will have to keep."""
    return _policies(call, namespace)


@router.get(
    "/api/v1/environment/{namespace}/{environment_name}/policy/",
    response_model=Answer[list[PolicyShape]],
    responses=refusals(404),
)
def get_environment_policies(call: Caller, namespace: NamespaceName, environment_name: EnvironmentName) -> Response:
    return _policies(call, namespace, environment_name)


@router.get("/api/v1/namespace/{namespace}/quota/", response_model=Answer[list[QuotaShape]], responses=refusals(404))
def get_quotas(call: Caller, namespace: NamespaceName) -> Response:
    """What a namespace may use, and what it uses; `limit` null: as much as there is."""
    return ok([asdict(quota) for quota in quotas.namespace_quotas(call.context, call.actor, namespace)])


def _policies(call: Call, namespace: str, environment: str | None = None) -> Response:
    found = settings.policies(call.context, call.actor, namespace, environment)
    return ok([asdict(policy) for policy in found])


def _get(call: Call, namespace: str | None, environment: str | None) -> Response:
    found = settings.get_settings(call.context, call.actor, namespace or None, environment or None)
    return ok(found.model())


def _update(
    call: Call, values: dict[str, Any], unset: Sequence[str], namespace: str | None, environment: str | None
) -> Response:
    keys = settings.update_settings(call.context, call.actor, values, namespace or None, environment or None, unset)
    # clients know this text, which says "global" at every level
    return ok(None, f"global setting keys {list(keys)} updated")
