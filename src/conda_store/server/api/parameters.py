"""Parameters that several routes have."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BeforeValidator

from conda_store.db.paging import PageRequest
from conda_store.domain.artifact import ArtifactType
from conda_store.domain.build import BuildStatus
from conda_store.server.options import ServerOptions

# ids are signed 64-bit integers in the database
LARGEST = 2**63 - 1

BuildId = Annotated[int, Path(ge=0, le=LARGEST, description="Id of a build.")]
NamespaceName = Annotated[str, Path(description="Name of a namespace.")]
EnvironmentName = Annotated[str, Path(description="Name of an environment.")]


def _none_if_empty(value: Any) -> Any:
    return None if value == "" else value


_Empty = BeforeValidator(_none_if_empty)

Number = Annotated[int | None, _Empty, Query(ge=1, le=10**9, alias="page", description="Page, from 1.")]
Size = Annotated[int | None, _Empty, Query(ge=1, le=10**9, description="Rows on a page; the server has a limit.")]
Order = Annotated[str | None, Query(description="`desc` for descending, anything else is ascending.")]
SortBy = Annotated[list[str] | None, Query(description="Columns to sort by; may be repeated.")]

Status = Annotated[BuildStatus | None, _Empty, Query(description="Status of the build.")]
Packages = Annotated[
    list[str] | None, Query(max_length=100, description="Packages, all of which the build must hold; repeat it.")
]
Artifact = Annotated[ArtifactType | None, _Empty, Query(description="An artifact that the build must have.")]
Identifier = Annotated[int | None, _Empty, Query(ge=0, le=LARGEST)]


def page_request(
    options: ServerOptions, page: int | None, size: int | None, order: str | None, sort_by: list[str] | None
) -> PageRequest:
    """What a v1 list is asked for: pages of at most `max_page_size`."""
    return PageRequest(
        page or 1,
        min(size or options.max_page_size, options.max_page_size),
        tuple(name for name in sort_by or () if name),
        is_descending=order == "desc",
    )


def aware(value: datetime | None) -> datetime | None:
    """A time without a zone is UTC."""
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def names(values: list[str] | None) -> tuple[str, ...]:
    return tuple(value for value in values or () if value)
