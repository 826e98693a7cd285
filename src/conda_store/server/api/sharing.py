"""Sharing of environments and namespaces, and who has access to them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request
from starlette.responses import Response

from conda_store.db.records import RoleRecord, ShareLinkRecord
from conda_store.domain.access import Decision, Holder, HolderKind, RoleBinding, Target
from conda_store.domain.roles import parse_permission
from conda_store.server.api.bodies import LinkBody, ShareBody
from conda_store.server.api.documented import refusals
from conda_store.server.api.parameters import LARGEST, EnvironmentName, NamespaceName, aware
from conda_store.server.api.schemas import (
    AccessShape,
    Acknowledgement,
    Answer,
    DecisionShape,
    NewShareLinkShape,
    ShareLinkShape,
    ShareShape,
)
from conda_store.server.parts import Call, Caller
from conda_store.server.rendering import acknowledged, moment, ok
from conda_store.services import explaining, sharing

router = APIRouter(tags=["sharing"])

Kind = Annotated[HolderKind, Query(description="What it is that has a role.")]
HolderName = Annotated[str, Query(description="The name of the user, group or namespace.")]
LinkId = Annotated[int, Path(ge=0, le=LARGEST, description="Id of a link.")]
Namespace = Annotated[str | None, Query(description="Left out: the deployment itself.")]
Environment = Annotated[str | None, Query(description="Left out: the whole namespace.")]
User = Annotated[str | None, Query(description="Left out: the caller.")]
Groups = Annotated[list[str] | None, Query(description="Groups besides those that are known; may be repeated.")]

WHOLE = "/api/v1/share/{namespace}/"
ONE = "/api/v1/share/{namespace}/{name}/"


@router.get(WHOLE, response_model=Answer[list[ShareShape]], responses=refusals(403, 404))
def list_namespace_shares(call: Caller, namespace: NamespaceName) -> Response:
    """With whom the namespace, and each environment in it, is shared."""
    return _shares(call, Target(namespace))


@router.get(ONE, response_model=Answer[list[ShareShape]], responses=refusals(403, 404))
def list_shares(call: Caller, namespace: NamespaceName, name: EnvironmentName) -> Response:
    return _shares(call, Target(namespace, name))


@router.put(WHOLE, response_model=Acknowledgement, responses=refusals(400, 403, 404))
def share_namespace(call: Caller, namespace: NamespaceName, body: ShareBody) -> Response:
    """Gives a role on the whole namespace, in place of one given so before. Nobody can give more than they hold."""
    return _share(call, Target(namespace), body)


@router.put(ONE, response_model=Acknowledgement, responses=refusals(400, 403, 404))
def share_environment(call: Caller, namespace: NamespaceName, name: EnvironmentName, body: ShareBody) -> Response:
    """Gives a role on this environment alone."""
    return _share(call, Target(namespace, name), body)


@router.delete(WHOLE, response_model=Acknowledgement, responses=refusals(403, 404))
def unshare_namespace(call: Caller, namespace: NamespaceName, kind: Kind, holder: HolderName) -> Response:
    sharing.unshare(call.context, call.actor, Target(namespace), Holder(kind, holder))
    return acknowledged()


@router.delete(ONE, response_model=Acknowledgement, responses=refusals(403, 404))
def unshare_environment(
    call: Caller, namespace: NamespaceName, name: EnvironmentName, kind: Kind, holder: HolderName
) -> Response:
    sharing.unshare(call.context, call.actor, Target(namespace, name), Holder(kind, holder))
    return acknowledged()


@router.get(f"{ONE}link/", response_model=Answer[list[ShareLinkShape]], responses=refusals(403, 404))
def list_links(call: Caller, namespace: NamespaceName, name: EnvironmentName) -> Response:
    """The links to the environment that are good; what stands in them is not kept."""
    found = sharing.list_links(call.context, call.actor, Target(namespace, name))
    return ok([_link(link) for link in found])


@router.get(
    "/api/v1/share-link/{namespace}/", response_model=Answer[list[ShareLinkShape]], responses=refusals(403, 404)
)
def list_namespace_links(call: Caller, namespace: NamespaceName) -> Response:
    """The links that are good to all environments of the namespace; each is ended where its environment is."""
    return ok([_link(link) for link in sharing.list_links(call.context, call.actor, Target(namespace))])


@router.post(f"{ONE}link/", response_model=Answer[NewShareLinkShape], responses=refusals(400, 403, 404))
def create_link(
    call: Caller,
    request: Request,
    namespace: NamespaceName,
    name: EnvironmentName,
    body: Annotated[LinkBody | None, Body()] = None,
) -> Response:
    """A link with which anybody may read this environment, and nothing else. Programs send its token as any other."""
    expires = aware(body.expiration) if body else None
    link, token = sharing.create_link(call.context, call.actor, Target(namespace, name), expires)
    url = f"{request.url.scheme}://{request.url.netloc}{call.options.prefix}/share/?link={token}"
    answer = ok(_link(link) | {"token": token, "url": url})
    answer.headers["Cache-Control"] = "no-store"
    return answer


@router.delete(f"{ONE}link/{{link_id}}/", response_model=Acknowledgement, responses=refusals(403, 404))
def revoke_link(call: Caller, namespace: NamespaceName, name: EnvironmentName, link_id: LinkId) -> Response:
    sharing.revoke_link(call.context, call.actor, Target(namespace, name), link_id)
    return acknowledged()


@router.get("/api/v1/access/{namespace}/", response_model=Answer[list[AccessShape]], responses=refusals(403, 404))
def list_namespace_access(call: Caller, namespace: NamespaceName) -> Response:
    """Everybody who has a role on the namespace, or on anything in it, and why."""
    return _access(call, Target(namespace))


@router.get(
    "/api/v1/access/{namespace}/{name}/", response_model=Answer[list[AccessShape]], responses=refusals(403, 404)
)
def list_access(call: Caller, namespace: NamespaceName, name: EnvironmentName) -> Response:
    """Everybody who has a role on the environment, and why."""
    return _access(call, Target(namespace, name))


@router.get("/api/v1/permission/explain/", response_model=Answer[DecisionShape], responses=refusals(400, 403, 404))
def explain(
    call: Caller,
    permission: Annotated[str, Query(description="Such as `environment::read`.")],
    namespace: Namespace = None,
    environment: Environment = None,
    user: User = None,
    group: Groups = None,
) -> Response:
    """Whether somebody may do something, because of which bindings. About others those may ask who may change roles
    there."""
    target = Target(namespace or None, (environment or None) if namespace else None)
    decision = explaining.explain(
        call.context,
        call.actor,
        call.parts.authenticator.rules,
        parse_permission(permission),
        target,
        user or None,
        tuple(group or ()),
    )
    return ok(_decision(decision))


def _shares(call: Call, target: Target) -> Response:
    return ok([_role(row) for row in sharing.list_shares(call.context, call.actor, target)])


def _share(call: Call, target: Target, body: ShareBody) -> Response:
    sharing.share(call.context, call.actor, target, Holder(body.kind, body.name), body.role)
    return acknowledged()


def _access(call: Call, target: Target) -> Response:
    found = explaining.who_has_access(call.context, call.actor, call.parts.authenticator.rules, target)
    return ok(
        [
            {
                "holder": access.holder,
                "entity": access.binding.entity,
                "role": access.binding.role.name,
                "source": _source(access.binding),
                "given_by": access.given_by,
                "given_on": moment(access.given_on),
                "expires_on": moment(access.expires_on),
            }
            for access in found
        ]
    )


def _role(row: RoleRecord) -> dict[str, Any]:
    return {
        "id": row.id,
        "kind": row.holder.kind,
        "name": row.holder.name,
        "entity": row.entity,
        "role": row.role,
        "given_by": row.given_by,
        "given_on": moment(row.given_on),
    }


def _link(link: ShareLinkRecord) -> dict[str, Any]:
    return {
        "id": link.id,
        "entity": f"{link.namespace}/{link.environment}",
        "given_by": link.given_by,
        "given_on": moment(link.given_on),
        "expires_on": moment(link.expires_on),
    }


def _source(binding: RoleBinding) -> str:
    return binding.origin.source if binding.origin else "configuration"


def _binding(binding: RoleBinding) -> dict[str, Any]:
    return {
        "entity": binding.entity,
        "role": binding.role.name,
        "source": _source(binding),
        "whom": binding.origin.for_whom if binding.origin else "",
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "user": decision.actor,
        "permission": decision.permission,
        "namespace": decision.target.namespace,
        "environment": decision.target.environment,
        "allowed": decision.is_allowed,
        "withheld": decision.is_withheld,
        "explanation": str(decision),
        "granting": [_binding(binding) for binding in decision.granting],
        "others": [_binding(binding) for binding in decision.others],
    }
