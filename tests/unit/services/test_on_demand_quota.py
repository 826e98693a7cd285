"""Images by names of packages count towards the namespace of whoever asked first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conda_store.domain.access import SYSTEM, Actor, RoleBinding
from conda_store.domain.roles import Role
from conda_store.errors import QuotaExceeded
from conda_store.services.context import Context
from conda_store.services.on_demand import request_build
from conda_store.services.settings import update_settings

ADA = replace(SYSTEM, name="ada", primary_namespace="ada")
BOB: Actor = replace(SYSTEM, name="bob", primary_namespace="bob")


def test_the_first_who_asks_pays(context: Context) -> None:
    update_settings(context, SYSTEM, {"quota_on_demand_images": 1}, "ada")
    first = request_build(context, ADA, "conda-store-dynamic/python")
    assert request_build(context, ADA, "conda-store-dynamic/python") == first
    with pytest.raises(QuotaExceeded) as caught:
        request_build(context, ADA, "conda-store-dynamic/numpy")
    assert "namespace ada is used up: 1 of 1 images by names of packages" in caught.value.message
    other = request_build(context, BOB, "conda-store-dynamic/numpy")
    # what is there is had by everybody
    assert request_build(context, ADA, "conda-store-dynamic/numpy") == other


def test_nobody_uses_up_what_a_namespace_that_they_do_not_see_may_have(context: Context) -> None:
    """A token may name any namespace as its primary one."""
    update_settings(context, SYSTEM, {"quota_on_demand_images": 1}, "team")
    permitted = (RoleBinding("conda-store-dynamic", "*", Role.DEVELOPER),)
    eve = Actor("eve", "team", permitted, is_authenticated=True)
    request_build(context, eve, "conda-store-dynamic/python")
    of_team = replace(SYSTEM, name="tim", primary_namespace="team")
    assert request_build(context, of_team, "conda-store-dynamic/numpy")
    with pytest.raises(QuotaExceeded):
        request_build(context, of_team, "conda-store-dynamic/python/numpy")
