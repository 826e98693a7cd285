"""Settings that can be changed while the service runs, in layers: deployment < global < namespace < environment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_type_hints

from conda_store.domain.artifact import ArtifactType
from conda_store.domain.platform import Platform, current_platform
from conda_store.errors import InvalidInput

GLOBAL_ONLY = frozenset(
    {
        "default_namespace", "filesystem_namespace", "default_uid", "default_gid", "default_permissions",
        "storage_threshold", "conda_command", "conda_platforms", "conda_max_solve_time", "conda_indexed_channels",
        "build_artifacts_kept_on_deletion",
    }
)  # fmt: skip

# what a namespace may use; not for single environments
QUOTAS = frozenset(
    {
        "quota_environments", "quota_builds", "quota_bytes", "quota_concurrent_builds", "quota_build_seconds",
        "quota_on_demand_images",
    }
)  # fmt: skip

# who may change them anywhere is only who may change settings of the deployment: else a namespace could free itself
DEPLOYMENT_DECIDES = frozenset(
    {
        "conda_channel_alias", "conda_allowed_channels", "lockfiles_need_allowed_channels", "conda_forbidden_packages",
        "pypi_forbidden_packages", "forbidden_licenses", "allowed_licenses", "package_cooldown_days",
    }
) | QUOTAS  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Every setting with the deployment's default. Sizes in bytes, times in seconds."""

    default_namespace: str = "default"
    filesystem_namespace: str = "filesystem"
    default_uid: int | None = None
    default_gid: int | None = None
    default_permissions: str | None = "775"
    storage_threshold: int = 5 * 1024**3
    conda_command: str = "mamba"
    conda_platforms: tuple[str, ...] = (current_platform().value, "noarch")
    conda_max_solve_time: int = 300
    conda_indexed_channels: tuple[str, ...] = ("main", "conda-forge", "https://repo.anaconda.com/pkgs/main")
    build_artifacts_kept_on_deletion: tuple[str, ...] = ("LOGS", "LOCKFILE", "YAML")
    conda_solve_platforms: tuple[str, ...] = (current_platform().value,)
    conda_channel_alias: str = "https://conda.anaconda.org"
    conda_default_channels: tuple[str, ...] = ("conda-forge",)
    conda_allowed_channels: tuple[str, ...] = ()
    conda_default_packages: tuple[str, ...] = ()
    conda_required_packages: tuple[str, ...] = ()
    conda_included_packages: tuple[str, ...] = ()
    pypi_default_packages: tuple[str, ...] = ()
    pypi_required_packages: tuple[str, ...] = ()
    pypi_included_packages: tuple[str, ...] = ()
    lockfiles_need_allowed_channels: bool = True
    conda_forbidden_packages: tuple[str, ...] = ()
    pypi_forbidden_packages: tuple[str, ...] = ()
    forbidden_licenses: tuple[str, ...] = ()
    allowed_licenses: tuple[str, ...] = ()
    package_cooldown_days: int = 0
    quota_environments: int | None = None
    quota_builds: int | None = None
    quota_bytes: int | None = None
    quota_concurrent_builds: int | None = None
    quota_build_seconds: int | None = None
    quota_on_demand_images: int | None = None
    build_artifacts: tuple[str, ...] = ("LOCKFILE", "YAML", "CONDA_PACK", "CONSTRUCTOR_INSTALLER")

    def model(self) -> dict[str, Any]:
        return {
            field.name: list(value) if isinstance(value := getattr(self, field.name), tuple) else value
            for field in fields(self)
        }


SETTING_NAMES = frozenset(field.name for field in fields(Settings))
_TYPES = get_type_hints(Settings)
_LARGEST = 2**62
_AT_LEAST_ONE = (1, 2**31 - 1)
_OWNER = (0, 2**32 - 2)
_RANGES = {
    "package_cooldown_days": (0, 36500),
    **dict.fromkeys(QUOTAS, (0, _LARGEST)),
    "quota_concurrent_builds": _AT_LEAST_ONE,
    "quota_build_seconds": _AT_LEAST_ONE,
    "conda_max_solve_time": _AT_LEAST_ONE,
    "storage_threshold": (0, _LARGEST),
    "default_uid": _OWNER,
    "default_gid": _OWNER,
}
_CHOICES: dict[str, frozenset[str]] = {
    "build_artifacts": frozenset(ArtifactType),
    "build_artifacts_kept_on_deletion": frozenset(ArtifactType),
    "conda_solve_platforms": frozenset(Platform),
    "conda_platforms": frozenset(Platform) | {"noarch"},
}


def checked_names(names: Iterable[str]) -> tuple[str, ...]:
    """`names` without repetition, in their order.

    Raises:
        InvalidInput: one of them is no setting.
    """
    given = tuple(dict.fromkeys(names))
    if unknown := set(given) - SETTING_NAMES:
        raise InvalidInput(f"Invalid setting keys {unknown}", hint=f"Settings are {', '.join(sorted(SETTING_NAMES))}.")
    return given


def checked_settings(values: Mapping[str, Any], *, is_global: bool, is_of_environment: bool = False) -> dict[str, Any]:
    """`values` as one layer.

    Raises:
        InvalidInput: an unknown key, a value of the wrong type, or a key that is global only.
    """
    checked_names(values)
    for key, value in values.items():
        if key in GLOBAL_ONLY and not is_global:
            raise InvalidInput(f"Setting {key} is a global setting and cannot be set within a namespace or environment")
        if key in QUOTAS and is_of_environment:
            raise InvalidInput(f"Setting {key} is a quota of a namespace and cannot be set within an environment")
        if problem := _value_problem(key, value):
            raise InvalidInput(f"1 validation error: setting {key}: {problem}")
    return dict(values)


def _value_problem(key: str, value: Any) -> str | None:
    hint = str(_TYPES[key])
    if "tuple" in hint:
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            return f"a list of strings is needed, found {value!r}"
        if bad := [item for item in value if item not in _CHOICES.get(key, {item})]:
            return f"{bad[0]!r} is none of {', '.join(sorted(_CHOICES[key]))}"
        return None
    if value is None:
        return None if "None" in hint else "null is no value for it"
    if "bool" in hint:
        return None if isinstance(value, bool) else f"true or false is needed, found {value!r}"
    if "int" in hint:
        if not isinstance(value, int) or isinstance(value, bool):
            return f"an integer is needed, found {value!r}"
        least, most = _RANGES[key]
        return None if least <= value <= most else f"it is from {least} to {most}, found {value}"
    if not isinstance(value, str):
        return f"a string is needed, found {value!r}"
    if key == "default_permissions" and not (len(value) == 3 and set(value) <= set("01234567")):
        return f"three octal digits are needed, found {value!r}"
    return None


def layered_settings(deployment: Settings, *layers: Mapping[str, Any]) -> Settings:
    """The deployment's settings with the layers over them, the most particular last; nothing passed in changes.

    A key that is no setting (any more) is left aside.
    """
    merged = deployment
    for layer in layers:
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in layer.items()
            if key in SETTING_NAMES
        }
        merged = replace(merged, **values)
    return merged


@dataclass(frozen=True)
class InForce:
    """Settings, and for each that a layer above the options sets the name of that layer."""

    settings: Settings
    layers: Mapping[str, str]

    def layer(self, key: str) -> str:
        return self.layers.get(key, DEPLOYMENT)


DEPLOYMENT = "the deployment"


def in_force(deployment: Settings, *layers: tuple[str, Mapping[str, Any]]) -> InForce:
    """The settings that hold under named layers, the most particular last."""
    deciding = {key: name for name, layer in layers for key in layer if key in SETTING_NAMES}
    return InForce(layered_settings(deployment, *(layer for _, layer in layers)), deciding)
