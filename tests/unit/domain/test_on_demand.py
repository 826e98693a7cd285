"""Names of images that ask for packages."""

from __future__ import annotations

from datetime import date

import pytest

from conda_store.domain.on_demand import Wanted, is_on_demand, parse_image_name, parse_until
from conda_store.domain.platform import Platform
from conda_store.errors import InvalidInput


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("python", Wanted("python", ("python",))),
        # the environment's name keeps the order and the letters, the specification is sorted
        ("python.lt.3.8/numpy.gt.1.0", Wanted("python.lt.3.8-numpy.gt.1.0", ("numpy>1.0", "python<3.8"))),
        ("a.le.1/b.ge.2/c.eq.3", Wanted("a.le.1-b.ge.2-c.eq.3", ("a<=1", "b>=2", "c==3"))),
        ("a.ne.1", Wanted("a.ne.1", ("a!=1",))),
        ("a.ge.1,.lt.2", Wanted("a.ge.1,.lt.2", ("a>=1,<2",))),
        ("python.3.12", Wanted("python.3.12", ("python.3.12",))),
        ("linux-aarch64/b/a", Wanted("linux-aarch64-b-a", ("a", "b"), Platform.LINUX_AARCH64)),
        ("linux-64/a", Wanted("linux-64-a", ("a",), Platform.LINUX_64)),
        # a platform is named first, or is a package
        ("a/linux-64", Wanted("a-linux-64", ("a", "linux-64"))),
    ],
)
def test_what_a_name_asks_for(name: str, wanted: Wanted) -> None:
    assert is_on_demand(f"conda-store-dynamic/{name}")
    assert parse_image_name(f"conda-store-dynamic/{name}") == wanted


@pytest.mark.parametrize("name", ["", "/", "a/", "/a", "a//b", "linux-64", "linux-64/", "osx-arm64/a", "win-64/a"])
def test_what_asks_for_nothing(name: str) -> None:
    with pytest.raises(InvalidInput):
        parse_image_name(f"conda-store-dynamic/{name}")


@pytest.mark.parametrize("name", ["conda-store-dynamic", "conda-store-dynamics/a", "default/conda-store-dynamic"])
def test_other_names(name: str) -> None:
    assert not is_on_demand(name)


def test_a_day_can_be_asked_for_when_it_is_over() -> None:
    assert parse_until("at-2026-01-31", today=date(2026, 2, 1)) == "2026-01-31"
    for today in (date(2026, 1, 31), date(2026, 1, 30)):
        with pytest.raises(InvalidInput, match="not over yet"):
            parse_until("at-2026-01-31", today)
