"""What addresses of pages hold besides names: numbers of pages, and ids as the database can hold them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

_LARGEST = 2**63 - 1

Number = Annotated[int, Query(alias="page", ge=1, le=10**6)]
# a page that would be too large is cut shorter, and leads on by its smaller size
Size = Annotated[int, Query(ge=1, le=100)]
Id = Annotated[int, Path(ge=0, le=_LARGEST)]
BuildNumber = Annotated[int | None, Query(ge=0, le=_LARGEST)]
