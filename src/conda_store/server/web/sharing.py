"""Who has access to an environment or a namespace, and why; giving it and taking it away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from conda_store.db.records import RoleRecord
from conda_store.domain.access import Holder, HolderKind, RoleBinding, Source, Target
from conda_store.domain.roles import Permission
from conda_store.errors import CondaStoreError, Forbidden, InvalidInput
from conda_store.server.parts import Call, Caller
from conda_store.server.web.forms import Form, Sent
from conda_store.server.web.parameters import Id
from conda_store.server.web.rendering import PageRoute, base_url, own_path, page, redirect
from conda_store.services import environments, explaining, sharing
from conda_store.services.access import may_give
from conda_store.services.explaining import Access

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_DAYS = (1, 7, 30, 90, 365)


@dataclass(frozen=True)
class Shown:
    """That somebody has access. `share` is what can be taken back, where it was given by sharing."""

    access: Access
    share: RoleRecord | None


@router.get("/environment/{namespace}/{name}/share/")
def get_sharing(request: Request, call: Caller, namespace: str, name: str) -> Response:
    return _page(request, call, namespace, name)


@router.post("/environment/{namespace}/{name}/share/")
def post_share(request: Request, call: Caller, namespace: str, name: str, sent: Sent) -> Response:
    try:
        share(call, Target(namespace, name), sent)
    except (InvalidInput, Forbidden) as error:
        call.actor.require(Permission.NAMESPACE_ROLE_MAPPING_CREATE, Target(namespace, name))
        return _page(request, call, namespace, name, sent, error)
    return redirect(own_path(call.options, "environment", namespace, name, "share", said="shared"))


@router.post("/environment/{namespace}/{name}/share/remove/")
def post_remove(call: Caller, namespace: str, name: str, sent: Sent) -> Response:
    sharing.unshare(call.context, call.actor, Target(namespace, name), holder_of(sent))
    return redirect(own_path(call.options, "environment", namespace, name, "share", said="unshared"))


@router.post("/environment/{namespace}/{name}/share/link/")
def post_link(request: Request, call: Caller, namespace: str, name: str, sent: Sent) -> Response:
    """Makes a link; the answer is the only page that ever shows it."""
    days = sent.text("days")
    expires = datetime.now(UTC) + timedelta(days=int(days)) if days in {str(number) for number in _DAYS} else None
    _, token = sharing.create_link(call.context, call.actor, Target(namespace, name), expires)
    made = f"{base_url(request, call.options)}/share/?link={token}"
    return _page(request, call, namespace, name, made=made)


@router.post("/environment/{namespace}/{name}/share/link/{link_id}/revoke/")
def post_revoke(call: Caller, namespace: str, name: str, link_id: Id) -> Response:
    sharing.revoke_link(call.context, call.actor, Target(namespace, name), link_id)
    return redirect(own_path(call.options, "environment", namespace, name, "share", said="link-revoked"))


def share(call: Call, target: Target, sent: Form) -> None:
    """
    Raises:
        InvalidInput, Forbidden: as for the service.
    """
    sharing.share(call.context, call.actor, target, holder_of(sent), sent.text("role"))


def holder_of(sent: Form) -> Holder:
    """
    Raises:
        InvalidInput: the kind is none.
    """
    try:
        return Holder(HolderKind(sent.text("kind")), sent.text("holder"))
    except ValueError:
        raise InvalidInput("nobody can be given a role so", hint="Choose a user, a group or a namespace.") from None


def who(call: Call, target: Target) -> list[Shown]:
    """Everybody with a role there, but links."""
    shares = {(str(row.holder), row.entity): row for row in sharing.list_shares(call.context, call.actor, target)}
    found = explaining.who_has_access(call.context, call.actor, call.parts.authenticator.rules, target)
    return [
        Shown(access, shares.get((access.holder, access.binding.entity)) if source is Source.SHARE else None)
        for access in found
        if (source := access.binding.origin.source if access.binding.origin else None) is not Source.SHARE_LINK
    ]


def givable(call: Call, target: Target) -> Sequence[str]:
    """The roles that the caller may give away there."""
    return [
        role.name
        for role in call.parts.authenticator.rules.roles
        if may_give(call.actor, RoleBinding(target.namespace or "", target.environment or "*", role))
    ]


def _page(
    request: Request,
    call: Call,
    namespace: str,
    name: str,
    sent: Form | None = None,
    error: CondaStoreError | None = None,
    made: str = "",
) -> Response:
    target = Target(namespace, name)
    environments.get_environment(call.context, call.actor, namespace, name)
    return page(
        request,
        "sharing.html",
        again=own_path(call.options, "environment", namespace, name, "share"),
        status_code=400 if error else 200,
        namespace=namespace,
        name=name,
        people=who(call, target),
        links=sharing.list_links(call.context, call.actor, target),
        roles=givable(call, target),
        kinds=tuple(HolderKind),
        days=_DAYS,
        sent=sent or Form({}, {}),
        error=error,
        made=made,
    )
