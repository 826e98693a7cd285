"""The reference pages describe every option, setting, permission and error, and none that does not exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from traitlets import TraitType
from traitlets.config import Configurable

from conda_store import errors
from conda_store.builder.failures import DamagedCache
from conda_store.config.core import CondaStore
from conda_store.config.programs import Program
from conda_store.domain.roles import BUILT_IN_ROLES, Permission
from conda_store.domain.settings import GLOBAL_ONLY, QUOTAS, Settings
from conda_store.errors import CondaStoreError
from conda_store.server.errors import STATUSES, status_of

DOCS = Path(__file__).parents[2] / "docs"
# defaults that depend on the machine, in words
DEFAULTS = {
    "CondaStore.store_directory": "`<data>/state`",
    "CondaStore.cache_directory": "`<data>/cache`",
    "CondaStore.credential_key_file": "`<data>/credential-keys`",
    "CondaStore.database_url": "`sqlite:///<data>/conda-store.sqlite`",
    "CondaStore.conda_solve_platforms": "this machine's",
    "CondaStore.conda_platforms": "this machine's and `noarch`",
    "CondaStore.default_uid": "the worker's",
    "CondaStore.default_gid": "the worker's",
    "LocalStorage.storage_path": "`<data>/storage`",
}
TYPES = {
    "Unicode": "text",
    "Int": "integer",
    "Float": "number",
    "Bool": "true, false",
    "List": "list",
    "Set": "set",
    "Dict": "mapping",
    "Callable": "function",
    "Type": "class",
    "Union": "text, function",
    "Enum": "text",
}
# raised and handled inside of the installation, never seen outside
INTERNAL = {DamagedCache}


def page(name: str) -> str:
    return (DOCS / name).read_text()


def table_rows(text: str) -> list[list[str]]:
    """The cells of every table row but headings and rules."""
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in text.splitlines()
        if line.startswith("| `")
    ]


def section(text: str, heading: str) -> str:
    match = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert match is not None, f"no section ## {heading}"
    return match[1]


# --- options ------------------------------------------------------------------------------------------------


def options(cls: type[Configurable]) -> dict[str, TraitType[object, object]]:
    return {name: trait for name, trait in cls.class_own_traits(config=True).items() if trait.this_class is cls}


def shown_default(cls: type[Configurable], name: str, trait: TraitType[object, object]) -> str:
    if words := DEFAULTS.get(f"{cls.__name__}.{name}"):
        return words
    value = trait.default()
    if value is None or value == "" or value == [] or value == {} or value == set():
        return "–"
    return f"`{value.__name__ if isinstance(value, type) else value}`"


def option_row(cls: type[Configurable], name: str, trait: TraitType[object, object]) -> str:
    kind = TYPES[type(trait).__name__] + (", `None`" if trait.allow_none else "")
    meaning = re.sub(r"\{(?:[^{}]|\{[^{}]*\})*\}", r"`\g<0>`", trait.help.replace("|", "\\|"))
    return f"| `{name}` | {kind} | {shown_default(cls, name, trait)} | {meaning} |"


OPTION_CLASSES = [*Program.classes, Program]


@pytest.mark.parametrize("cls", OPTION_CLASSES, ids=lambda cls: cls.__name__)
def test_every_option_is_described(cls: type[Configurable]) -> None:
    wanted = [option_row(cls, name, trait) for name, trait in options(cls).items()]
    text = section(page("reference/options.md"), f"`c.{cls.__name__}`")
    found = [line for line in text.splitlines() if line.startswith("| `")]
    missing = [line for line in wanted if line not in found]
    assert not missing, "docs/reference/options.md needs these lines:\n" + "\n".join(wanted)
    surplus = [line for line in found if line not in wanted]
    assert not surplus, "docs/reference/options.md describes what does not exist:\n" + "\n".join(surplus)


def test_no_class_of_options_is_left_out() -> None:
    sections = set(re.findall(r"^## `c\.(\w+)`$", page("reference/options.md"), re.MULTILINE))
    assert sections == {cls.__name__ for cls in OPTION_CLASSES}


def test_options_named_elsewhere_exist() -> None:
    known = {cls.__name__: set(cls.class_traits(config=True)) for cls in OPTION_CLASSES}
    for path in [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]:
        for cls, name in re.findall(r"(?:\bc\.|--)([A-Z]\w+)\.(\w+)", path.read_text()):
            if cls not in {"Class", "JupyterHub"}:
                assert name in known.get(cls, set()), f"{path.name} names the option {cls}.{name}, which does not exist"


# --- settings -----------------------------------------------------------------------------------------------


def test_every_setting_is_described() -> None:
    rows = {row[0].strip("`"): row for row in table_rows(page("reference/settings.md"))}
    assert set(rows) == {field.name for field in fields(Settings)}
    for name, row in rows.items():
        level = "global" if name in GLOBAL_ONLY else "global, namespace, environment"
        level = "global, namespace" if name in QUOTAS else level
        assert row[1] == level, f"the setting {name} can be set for: {level}"


def test_settings_have_the_defaults_of_the_options() -> None:
    assert {field.name for field in fields(Settings)} <= set(options(CondaStore))


# --- errors -------------------------------------------------------------------------------------------------


def error_classes(cls: type[CondaStoreError] = CondaStoreError) -> Iterator[type[CondaStoreError]]:
    if cls not in INTERNAL:
        yield cls
    for below in cls.__subclasses__():
        yield from error_classes(below)


def test_every_error_is_described_with_code_and_status() -> None:
    rows = {row[0].strip("`"): row for row in table_rows(page("reference/errors.md"))}
    classes = {cls.__name__: cls for cls in error_classes() if cls.__module__ == errors.__name__}
    assert set(rows) == set(classes)
    for name, cls in classes.items():
        status = status_of(cls("message"))
        assert rows[name][1:3] == [f"`{cls.code}`", str(status)], f"{name} has the code {cls.code} and status {status}"
        assert rows[name][3], f"{name} is not explained"


def test_every_error_of_a_build_says_whether_it_is_tried_again() -> None:
    rows = {row[0].strip("`"): row for row in table_rows(page("reference/errors.md"))}
    for cls in error_classes(errors.BuildFailed):
        if cls.__module__ == errors.__name__:
            assert rows[cls.__name__][4] == ("yes" if cls.transient else "no"), cls.__name__


def test_every_error_has_a_status_of_its_own() -> None:
    assert {cls for cls in error_classes() if cls.__module__ == errors.__name__} == set(STATUSES)


# --- permissions --------------------------------------------------------------------------------------------


def test_every_permission_is_described_with_its_roles() -> None:
    rows = {row[0].strip("`"): row[1:] for row in table_rows(page("how-to/tokens-and-roles.md"))}
    assert set(rows) == {permission.value for permission in Permission}
    for permission in Permission:
        held = ["✓" if permission in role.permissions else "" for role in BUILT_IN_ROLES]
        assert rows[permission.value] == held, permission
