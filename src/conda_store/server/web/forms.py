"""Forms as browsers send them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.datastructures import UploadFile

from conda_store.errors import InvalidInput


@dataclass(frozen=True)
class Form:
    """The fields of a form, and the files that came with it. A field that is missing is empty."""

    fields: Mapping[str, str]
    files: Mapping[str, bytes]

    def text(self, name: str) -> str:
        """A field of one line, without the blanks around it."""
        return self.fields.get(name, "").strip()

    def lines(self, name: str) -> str:
        """A field of several lines; browsers send each with a carriage return."""
        return self.fields.get(name, "").replace("\r\n", "\n")


async def _form(request: Request) -> Form:
    """
    Raises:
        InvalidInput: a field holds what is no text.
    """
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    async with request.form(max_files=4, max_fields=200, max_part_size=12 * 1024**2) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                files[name] = await value.read()
            else:
                fields[name] = _text(name, value)
    # the page of a refusal gives them back
    request.state.sent = fields
    return Form(fields, {name: content for name, content in files.items() if content})


async def fields_of(request: Request) -> dict[str, str]:
    """The fields that a program sends, as a form or as a JSON object; values of other kinds are left out.

    Raises:
        InvalidInput: it is neither, or a field holds what is no text.
    """
    if "json" in request.headers.get("content-type", ""):
        try:
            content = json.loads(await request.body() or b"{}")
        except (ValueError, RecursionError):
            raise InvalidInput("the body is not JSON", hint='Send an object, such as {"name": "value"}.') from None
        items = list(content.items()) if isinstance(content, dict) else []
    else:
        async with request.form(max_files=0, max_fields=20) as form:
            items = form.multi_items()
    return {name: _text(name, value) for name, value in items if isinstance(value, str)}


def _text(name: str, value: str) -> str:
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidInput(f"the field {name[:40]!r} holds what is no text")
    return value


Sent = Annotated[Form, Depends(_form)]
