"""PEP 508 requirements of wheels as conda names and match specs."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from packaging.requirements import Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

_OTHER_NAMES = {
    "build": "python-build",
    "duckdb": "python-duckdb",
    "fastjsonschema": "python-fastjsonschema",
    "msgpack": "msgpack-python",
    "psycopg2-binary": "psycopg2",
    "redis": "redis-py",
    "ruamel-yaml": "ruamel.yaml",
    "tables": "pytables",
    "torch": "pytorch",
    "tzdata": "python-tzdata",  # `tzdata` itself is the time zone database of the operating system
    "xxhash": "python-xxhash",
}
_WITH_UNDERSCORES = [
    "ipython-pygments-lexers",
    "jupyter-client",
    "jupyter-console",
    "jupyter-core",
    "jupyter-events",
    "jupyter-server",
    "jupyter-server-terminals",
    "jupyterlab-pygments",
    "jupyterlab-server",
    "jupyterlab-widgets",
    "prometheus-client",
    "pure-eval",
    "rfc3339-validator",
    "stack-data",
    "typing-extensions",
]
_NAMES = _OTHER_NAMES | {name: name.replace("-", "_") for name in _WITH_UNDERSCORES}


def conda_name(name: str) -> str:
    """The name that conda-forge gives a project of PyPI, where the two are known to differ."""
    normal = canonicalize_name(name)
    return _NAMES.get(normal, normal)


def version_spec(specifiers: SpecifierSet) -> str:
    """PEP 440 specifiers in conda's language: `~=1.4.2,<2` becomes `>=1.4.2,1.4.*,<2.0a0`; nothing becomes ``."""
    lower_first = sorted(specifiers, key=lambda one: (one.operator not in (">=", ">", "~=", "=="), str(one)))
    return ",".join(_one_spec(one) for one in lower_first)


def _one_spec(one: Specifier) -> str:
    version = one.version.split("+")[0]
    match one.operator:
        case "~=":
            series = ".".join(str(number) for number in Version(version).release[:-1])
            return f">={version},{series}.*"
        case "==" if version.endswith(".*"):
            return version
        case "===":
            return f"=={version}"
        case "<" if not Version(version).is_prerelease:
            # PEP 440 keeps 2.0a1 out of "<2", conda does not
            return f"<{version}a0" if "." in version else f"<{version}.0a0"
        case _:
            return one.operator + version


def linux_environment(python: str, extra: str = "") -> dict[str, str]:
    """The PEP 508 marker variables of CPython `python`, a full version such as 3.11.9, on x86-64 Linux."""
    return {
        "extra": extra,
        "implementation_name": "cpython",
        "implementation_version": python,
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "sys_platform": "linux",
    }


Lookup = Callable[[Requirement], Iterable[Requirement]]


def depends(
    name: NormalizedName,
    requires: Iterable[Requirement],
    python: str,
    lookup: Lookup,
    extra: str = "",
    seen: frozenset[tuple[str, str]] = frozenset(),
) -> set[str]:
    """The match specs that the requirements of the project `name` come to under one Python.

    Conda packages have no extras, so those asked for are written out: `lookup` gives the requirements of the wheel that
    would satisfy a requirement.
    """
    specs = set()
    for requirement in requires:
        if requirement.marker and not requirement.marker.evaluate(linux_environment(python, extra)):
            continue
        other = canonicalize_name(requirement.name)
        if other != name:
            specs.add(f"{conda_name(other)} {version_spec(requirement.specifier)}".strip())
        for wanted in requirement.extras:
            if (other, wanted) in seen:
                continue
            conditional = [one for one in lookup(requirement) if one.marker and "extra" in str(one.marker)]
            specs |= depends(other, conditional, python, lookup, wanted, seen | {(other, wanted)})
    return specs
