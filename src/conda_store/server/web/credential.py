"""Credentials of channels and package indexes that the builds of all namespaces use."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from conda_store.domain.access import Target
from conda_store.domain.credential import CredentialKind
from conda_store.domain.roles import Permission
from conda_store.errors import CondaStoreError, ConfigurationError, InvalidInput
from conda_store.server.parts import Call, Caller
from conda_store.server.web.forms import Form, Sent
from conda_store.server.web.rendering import PageRoute, own_path, page, redirect
from conda_store.services import credentials

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/credential/")
def get_credentials(request: Request, call: Caller) -> Response:
    return _page(request, call)


@router.post("/credential/")
def post_credential(request: Request, call: Caller, sent: Sent) -> Response:
    """What was typed as a secret does not come back, whether or not it was taken."""
    try:
        credentials.set_credential(call.context, call.actor, given_credential(sent))
    except (InvalidInput, ConfigurationError) as error:
        return _page(request, call, sent, error)
    return redirect(own_path(call.options, "credential", said="credential-set"))


@router.post("/credential/remove/")
def post_remove(call: Caller, sent: Sent) -> Response:
    credentials.delete_credential(call.context, call.actor, sent.text("host"))
    return redirect(own_path(call.options, "credential", said="credential-removed"))


def given_credential(sent: Form) -> dict[str, str]:
    return {key: sent.text(key) for key in ("host", "kind", "username", "secret") if key in sent.fields}


def _page(request: Request, call: Call, sent: Form | None = None, error: CondaStoreError | None = None) -> Response:
    found = credentials.list_credentials(call.context, call.actor)
    return page(
        request,
        "credential.html",
        status_code=400 if error else 200,
        credentials=found,
        credential_kinds=tuple(CredentialKind),
        may_change=call.actor.may(Permission.SETTING_UPDATE, Target()),
        sent=sent or Form({}, {}),
        error=error,
    )
