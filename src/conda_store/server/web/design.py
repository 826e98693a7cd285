"""The components that pages are made of, each once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from fastapi import APIRouter, Request
from starlette.responses import Response

from conda_store.db.overview import DayOfBuilds, Wait
from conda_store.db.records import RoleRecord, ShareLinkRecord
from conda_store.domain.access import Holder, HolderKind, Origin, RoleBinding, Source, Way
from conda_store.domain.build import BuildOrigin, BuildStatus
from conda_store.domain.credential import CredentialKind, CredentialNote
from conda_store.domain.roles import Role
from conda_store.errors import InvalidSpecification, Problem
from conda_store.server.parts import FIGURE_DAYS, FIGURE_HOURS
from conda_store.server.web.charts import builds_chart, queue_chart, shares
from conda_store.server.web.forms import Form
from conda_store.server.web.rendering import PageRoute, page
from conda_store.server.web.sharing import Shown
from conda_store.services.explaining import Access

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@router.get("/design/")
def get_design(request: Request) -> Response:
    """Every component once: for those who change the style sheet. A test holds the page to the macros and classes."""
    day = _NOON.date()
    waits = [Wait(_NOON - timedelta(hours=ago), _NOON - timedelta(hours=ago // 2)) for ago in range(1, 20, 3)]
    counts = [(BuildStatus.COMPLETED, 12), (BuildStatus.FAILED, 3), (BuildStatus.CANCELED, 1)]
    found = [DayOfBuilds(day - timedelta(days=ago), key, count) for ago in range(9) for key, count in counts]
    problem = Problem("Input should be a package", ("dependencies", 1), line=4, hint="Such as `numpy=2.4`.")
    return page(
        request,
        "design.html",
        statuses=tuple(BuildStatus),
        moment=_NOON,
        build=SimpleNamespace(
            size=1610612736, shared_size=1500000000, origin=BuildOrigin.SUBMITTED.value, submitted_by="ada"
        ),
        packages=[SimpleNamespace(name=name, version="1.0") for name in ("numpy", "pandas", "scipy")],
        people=_people(),
        links=[ShareLinkRecord(7, "team", "science", "ada", _NOON, _NOON + timedelta(days=30))],
        credentials=[CredentialNote("packages.example.org", None, CredentialKind.BASIC, "ada", _NOON)],
        sent=Form({}, {}),
        error=InvalidSpecification((problem,)),
        problems=[(problem, "  - 5")],
        chart=builds_chart(found, day, FIGURE_DAYS.days),
        queue=queue_chart(waits, _NOON, FIGURE_HOURS),
        disk=shares({"research": 7 * 2**30, "analytics": 3 * 2**30, "default": 2**28}, 8),
    )


def _people() -> list[Shown]:
    """Somebody by the configuration, and somebody who was given a role."""
    configured = RoleBinding("team", "*", Role.ADMIN, Origin(Source.CONFIGURATION))
    given = RoleBinding("team", "science", Role.VIEWER, Origin(Source.SHARE))
    holder = Holder(HolderKind.USER, "ada")
    record = RoleRecord(1, Way.SHARE, "team", holder, "team", "science", "viewer", "grace", _NOON)
    return [
        Shown(Access("user grace", configured), None),
        Shown(Access("user ada", given, "grace", _NOON), record),
    ]
