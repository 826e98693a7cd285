"""The bodies of requests."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from conda_store.domain.access import HolderKind


def _text(value: str) -> str:
    if "\0" in value:
        raise ValueError("holds a zero byte")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair, which is no text") from None
    return value


def _document(value: Any) -> Any:
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    _text(text)
    if "\\u0000" in text:
        raise ValueError("holds a zero byte")
    return value


Text = Annotated[str, AfterValidator(_text)]
Document = Annotated[dict[str, Any], AfterValidator(_document)]


class SpecificationBody(BaseModel):
    """`namespace` left out: the caller's own. `format` left out: found out from the text."""

    specification: Text
    namespace: Text | None = None
    is_lockfile: bool = False
    environment_name: Text | None = None
    environment_description: Text | None = None
    format: Text | None = None


class EnvironmentBody(BaseModel):
    build_id: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None
    description: Text | None = None


class TokenBody(BaseModel):
    """`exp` is another name of `expiration`. A time without a zone is UTC."""

    name: Text | None = None
    primary_namespace: Text | None = None
    role_bindings: dict[Text, list[Text]] | None = None
    expiration: datetime | None = None
    exp: datetime | None = None


class NamespaceBody(BaseModel):
    """`metadata` and `role_mappings` (`{"team/*": ["viewer"]}`) each replace what was there; left out, they stay."""

    metadata: Document | None = None
    role_mappings: dict[Text, list[Text]] | None = None


class ShareBody(BaseModel):
    """Who is given which role: the user, group or namespace of that name."""

    kind: HolderKind
    name: Text
    role: Text


class LinkBody(BaseModel):
    """A time without a zone is UTC; without one the link is good for a week."""

    expiration: datetime | None = None


class RoleHolderBody(BaseModel):
    """The namespace whose users are given a role."""

    other_namespace: Text


class RoleBody(RoleHolderBody):
    role: Text


class CredentialBody(BaseModel):
    """`kind`: `basic` (with `username`), `bearer` (a token in a header) or `path` (a token in `/t/<token>/`)."""

    model_config = ConfigDict(hide_input_in_errors=True)

    host: str
    kind: str = "basic"
    username: str = ""
    secret: str = Field(repr=False)
