from __future__ import annotations

from dataclasses import replace

from conda_store.domain.image import (
    ImagePython,
    Layer,
    do_packages_collide,
    image_python,
    package_key,
    path_marks,
    plan_layers,
)
from conda_store.domain.lock import CondaPackage, PlatformLock
from conda_store.domain.platform import Platform


def package(name: str, size: int = 1, *depends: str, version: str = "1.0", subdir: str = "linux-64") -> CondaPackage:
    url = f"https://conda.example/forge/{subdir}/{name}-{version}-0.conda"
    return CondaPackage(name, version, "0", subdir, url, "https://conda.example/forge", size=size, depends=depends)


def lock(*packages: CondaPackage) -> PlatformLock:
    return PlatformLock(Platform.LINUX_64, packages)


def names(layers: tuple) -> list[list[str]]:
    return [[package.name for package in layer.packages] for layer in layers]


def test_each_package_has_a_layer_while_the_budget_lasts() -> None:
    packages = lock(package("b"), package("python", 9, "zlib", "openssl >=3"), package("a"), package("zlib"))
    assert names(plan_layers(packages, 4)) == [["python"], ["zlib"], ["a"], ["b"]]


def test_the_largest_stay_alone_and_the_rest_share_the_last_layer() -> None:
    packages = lock(*(package(f"p{number:02}", number) for number in range(10)))
    layers = plan_layers(packages, 4)
    assert names(layers) == [["p07"], ["p08"], ["p09"], ["p00", "p01", "p02", "p03", "p04", "p05", "p06"]]


def test_environments_with_the_same_python_begin_alike() -> None:
    python = [package("python", 9, "zlib"), package("zlib")]
    one, other = lock(*python, package("aaa")), lock(package("numpy"), *python)
    assert plan_layers(one, 90)[:2] == plan_layers(other, 90)[:2]


def test_a_key_depends_on_the_record_and_for_noarch_on_python() -> None:
    old, new = ImagePython("3.11", "lib/python3.11/site-packages"), ImagePython("3.13", "lib/python3.13/site-packages")
    native, pure = package("zlib"), package("six", subdir="noarch")
    assert package_key(native, old) == package_key(native, new) == package_key(native, None)
    assert package_key(pure, old) != package_key(pure, new)
    assert package_key(native, old) != package_key(replace(native, depends=("libc",)), old)


def test_a_group_is_another_layer_when_one_of_its_packages_changes() -> None:
    packages = [package(f"p{number}", number) for number in range(5)]
    changed = [replace(packages[0], version="2.0"), *packages[1:]]
    before, after = plan_layers(lock(*packages), 3), plan_layers(lock(*changed), 3)
    assert [layer.key(None) for layer in before[:2]] == [layer.key(None) for layer in after[:2]]
    assert before[2].key(None) != after[2].key(None)


def test_packages_that_bring_the_same_path_are_known_by_their_marks() -> None:
    def bringing(*paths: str) -> Layer:
        return Layer("", "", 0, 0, "", path_marks=path_marks(paths))

    apart = [bringing("lib/a", "bin/ü"), bringing("lib/b"), bringing()]
    assert not do_packages_collide(apart)
    assert do_packages_collide([*apart, bringing("share/x", "bin/ü")])
    # in one layer, too
    assert do_packages_collide([bringing("x", "y", "x")])


def test_the_python_of_an_image() -> None:
    python = package("python", version="3.12.4")
    assert image_python(lock(python)) == ImagePython("3.12", "lib/python3.12/site-packages")
    given = replace(python, python_site_packages_path="lib/python3.12t/site-packages")
    assert image_python(lock(given)) == ImagePython("3.12", "lib/python3.12t/site-packages")
    assert image_python(lock(package("zlib"))) is None
