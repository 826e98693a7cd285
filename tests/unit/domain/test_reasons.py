from __future__ import annotations

import pytest

from conda_store.domain.lock import CondaPackage, PlatformLock, PyPIPackage
from conda_store.domain.platform import Platform
from conda_store.domain.reasons import package_name, reasons


def package(name: str, *depends: str) -> CondaPackage:
    return CondaPackage(
        name, "1", "0", "noarch", f"https://c.example/{name}-1-0.conda", "https://c.example", depends=depends
    )


LOCK = PlatformLock(
    Platform.LINUX_64,
    (
        package("pandas", "numpy >=1.26,<3", "python >=3.12"),
        package("numpy", "libblas", "python"),
        package("libblas", "libgcc >=13"),
        package("libgcc"),
        package("python", "libgcc", "__glibc >=2.17"),
        package("stray"),
    ),
    (PyPIPackage("flask", "3", "https://p.example/flask.whl", (), ("click>=8; python_version > '3'",)),
     PyPIPackage("click", "8", "https://p.example/click.whl", ())),
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("numpy", "numpy"),
        ("numpy >=1.2,<3", "numpy"),
        ("NumPy=1", "numpy"),
        ("conda-forge::numpy[version='>1']", "numpy"),
        ("https://c.example/x::zlib", "zlib"),
        ("flask[async]>=3", "flask"),
        ("_libgcc_mutex", "_libgcc_mutex"),
        ("", ""),
        (">=1", ""),
    ],
)
def test_the_name_in_a_requirement(text: str, name: str) -> None:
    assert package_name(text) == name


def test_the_shortest_way_is_told() -> None:
    found = reasons(LOCK, ["conda-forge::pandas>=2", "flask", "absent"])
    assert found == {
        "pandas": (),
        "flask": (),
        "numpy": ("pandas",),
        "python": ("pandas",),
        "libblas": ("pandas", "numpy"),
        "libgcc": ("pandas", "python"),
        "click": ("flask",),
    }


def test_a_distribution_is_known_by_each_spelling_of_its_name() -> None:
    locked = (
        PyPIPackage("typing-extensions", "4", "https://p.example/t.whl", ()),
        PyPIPackage("flask", "3", "https://p.example/f.whl", (), ("Zope.Interface>=5",)),
        PyPIPackage("zope-interface", "7", "https://p.example/z.whl", ()),
    )
    lock = PlatformLock(Platform.LINUX_64, (), locked)
    assert reasons(lock, ["typing_extensions>=4", "Flask"]) == {
        "typing-extensions": (),
        "flask": (),
        "zope-interface": ("flask",),
    }


def test_circles_end() -> None:
    lock = PlatformLock(Platform.LINUX_64, (package("a", "b"), package("b", "a")))
    assert reasons(lock, ["a"]) == {"a": (), "b": ("a",)}
