"""An environment: its active build, its history, and what can be done with them."""

from __future__ import annotations

from collections.abc import Iterable

import yaml
from fastapi import APIRouter, Request
from starlette.responses import Response

from conda_store.db.builds import BuildFilter
from conda_store.db.paging import PageRequest
from conda_store.db.records import ArtifactRecord, BuildRecord, SpecificationRecord
from conda_store.domain.access import Target
from conda_store.domain.artifact import ArtifactState
from conda_store.domain.build import BuildStatus
from conda_store.domain.lock import PlatformLock
from conda_store.domain.roles import Permission
from conda_store.errors import InvalidInput
from conda_store.server.parts import Call, Caller
from conda_store.server.web.forms import Sent
from conda_store.server.web.images import image_name
from conda_store.server.web.parameters import BuildNumber, Number, Size
from conda_store.server.web.rendering import PageRoute, own_path, page, redirect
from conda_store.services import auditing, builds, environments, overview

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_BUILDS = 25
_REQUESTS = 100


@router.get("/environment/{namespace}/{name}/")
def get_environment(
    request: Request, call: Caller, namespace: str, name: str, number: Number = 1, size: Size = _BUILDS
) -> Response:
    found = environments.get_environment(call.context, call.actor, namespace, name)
    wanted = BuildFilter(environment_id=found.id)
    history = builds.list_builds(call.context, call.actor, wanted, PageRequest(number, size, ("id",), True))
    current, text, kinds = None, "", set[str]()
    if found.current_build_id is not None:
        current, specification, artifacts = builds.get_build(call.context, call.actor, found.current_build_id)
        text, kinds = specification_text(specification), offered(artifacts)
    lock = _lock(call, current)
    return page(
        request,
        "environment.html",
        environment=found,
        editing=found.description or "",
        namespace=namespace,
        name=name,
        history=history,
        usual=_BUILDS,
        current=current,
        specification=text,
        kinds=kinds,
        image=image_name(call.options, namespace, name),
        has_kernel=_has_kernel(lock),
        package_count=len(lock.conda) + len(lock.pypi) if lock else 0,
    )


def _lock(call: Call, current: BuildRecord | None) -> PlatformLock | None:
    """The packages of the current build, where it can be used."""
    if current is None or current.status is not BuildStatus.COMPLETED:
        return None
    return overview.packages_of(call.context, call.actor, current.id)


def _has_kernel(lock: PlatformLock | None) -> bool:
    """Whether it can be a kernel of Jupyter."""
    return lock is not None and (
        lock.package("ipykernel") is not None or any(item.name == "ipykernel" for item in lock.pypi)
    )


def offered(artifacts: Iterable[ArtifactRecord]) -> set[str]:
    """The kinds of artifacts that can be had."""
    return {item.type.value for item in artifacts if item.state is not ArtifactState.FAILED}


def specification_text(record: SpecificationRecord) -> str:
    """A specification as it could be handed in again."""
    model = {key: value for key, value in record.spec.items() if value not in (None, "", {})}
    model = {key: model[key] for key in ("name", *(key for key in model if key != "name"))}
    shown = model.get("lockfile", model)
    return str(yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=4096))


@router.get("/environment/{namespace}/{name}/use/")
def get_use(request: Request, call: Caller, namespace: str, name: str) -> Response:
    """The commands alone, for a list to show."""
    found = environments.get_environment(call.context, call.actor, namespace, name)
    current, kinds = None, set[str]()
    if found.current_build_id is not None:
        current, _, artifacts = builds.get_build(call.context, call.actor, found.current_build_id)
        kinds = offered(artifacts)
    return page(
        request,
        "environment_use.html",
        namespace=namespace,
        name=name,
        kinds=kinds,
        image=image_name(call.options, namespace, name),
        has_kernel=_has_kernel(_lock(call, current)),
    )


@router.get("/environment/{namespace}/{name}/edit/")
def get_edit(call: Caller, namespace: str, name: str) -> Response:
    """The form, filled in from the current build."""
    call.actor.require(Permission.ENVIRONMENT_CREATE, Target(namespace, name))
    found = environments.get_environment(call.context, call.actor, namespace, name)
    return redirect(own_path(call.options, "create", namespace=namespace, build=found.current_build_id))


@router.get("/environment/{namespace}/{name}/difference/")
def get_difference(
    request: Request, call: Caller, namespace: str, name: str, before: BuildNumber = None, after: BuildNumber = None
) -> Response:
    found = environments.get_environment(call.context, call.actor, namespace, name)
    wanted = BuildFilter(environment_id=found.id)
    history = builds.list_builds(call.context, call.actor, wanted, PageRequest(1, 100, ("id",), True))
    difference = None
    if before is not None and after is not None:
        difference = overview.compare(call.context, call.actor, before, after)
    return page(
        request,
        "difference.html",
        namespace=namespace,
        name=name,
        solved=[row for row in history.rows if row.lock_digest is not None],
        before=before,
        after=after,
        difference=difference,
    )


@router.get("/environment/{namespace}/{name}/requests/")
def get_requests(
    request: Request, call: Caller, namespace: str, name: str, number: Number = 1, size: Size = _REQUESTS
) -> Response:
    """Who did what to it."""
    found = auditing.list_requests(call.context, call.actor, namespace, name, PageRequest(number, size))
    environments.get_environment(call.context, call.actor, namespace, name)
    return page(request, "requests.html", namespace=namespace, name=name, found=found, usual=_REQUESTS)


@router.post("/environment/{namespace}/{name}/description/")
def post_description(call: Caller, namespace: str, name: str, sent: Sent) -> Response:
    environments.update_environment(
        call.context, call.actor, namespace, name, description=sent.lines("description").strip()
    )
    return redirect(own_path(call.options, "environment", namespace, name, said="described"))


@router.get("/environment/{namespace}/{name}/delete/")
def get_delete(request: Request, call: Caller, namespace: str, name: str) -> Response:
    """Asks first."""
    call.actor.require(Permission.ENVIRONMENT_DELETE, Target(namespace, name))
    environments.get_environment(call.context, call.actor, namespace, name)
    return page(
        request,
        "confirm.html",
        question=f"Delete {namespace}/{name}?",
        consequence="All its builds, archives and logs go with it. This cannot be undone.",
        action=own_path(call.options, "environment", namespace, name, "delete"),
        back=own_path(call.options, "environment", namespace, name),
        word="Delete environment",
        typed=name,
    )


@router.post("/environment/{namespace}/{name}/delete/")
def post_delete(call: Caller, namespace: str, name: str, sent: Sent) -> Response:
    if sent.text("typed") != name:
        raise InvalidInput("the name that was typed is not the environment's", hint=f"Type {name} to delete it.")
    environments.delete_environment(call.context, call.actor, namespace, name)
    return redirect(own_path(call.options, said="environment-deleted"))
