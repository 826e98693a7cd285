"""Artifacts of builds: logs, lockfile, pinned YAML, archive, installer."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from conda_store.db.records import ArtifactRecord
from conda_store.domain.artifact import ArtifactState, ArtifactType
from conda_store.domain.platform import Platform
from conda_store.server.api.documented import REDIRECT, SUNSET, refusals
from conda_store.server.api.parameters import BuildId, EnvironmentName, NamespaceName
from conda_store.server.parts import Call, Caller
from conda_store.server.waiting import until_made
from conda_store.services import artifacts
from conda_store.services.artifacts import LockForm

router = APIRouter(tags=["artifacts"])

Form = Annotated[
    LockForm | None,
    Query(description="`conda-lock` is the default; `explicit` lists serve one platform; `pixi` is a `pixi.lock`."),
]
OnPlatform = Annotated[Platform | None, Query(description="The packages of this platform only.")]


@router.get("/api/v1/build/{build_id}/logs/", responses=REDIRECT | refusals(404), response_class=PlainTextResponse)
def get_logs(call: Caller, build_id: BuildId) -> Response:
    """The log so far as plain text; once the build has ended, where it is kept."""
    text = artifacts.log_text(call.context, call.actor, build_id)
    if text is not None:
        return PlainTextResponse(text, headers={"Cache-Control": "no-store"})
    return _redirect(call, artifacts.request_artifact(call.context, call.actor, build_id, ArtifactType.LOGS))


@router.get("/api/v1/build/{build_id}/yaml/", responses=REDIRECT | refusals(404), response_class=RedirectResponse)
def get_yaml(call: Caller, build_id: BuildId) -> Response:
    """An `environment.yaml` in which every package is pinned."""
    return _redirect(call, artifacts.request_artifact(call.context, call.actor, build_id, ArtifactType.YAML))


@router.get("/api/v1/build/{build_id}/conda-lock.yml", responses=REDIRECT | refusals(404), include_in_schema=False)
@router.get("/api/v1/build/{build_id}/conda-lock.yaml", responses=REDIRECT | refusals(404), include_in_schema=False)
@router.get("/api/v1/build/{build_id}/lockfile/", responses=REDIRECT | refusals(404), response_class=RedirectResponse)
def get_lockfile(call: Caller, build_id: BuildId, format: Form = None, platform: OnPlatform = None) -> Response:
    """The lock, for all platforms that were solved; also at `conda-lock.yml` and `conda-lock.yaml`."""
    return _lockfile(call, build_id, format, platform)


@router.get("/api/v1/environment/{namespace}/{name}/conda-lock.yml", include_in_schema=False)
@router.get("/api/v1/environment/{namespace}/{name}/conda-lock.yaml", include_in_schema=False)
@router.get(
    "/api/v1/environment/{namespace}/{name}/lockfile/",
    responses=REDIRECT | refusals(404),
    response_class=RedirectResponse,
)
def get_environment_lockfile(
    call: Caller, namespace: NamespaceName, name: EnvironmentName, format: Form = None, platform: OnPlatform = None
) -> Response:
    """The lock of the environment's current build."""
    build_id = artifacts.current_build_id(call.context, call.actor, namespace, name)
    return _lockfile(call, build_id, format, platform)


@router.get("/api/v1/build/{build_id}/archive/", responses=REDIRECT | refusals(404, 409, 503))
async def get_archive(call: Caller, build_id: BuildId, request: Request) -> Response:
    """The environment as `.tar.gz`, in conda-pack's form. Made when first asked for: the answer waits for it."""
    return await _made(call, request, build_id, ArtifactType.CONDA_PACK)


@router.get("/api/v1/build/{build_id}/installer/", responses=REDIRECT | refusals(400, 404, 409, 503))
async def get_installer(call: Caller, build_id: BuildId, request: Request) -> Response:
    """A shell script that lays the environment out. Made when first asked for: the answer waits for it."""
    return await _made(call, request, build_id, ArtifactType.CONSTRUCTOR_INSTALLER)


@router.get(
    "/api/v1/build/{build_id}/docker/",
    responses=refusals(400, 404),
    response_class=PlainTextResponse,
    deprecated=True,
)
def get_image_name(call: Caller, build_id: BuildId) -> Response:
    """How the build's image is pulled."""
    name = artifacts.image_name(call.context, call.actor, build_id)
    return PlainTextResponse(f"{call.options.registry_external_url}/{name}", headers=SUNSET)


def _lockfile(call: Call, build_id: int, form: LockForm | None, platform: Platform | None) -> Response:
    if platform is None and form in {None, LockForm.CONDA_LOCK}:
        return _redirect(call, artifacts.request_artifact(call.context, call.actor, build_id, ArtifactType.LOCKFILE))
    form = form or LockForm.CONDA_LOCK
    body = artifacts.rendered_lock(call.context, call.actor, build_id, form, platform)
    media_type = {LockForm.CONDA_LOCK: "application/json", LockForm.PIXI: "text/yaml"}.get(form, "text/plain")
    return Response(body, media_type=media_type)


async def _made(call: Call, request: Request, build_id: int, artifact: ArtifactType) -> Response:
    """Ask for an artifact and wait until it is there."""
    change = call.parts.watcher.next_change()
    asked = await run_in_threadpool(artifacts.request_artifact, call.context, call.actor, build_id, artifact)

    def look() -> ArtifactRecord | None:
        found = artifacts.artifact_state(call.context, call.actor, build_id, asked.id)
        return found if found.state is ArtifactState.READY else None

    if asked.state is ArtifactState.READY:
        return _redirect(call, asked)
    what = f"the {artifacts.name_of(artifact)} of build {build_id}"
    return _redirect(call, await until_made(call, request, change, what, (asked.id, call.actor), look))


def _redirect(call: Call, artifact: ArtifactRecord) -> RedirectResponse:
    return RedirectResponse(f"{call.options.prefix}/storage/{quote(artifact.key)}")
