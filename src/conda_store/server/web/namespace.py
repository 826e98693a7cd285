"""A namespace: what it uses of what it may, who has access, the rules of its environments, credentials of channels."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from conda_store.domain.access import HolderKind, Target, Way
from conda_store.domain.credential import CredentialKind
from conda_store.domain.roles import Permission
from conda_store.errors import CondaStoreError, Conflict, Forbidden, InvalidInput
from conda_store.server.parts import Call, Caller
from conda_store.server.web.credential import given_credential
from conda_store.server.web.forms import Form, Sent
from conda_store.server.web.rendering import PageRoute, own_path, page, redirect
from conda_store.server.web.setting_texts import TEXTS
from conda_store.server.web.sharing import givable, holder_of, share, who
from conda_store.services import access, credentials, namespaces, quotas, roles, settings, sharing

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/namespace/{name}/")
def get_namespace(request: Request, call: Caller, name: str) -> Response:
    return _page(request, call, name)


@router.post("/namespace/{name}/share/")
def post_share(request: Request, call: Caller, name: str, sent: Sent) -> Response:
    return _given(request, call, name, sent, partial(share, call, Target(name), sent))


@router.post("/namespace/{name}/share/remove/")
def post_unshare(call: Caller, name: str, sent: Sent) -> Response:
    sharing.unshare(call.context, call.actor, Target(name), holder_of(sent))
    return redirect(own_path(call.options, "namespace", name, said="unshared"))


@router.post("/namespace/{name}/role/")
def post_role(request: Request, call: Caller, name: str, sent: Sent) -> Response:
    """Gives those of another namespace a role by a mapping of version 2."""
    give = partial(roles.give_role, call.context, call.actor, name, sent.text("other"), sent.text("role"))
    return _given(request, call, name, sent, give)


@router.post("/namespace/{name}/role/remove/")
def post_take_role(call: Caller, name: str, sent: Sent) -> Response:
    roles.take_role(call.context, call.actor, name, sent.text("other"))
    return redirect(own_path(call.options, "namespace", name, said="unshared"))


@router.post("/namespace/{name}/mapping/")
def post_mapping(request: Request, call: Caller, name: str, sent: Sent) -> Response:
    """Gives those of this namespace a role elsewhere by a mapping of version 1."""
    give = partial(roles.add_mapping, call.context, call.actor, name, sent.text("entity"), sent.text("role"))
    return _given(request, call, name, sent, give)


@router.post("/namespace/{name}/mapping/remove/")
def post_remove_mapping(call: Caller, name: str, sent: Sent) -> Response:
    roles.remove_mapping(call.context, call.actor, name, sent.text("entity"), sent.text("role"))
    return redirect(own_path(call.options, "namespace", name, said="unshared"))


@router.post("/namespace/{name}/credential/")
def post_credential(request: Request, call: Caller, name: str, sent: Sent) -> Response:
    """What was typed as a secret does not come back, whether or not it was taken."""
    try:
        credentials.set_credential(call.context, call.actor, given_credential(sent), name)
    except InvalidInput as error:
        return _page(request, call, name, sent, error)
    return redirect(own_path(call.options, "namespace", name, said="credential-set"))


@router.post("/namespace/{name}/credential/remove/")
def post_remove_credential(call: Caller, name: str, sent: Sent) -> Response:
    credentials.delete_credential(call.context, call.actor, sent.text("host"), name)
    return redirect(own_path(call.options, "namespace", name, said="credential-removed"))


@router.post("/namespace/{name}/metadata/")
def post_metadata(request: Request, call: Caller, name: str, sent: Sent) -> Response:
    call.actor.require(Permission.NAMESPACE_UPDATE, Target(name))
    try:
        namespaces.set_namespace_metadata(call.context, call.actor, name, _metadata(sent))
    except InvalidInput as error:
        return _page(request, call, name, sent, error)
    return redirect(own_path(call.options, "namespace", name, said="metadata-changed"))


@router.get("/namespace/{name}/delete/")
def get_delete(request: Request, call: Caller, name: str) -> Response:
    """Asks for the name."""
    call.actor.require(Permission.NAMESPACE_DELETE, Target(name))
    namespaces.get_namespace(call.context, call.actor, name)
    held = next((row for row in namespaces.usage(call.context, call.actor) if row.name == name), None)
    what = f"{held.environments} environments and {held.builds} builds" if held else "Nothing that is built"
    return page(
        request,
        "confirm.html",
        question=f"Delete the namespace {name}?",
        consequence=f"{what} will be deleted with it. This cannot be undone.",
        action=own_path(call.options, "namespace", name, "delete"),
        back=own_path(call.options, "namespace", name),
        word="Delete namespace",
        typed=name,
    )


@router.post("/namespace/{name}/delete/")
def post_delete(call: Caller, name: str, sent: Sent) -> Response:
    if sent.text("typed") != name:
        raise InvalidInput("the name that was typed is not the namespace's", hint=f"Type {name} to delete it.")
    namespaces.delete_namespace(call.context, call.actor, name)
    return redirect(own_path(call.options, "namespace", said="namespace-deleted"))


def _given(request: Request, call: Call, name: str, sent: Form, give: Callable[[], object]) -> Response:
    """Where a role was given; what is wrong with it is told to those who might give one."""
    try:
        give()
    except (InvalidInput, Conflict, Forbidden) as error:
        call.actor.require(Permission.NAMESPACE_ROLE_MAPPING_CREATE, Target(name))
        return _page(request, call, name, sent, error)
    return redirect(own_path(call.options, "namespace", name, said="shared"))


def _metadata(sent: Form) -> dict[str, Any]:
    """
    Raises:
        InvalidInput: what was typed is no JSON object.
    """
    try:
        found = json.loads(sent.lines("metadata") or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidInput("the metadata are not a JSON object", hint='Write them so: {"owner": "Ada"}.')
    return found


def _page(
    request: Request, call: Call, name: str, sent: Form | None = None, error: CondaStoreError | None = None
) -> Response:
    context, actor, target = call.context, call.actor, Target(name)
    found = namespaces.get_namespace(context, actor, name)
    may_see_roles = actor.may(Permission.NAMESPACE_ROLE_MAPPING_READ, target)
    may_see_credentials = actor.may(Permission.SETTING_READ, target)
    metadata = json.dumps(dict(found.metadata), indent=2, ensure_ascii=False)
    maps_v2 = Way.MAPPING_V2 in access.ways_in_force(context.deployment)
    listed = roles.list_roles if maps_v2 else roles.list_mappings
    return page(
        request,
        "namespace.html",
        again=own_path(call.options, "namespace", name),
        status_code=400 if error else 200,
        name=name,
        quotas=quotas.namespace_quotas(context, actor, name),
        policies=[item for item in settings.policies(context, actor, name) if item.value],
        texts=TEXTS,
        people=who(call, target) if may_see_roles else None,
        links=sharing.list_links(context, actor, target) if may_see_roles else (),
        mapped=listed(context, actor, name) if may_see_roles else (),
        maps_v2=maps_v2,
        roles=givable(call, target),
        all_roles=[role.name for role in context.deployment.roles],
        kinds=tuple(HolderKind),
        credentials=credentials.list_credentials(context, actor, name) if may_see_credentials else None,
        credential_kinds=tuple(CredentialKind),
        metadata=sent.lines("metadata") if sent and "metadata" in sent.fields else metadata,
        has_metadata=bool(found.metadata),
        sent=sent or Form({}, {}),
        error=error,
    )
