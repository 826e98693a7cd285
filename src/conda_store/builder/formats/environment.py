"""`environment.yaml`, as YAML or JSON."""

from __future__ import annotations

from collections.abc import Mapping

from conda_store.builder.formats.documents import Document
from conda_store.domain.specification import Specification, parse_specification


def read_environment(document: Document, name: str | None) -> Specification:
    """The specification; `name` fills in where the text names none.

    Raises:
        InvalidSpecification: with every problem found.
    """
    value = document.value
    if name and isinstance(value, Mapping) and value.get("name") is None:
        value = {**value, "name": name}
    return parse_specification(value)
