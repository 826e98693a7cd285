from __future__ import annotations

from typing import Any

import pytest

from conda_store.domain.channel import channel_url, without_credentials
from conda_store.domain.lock import CondaPackage, Lock, PlatformLock, PyPIPackage, load_lock
from conda_store.domain.platform import Platform
from conda_store.domain.policy import apply_policy
from conda_store.domain.settings import (
    DEPLOYMENT_DECIDES,
    SETTING_NAMES,
    Settings,
    checked_settings,
    in_force,
    layered_settings,
)
from conda_store.domain.specification import Specification
from conda_store.errors import InvalidInput, PolicyViolation


def name_of(text: str) -> str:
    return text.split("=")[0].split(">")[0].lower()


def applied(specification: Specification, **values: Any) -> Specification:
    rules = in_force(Settings(), ("namespace team", values))
    return apply_policy(specification, rules, conda_name=name_of, pypi_name=name_of)


def test_there_are_the_22_settings_of_the_contract_and_ours() -> None:
    assert len(SETTING_NAMES - DEPLOYMENT_DECIDES | {"conda_channel_alias", "conda_allowed_channels"}) == 22


def test_layers_lie_over_each_other_and_change_nothing_below() -> None:
    deployment = Settings()
    merged = layered_settings(
        deployment, {"conda_default_channels": ["a"]}, {"storage_threshold": 1}, {"conda_default_channels": ["b"]}
    )
    assert merged.conda_default_channels == ("b",)
    assert merged.storage_threshold == 1
    assert deployment == Settings()
    assert merged.model()["conda_default_channels"] == ["b"]


@pytest.mark.parametrize(
    ("values", "is_global", "problem"),
    [
        ({"nope": 1}, True, "Invalid setting keys {'nope'}"),
        ({"storage_threshold": 1}, False, "is a global setting and cannot be set within a namespace or environment"),
        ({"storage_threshold": "1"}, True, "validation error"),
        ({"storage_threshold": True}, True, "validation error"),
        ({"conda_channel_alias": None}, False, "validation error"),
        ({"conda_default_channels": "a"}, False, "validation error"),
        ({"conda_default_channels": [1]}, False, "validation error"),
        ({"build_artifacts": ["CAKE"]}, False, "'CAKE' is none of"),
        ({"conda_solve_platforms": ["amiga"]}, False, "'amiga' is none of"),
        ({"default_permissions": "999"}, True, "three octal digits"),
        ({"conda_max_solve_time": 0}, True, "it is from 1 to"),
        ({"storage_threshold": -1}, True, "it is from 0 to"),
        ({"default_uid": 2**32}, True, "it is from 0 to"),
    ],
)
def test_settings_that_cannot_be(values: dict[str, Any], is_global: bool, problem: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        checked_settings(values, is_global=is_global)
    assert problem in str(raised.value)


def test_default_channels_are_those_of_specifications_that_name_none() -> None:
    assert applied(Specification("e")).channels == ("conda-forge",)
    assert applied(Specification("e", ("mine",))).channels == ("mine",)


def test_nodefaults_is_no_channel() -> None:
    assert applied(Specification("e", ("mine", "nodefaults"))).channels == ("mine",)
    assert applied(Specification("e", ("nodefaults",))).channels == ("conda-forge",)
    assert applied(Specification("e", ("mine", "nodefaults")), conda_allowed_channels=["mine"]).channels == ("mine",)


def test_only_allowed_channels_pass_however_they_are_written() -> None:
    allowed = {"conda_allowed_channels": ["conda-forge"]}
    written_out = Specification("e", ("https://conda.anaconda.org/conda-forge",))
    assert applied(written_out, **allowed).channels == written_out.channels
    with pytest.raises(PolicyViolation, match=r"Conda channels \{.other.\} not allowed in specification"):
        applied(Specification("e", ("conda-forge", "other")), **allowed)


def test_packages_are_added_and_required() -> None:
    assert applied(Specification("e"), conda_default_packages=["python"]).dependencies == ("python",)
    assert applied(Specification("e", (), ("a",)), conda_default_packages=["python"]).dependencies == ("a",)
    included = applied(Specification("e", (), ("a=1",)), conda_included_packages=["a", "ipykernel"])
    assert included.dependencies == ("a=1", "ipykernel")
    with pytest.raises(PolicyViolation, match=r"^Conda packages"):
        applied(Specification("e", (), ("a",)), conda_required_packages=["b"])
    with pytest.raises(PolicyViolation, match=r"^PyPi packages"):
        applied(Specification("e", (), ("a",)), pypi_required_packages=["b"])
    assert applied(Specification("e", (), ("a",)), pypi_included_packages=["b"]).pip == ("b",)
    # pip comes first: a block that was added means that the specification asks for something
    both = applied(Specification("e"), pypi_default_packages=["b"], conda_default_packages=["python"])
    assert (both.pip, both.dependencies) == (("b",), ())


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("conda-forge", "https://alias.example/conda-forge"),
        ("conda-forge/label/dev", "https://alias.example/conda-forge/label/dev"),
        ("https://x.example/c/", "https://x.example/c"),
        ("/srv/channel", "file:///srv/channel"),
        ("file:///srv/channel", "file:///srv/channel"),
    ],
)
def test_channel_urls(name: str, url: str) -> None:
    assert channel_url(name, "https://alias.example/") == url


@pytest.mark.parametrize(
    "url",
    ["https://user:secret@x.example/c", "https://x.example/t/secret/c", "https://secret@x.example/t/secret/c"],
)
def test_credentials_are_taken_out(url: str) -> None:
    assert without_credentials(url) == "https://x.example/c"


def test_a_lock_comes_back_as_it_was() -> None:
    package = CondaPackage("a", "1", "0", "noarch", "https://x/a-1-0.conda", "https://x", depends=("b", "c"), size=3)
    lock = Lock(
        ("https://x",),
        (PlatformLock(Platform.LINUX_64, (package,), (PyPIPackage("p", "1", "https://y/p.whl", ("sha256:0",)),)),),
        ("--index-url z",),
    )
    assert load_lock(lock.dump()) == lock
    assert load_lock(lock.dump()).digest == lock.digest
    assert lock.on(Platform.WIN_64) is None
