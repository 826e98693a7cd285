"""How people name a build: `<build-id>`, `<namespace>/<name>` or `<namespace>/<name>:<build-id>`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from conda_store.domain.names import ALLOWED_CHARACTERS
from conda_store.errors import InvalidInput

_NAME = rf"[{ALLOWED_CHARACTERS}]+"
_BUILD = re.compile(r"[0-9]{1,18}")
_ENVIRONMENT = re.compile(rf"({_NAME})/({_NAME})(?::([0-9]{{1,18}}))?")


@dataclass(frozen=True)
class EnvironmentName:
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class BuildUri:
    """A build id, an environment's current build (`build_id` None), or a build that has to be the environment's."""

    environment: EnvironmentName | None
    build_id: int | None

    def __str__(self) -> str:
        parts = [str(part) for part in (self.environment, self.build_id) if part is not None]
        return ":".join(parts)


def parse_uri(text: str) -> BuildUri:
    """
    Raises:
        InvalidInput: it has none of the three forms.
    """
    if _BUILD.fullmatch(text):
        return BuildUri(None, int(text))
    if match := _ENVIRONMENT.fullmatch(text):
        return BuildUri(EnvironmentName(match[1], match[2]), int(match[3]) if match[3] else None)
    raise InvalidInput(
        f"unable to parse uri={text}",
        hint="A build is `<build-id>`, `<namespace>/<name>` or `<namespace>/<name>:<build-id>`.",
    )


def parse_environment(text: str) -> EnvironmentName:
    """
    Raises:
        InvalidInput: it is not `<namespace>/<name>`.
    """
    match = _ENVIRONMENT.fullmatch(text)
    if match is None or match[3]:
        raise InvalidInput(f"{text!r} names no environment", hint="An environment is `<namespace>/<name>`.")
    return EnvironmentName(match[1], match[2])
