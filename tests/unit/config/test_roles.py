"""Roles and the version of role mappings, as configuration files give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from conda_store.cli.serve import read_program, roles_of
from conda_store.config.programs import Program
from conda_store.config.server import RBACAuthorizationBackend
from conda_store.domain.roles import Permission
from conda_store.errors import ConfigurationError


def configured(directory: Path, text: str) -> RBACAuthorizationBackend:
    path = directory / "conda_store_config.py"
    path.write_text(text)
    program: Program = read_program("conda-store-server", [f"--config={path}"])
    part: RBACAuthorizationBackend = program.part(RBACAuthorizationBackend)
    return part


def test_roles_of_a_configuration(tmp_path: Path) -> None:
    text = "c.RBACAuthorizationBackend.role_mappings = {'auditor': {'setting::read', 'namespace::read'}}\n"
    options = configured(tmp_path, text + "c.RBACAuthorizationBackend.role_mappings_version = 2")
    assert options.role_mappings_version == 2
    roles = roles_of(options)
    assert roles.parse("auditor").permissions == {Permission.SETTING_READ, Permission.NAMESPACE_READ}
    assert {role.name for role in roles} == {"viewer", "developer", "admin", "auditor"}


def test_a_permission_that_does_not_exist_is_named(tmp_path: Path) -> None:
    options = configured(tmp_path, "c.RBACAuthorizationBackend.role_mappings = {'auditor': {'setting::fly'}}")
    with pytest.raises(ConfigurationError, match="role_mappings: invalid permission=setting::fly"):
        roles_of(options)


def test_there_are_two_versions(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        configured(tmp_path, "c.RBACAuthorizationBackend.role_mappings_version = 3")
