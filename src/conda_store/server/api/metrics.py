"""What monitoring asks for."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from conda_store.server.parts import Caller
from conda_store.server.rendering import JSON
from conda_store.services import metrics

router = APIRouter(tags=["metrics"])


@router.get("/metrics", response_class=PlainTextResponse)
def get_metrics(call: Caller) -> Response:
    """One number a line: `conda_store_<key> <value>`."""
    values = metrics.numbers(call.context)
    return PlainTextResponse("\n".join(f"conda_store_{key} {value}" for key, value in values.items()))


@router.get("/celery", response_model=dict[str, Any])
def get_workers(call: Caller) -> Response:
    """The workers that are building at this moment; every value is null where there are none."""
    working = metrics.working(call.context, call.actor)
    tasks = {
        owner: [{"id": f"build-{build_id}-environment", "name": "task_build_conda_environment"} for build_id in builds]
        for owner, builds in working.items()
    }
    return JSON(
        {
            "availability": {owner: {"ok": "pong"} for owner in tasks} or None,
            "stats": {owner: {"total": len(found)} for owner, found in tasks.items()} or None,
            "registered_tasks": {owner: ["task_build_conda_environment"] for owner in tasks} or None,
            "active_tasks": tasks or None,
            "scheduled_tasks": {owner: [] for owner in tasks} or None,
        }
    )
