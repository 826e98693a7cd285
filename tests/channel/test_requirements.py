"""Requirements of wheels as match specs."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from rattler import MatchSpec, Version

from tools.channel.requirements import conda_name, depends, version_spec


@pytest.mark.parametrize(
    ("pypi", "conda"),
    [("NumPy", "numpy"), ("tzdata", "python-tzdata"), ("typing_extensions", "typing_extensions"), ("A.b_C", "a-b-c")],
)
def test_names(pypi: str, conda: str) -> None:
    assert conda_name(pypi) == conda


@pytest.mark.parametrize(
    ("pep440", "conda"),
    [
        ("", ""),
        (">=1.21", ">=1.21"),
        ("<2,>=1.21", ">=1.21,<2.0a0"),
        ("<1.5", "<1.5a0"),
        ("<2.0rc1", "<2.0rc1"),
        ("~=1.4.2", ">=1.4.2,1.4.*"),
        ("==1.4.*,!=1.4.3", "1.4.*,!=1.4.3"),
        ("!=1.5.*", "!=1.5.*"),
        ("===1.0", "==1.0"),
        ("==1.0+cpu", "==1.0"),
    ],
)
def test_versions(pep440: str, conda: str) -> None:
    assert version_spec(SpecifierSet(pep440)) == conda
    MatchSpec(f"x {conda}")


@pytest.mark.parametrize("version", ["2.0a1", "2.0.0rc1", "2.0.dev0", "2.0"])
def test_upper_bound_leaves_prereleases_of_the_bound_out(version: str) -> None:
    for spec in (version_spec(SpecifierSet("<2")), version_spec(SpecifierSet("<2.0"))):
        assert not Version(version) < Version(spec.removeprefix("<"))


def requirements(*texts: str) -> list[Requirement]:
    return [Requirement(text) for text in texts]


def no_extras(_: Requirement) -> list[Requirement]:
    return []


def test_markers_are_those_of_cpython_on_linux() -> None:
    wanted = requirements(
        "colorama; sys_platform == 'win32'",
        "tomli>=2; python_version < '3.11'",
        "pexpect>4; sys_platform != 'win32'",
        "exceptiongroup; python_full_version < '3.11.3'",
        "pytest; extra == 'test'",
    )
    assert depends(canonicalize_name("x"), wanted, "3.11.2", no_extras) == {"pexpect >4", "exceptiongroup"}
    assert depends(canonicalize_name("x"), wanted, "3.13.0", no_extras) == {"pexpect >4"}


def test_extras_are_written_out_also_those_of_extras() -> None:
    projects = {
        "dask": requirements("click", "distributed<3; extra == 'distributed'", "dask[array]; extra == 'complete'"),
        "web": requirements("h11", "web[fast]; extra == 'all'", "uvloop; extra == 'fast'"),
    }

    def lookup(requirement: Requirement) -> list[Requirement]:
        return projects[canonicalize_name(requirement.name)]

    app = canonicalize_name("app")
    wanted = requirements("dask[distributed]>=2024")
    assert depends(app, wanted, "3.11.2", lookup) == {"dask >=2024", "distributed <3.0a0"}
    assert depends(app, requirements("web[all]"), "3.11.2", lookup) == {"web", "uvloop"}
