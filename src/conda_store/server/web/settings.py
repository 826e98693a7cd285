"""Settings of the deployment, a namespace or an environment, each value as JSON."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from conda_store.domain.access import Target
from conda_store.domain.roles import Permission
from conda_store.domain.settings import DEPLOYMENT_DECIDES, GLOBAL_ONLY
from conda_store.errors import InvalidInput
from conda_store.server.parts import Call, Caller
from conda_store.server.web.forms import Form, Sent
from conda_store.server.web.rendering import PageRoute, own_path, page, redirect
from conda_store.server.web.setting_texts import TEXTS
from conda_store.services import settings

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/setting/")
@router.get("/setting/{namespace}/")
@router.get("/setting/{namespace}/{name}/")
def get_settings(request: Request, call: Caller, namespace: str | None = None, name: str | None = None) -> Response:
    return _form(request, call, namespace, name)


@router.post("/setting/")
@router.post("/setting/{namespace}/")
@router.post("/setting/{namespace}/{name}/")
def post_settings(
    request: Request, call: Caller, sent: Sent, namespace: str | None = None, name: str | None = None
) -> Response:
    """Only what was changed is set at this level."""
    level = [part for part in (namespace, name) if part is not None]
    present = settings.get_settings(call.context, call.actor, namespace, name).model()
    try:
        changed = _changed(sent, present)
        if changed:
            settings.update_settings(call.context, call.actor, changed, namespace, name)
    except InvalidInput as error:
        return _form(request, call, namespace, name, sent, error)
    return redirect(own_path(call.options, "setting", *level, said="settings-changed"))


def _changed(sent: Form, present: dict[str, Any]) -> dict[str, Any]:
    changed = {}
    for key, value in present.items():
        if key not in sent.fields:
            continue
        try:
            wanted = json.loads(sent.text(key))
        except (ValueError, RecursionError):
            hint = 'Texts stand in quotes, lists in brackets: ["conda-forge"].'
            raise InvalidInput(f"the value of {key} is not JSON: {sent.text(key)[:100]}", hint=hint) from None
        if wanted != value:
            changed[key] = wanted
    return changed


def _form(
    request: Request,
    call: Call,
    namespace: str | None,
    name: str | None,
    sent: Form | None = None,
    error: InvalidInput | None = None,
) -> Response:
    values = settings.get_settings(call.context, call.actor, namespace, name).model()
    rows = [
        (key, sent.text(key) if sent and key in sent.fields else json.dumps(value, ensure_ascii=False), TEXTS[key])
        for key, value in values.items()
    ]
    return page(
        request,
        "settings.html",
        status_code=400 if error else 200,
        namespace=namespace,
        name=name,
        decided_above=frozenset() if call.actor.may(Permission.SETTING_UPDATE, Target()) else DEPLOYMENT_DECIDES,
        may_change=call.actor.may(Permission.SETTING_UPDATE, Target(namespace, name)),
        own=[row for row in rows if row[0] not in GLOBAL_ONLY],
        shared=[row for row in rows if row[0] in GLOBAL_ONLY],
        error=error,
    )
