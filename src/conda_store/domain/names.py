"""Names of namespaces and environments, and of Python distributions."""

from __future__ import annotations

import re

from conda_store.errors import InvalidInput

ALLOWED_CHARACTERS = r"A-Za-z0-9\-+_@$&?^~.="
MAX_NAME_LENGTH = 255
_NAME = re.compile(rf"[{ALLOWED_CHARACTERS}]+")


def name_problem(name: str) -> str | None:
    """What is wrong with a name, or None. `.` and `..` would be other directories, so they are no names."""
    if not _NAME.fullmatch(name):
        return f"name {name[:80]!r} must be one or more of the characters A-Z a-z 0-9 - + _ @ $ & ? ^ ~ . ="
    if len(name) > MAX_NAME_LENGTH:
        return f"name of {len(name)} characters is longer than {MAX_NAME_LENGTH}"
    if name in {".", ".."}:
        return f"name {name!r} stands for a directory"
    return None


def parse_name(text: str, what: str) -> str:
    """`text` as the name of a `what` (namespace, environment).

    Raises:
        InvalidInput: it is not one.
    """
    if problem := name_problem(text):
        raise InvalidInput(f"{what} {problem}")
    return text


def normalized_distribution(name: str) -> str:
    """The name of a Python distribution as names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
