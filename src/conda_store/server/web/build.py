"""A build: what it is doing, what came of it, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from conda_store.db.paging import Page
from conda_store.domain.build import Progress
from conda_store.domain.reasons import reasons
from conda_store.domain.roles import Permission
from conda_store.server.parts import Caller
from conda_store.server.web.environment import offered, specification_text
from conda_store.server.web.images import image_name
from conda_store.server.web.parameters import Id, Number, Size
from conda_store.server.web.rendering import PageRoute, own_path, page, redirect
from conda_store.services import artifacts, builds, environments, overview

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_PACKAGES = 100


@router.get("/build/{build_id}/")
def get_build(request: Request, call: Caller, build_id: Id, number: Number = 1, size: Size = _PACKAGES) -> Response:
    """The end of the log is on the page; while the build runs, a script follows it."""
    build, specification, kept = builds.get_build(call.context, call.actor, build_id)
    environment = environments.get_environment(call.context, call.actor, build.namespace, build.environment)
    lock = overview.packages_of(call.context, call.actor, build_id)
    packages = [*lock.conda, *lock.pypi] if lock else []
    log = artifacts.whole_log(call.context, call.actor, build_id)
    start = (number - 1) * size
    return page(
        request,
        "build.html",
        build=build,
        is_current=environment.current_build_id == build_id,
        specification=specification_text(specification),
        is_lockfile=specification.is_lockfile,
        kinds=offered(kept),
        image=image_name(call.options, build.namespace, build.environment, build.key),
        place=builds.place_in_queue(call.context, call.actor, build_id),
        progress=Progress().dump() | dict(build.progress or {}),
        packages=Page(tuple(packages[start : start + size]), number, size, len(packages)),
        usual=_PACKAGES,
        why=reasons(lock, asked_for(specification.spec)) if lock else {},
        log=log,
    )


def asked_for(spec: Mapping[str, Any]) -> list[str]:
    """The requirements of a stored specification, conda's and pip's; none for a lock."""
    found: list[str] = []
    for item in spec.get("dependencies", ()):
        found += [item] if isinstance(item, str) else item.get("pip", ())
    return found


@router.post("/build/{build_id}/activate/")
def post_activate(call: Caller, build_id: Id) -> Response:
    build = builds.find_build(call.context, call.actor, build_id)
    environments.update_environment(call.context, call.actor, build.namespace, build.environment, build_id=build_id)
    return redirect(own_path(call.options, "environment", build.namespace, build.environment, said="activated"))


@router.post("/build/{build_id}/rebuild/")
def post_rebuild(call: Caller, build_id: Id) -> Response:
    return redirect(own_path(call.options, "build", builds.rebuild(call.context, call.actor, build_id)))


@router.post("/build/{build_id}/cancel/")
def post_cancel(call: Caller, build_id: Id) -> Response:
    builds.cancel_build(call.context, call.actor, build_id)
    return redirect(own_path(call.options, "build", build_id, said="cancelled"))


@router.get("/build/{build_id}/delete/")
def get_delete(request: Request, call: Caller, build_id: Id) -> Response:
    """Asks first."""
    build = builds.find_build(call.context, call.actor, build_id, Permission.BUILD_DELETE)
    environment = environments.get_environment(call.context, call.actor, build.namespace, build.environment)
    consequence = "Its files are removed; its log, lockfile and YAML stay as the settings say."
    if environment.current_build_id == build_id:
        consequence = f"It is the active build: the environment cannot be used until another one is. {consequence}"
    return page(
        request,
        "confirm.html",
        question=f"Delete build {build_id} of {build.namespace}/{build.environment}?",
        consequence=consequence,
        action=own_path(call.options, "build", build_id, "delete"),
        back=own_path(call.options, "build", build_id),
        word="Delete build",
        typed="",
    )


@router.post("/build/{build_id}/delete/")
def post_delete(call: Caller, build_id: Id) -> Response:
    build = builds.find_build(call.context, call.actor, build_id)
    builds.delete_build(call.context, call.actor, build_id)
    return redirect(own_path(call.options, "environment", build.namespace, build.environment, said="build-deleted"))
