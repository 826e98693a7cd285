"""Answers in JSON, made without a second validation: what is rendered here was read from the database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response


class JSON(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")


def ok(data: Any, message: str | None = None) -> JSON:
    return JSON({"status": "ok", "data": data, "message": message})


def acknowledged(message: str | None = None) -> JSON:
    return JSON({"status": "ok", "message": message})


def page(rows: Sequence[Any], number: int, size: int, count: int, headers: Mapping[str, str] | None = None) -> JSON:
    """A page of a v1 list; `count` is the number of rows on all pages."""
    content = {"status": "ok", "data": rows, "message": None, "page": number, "size": size, "count": count}
    return JSON(content, headers=headers)


def refusal(
    status: int,
    message: str,
    *,
    hint: str = "",
    headers: Mapping[str, str] | None = None,
    refused: Sequence[Mapping[str, str]] = (),
) -> JSON:
    """`refused` says which rules refused what."""
    content: dict[str, Any] = {"status": "error", "message": message}
    if hint:
        content["hint"] = hint
    if refused:
        content["refused"] = refused
    return JSON(content, status_code=status, headers=headers)


def moment(value: datetime | None) -> str | None:
    """UTC without a suffix, as clients expect it: `2026-11-21T03:27:27.939424`."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat() if value else None
