"""Specifications: handed in, solved, listed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from conda_store.domain.platform import Platform
from conda_store.server.api import shapes
from conda_store.server.api.bodies import SpecificationBody
from conda_store.server.api.documented import refusals
from conda_store.server.api.parameters import Number, Order, Size, SortBy, names, page_request
from conda_store.server.api.schemas import Answer, BuildIdShape, PageOf, SolvedShape, SpecificationShape
from conda_store.server.parts import Caller
from conda_store.server.rendering import JSON, ok
from conda_store.server.rendering import page as rendered_page
from conda_store.services import specifications
from conda_store.services.specifications import SolveQuestion, Submission

router = APIRouter(tags=["specifications"])

Repeated = Annotated[list[str] | None, Query()]


@router.post(
    "/api/v1/environment/", response_model=Answer[BuildIdShape], responses=refusals(400, 403, 413),
    operation_id="create_environment",
)  # fmt: skip
@router.post("/api/v1/specification/", response_model=Answer[BuildIdShape], responses=refusals(400, 403, 413))
def create_specification(call: Caller, body: SpecificationBody) -> Response:
    """Queue a build of a specification: an `environment.yaml` (YAML or JSON), or what `format` names.

    Formats: `environment.yaml`, `conda-lock`, `pixi.toml`, `pixi.lock`, `explicit`, `requirements.txt`. The last four
    and a lockfile need an `environment_name` where they have none themselves.
    """
    submission = Submission(
        body.specification.encode(),
        body.namespace or None,
        body.format or ("conda-lock" if body.is_lockfile else None),
        body.environment_name or None,
        body.environment_description,
    )
    return ok({"build_id": specifications.submit(call.context, call.actor, submission)})


@router.get(
    "/api/v1/specification/",
    response_model=SolvedShape | PageOf[SpecificationShape],
    responses=refusals(400, 403, 503),
)
async def solve_or_list(
    call: Caller,
    request: Request,
    channel: Repeated = None,
    channels: Repeated = None,
    conda: Repeated = None,
    pip: Repeated = None,
    platform: Annotated[Platform | None, Query(description="Solve for this platform.")] = None,
    page: Number = None,
    size: Size = None,
    order: Order = None,
    sort_by: SortBy = None,
) -> Response:
    """With `channel`, `conda` or `pip` (all repeatable): the packages that a build of them would consist of.
    Without: the specifications that were built in environments which the caller may read."""
    if not {"channel", "channels", "conda", "pip"} & set(request.query_params):
        wanted = page_request(call.options, page, size, order, sort_by)
        found = await run_in_threadpool(specifications.list_specifications, call.context, call.actor, wanted)
        rows = [shapes.specification(row) for row in found.rows]
        return rendered_page(rows, found.page, found.size, found.count)
    question = SolveQuestion(
        names(channel) + names(channels), names(conda), names(pip), (platform,) if platform else ()
    )
    lock = await call.parts.background.run(specifications.solve(call.context, call.actor, question))
    chosen = specifications.preferred_platform(lock)
    return JSON({"solve": shapes.solved_packages(chosen) if chosen else []})


@router.get("/api/v1/specification/{sha256}/", response_model=Answer[SpecificationShape], responses=refusals(404))
def get_specification(call: Caller, sha256: str) -> Response:
    return ok(shapes.specification(specifications.get_specification(call.context, call.actor, sha256)))
