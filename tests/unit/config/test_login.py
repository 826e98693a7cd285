"""Which ways to log in a server starts with, and which it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from conda_store.auth.providers.base import Authentication
from conda_store.auth.providers.simple import DummyAuthentication
from conda_store.cli.serve import blueprint_of, for_this_machine
from conda_store.config.login import is_open, login_of, rules_of
from conda_store.config.programs import Program
from conda_store.config.server import CondaStoreServer
from conda_store.domain.access import RoleBinding
from conda_store.domain.on_demand import Audience
from conda_store.domain.roles import BUILT_IN_ROLES, Role
from conda_store.errors import ConfigurationError


def program(path: Path, *lines: str) -> Program:
    file = path / "conda_store_config.py"
    imports = "from conda_store.auth.providers import oauth, openid, simple\n"
    file.write_text(imports + "\n".join(lines))
    made = Program()
    made.read([f"--config={file}"])
    return made


def login(path: Path, *lines: str, has_admin_token: bool = False) -> Authentication:
    made = program(path, *lines)
    return login_of(made, made.part(CondaStoreServer), has_admin_token=has_admin_token)


LOOPBACK = 'c.CondaStoreServer.address = "127.0.0.1"'
DUMMY = "c.CondaStoreServer.authentication_class = simple.DummyAuthentication"


def test_what_is_taken_where_nothing_is_said(tmp_path: Path) -> None:
    assert type(login(tmp_path)) is Authentication
    assert type(login(tmp_path, LOOPBACK)) is DummyAuthentication
    assert type(login(tmp_path, LOOPBACK, has_admin_token=True)) is Authentication
    assert type(login(tmp_path, LOOPBACK, "c.CondaStoreServer.behind_proxy = True")) is Authentication


@pytest.mark.parametrize(
    ("lines", "is_seen"),
    [
        ((LOOPBACK,), False),
        ((LOOPBACK, 'c.CondaStoreServer.allowed_hosts = ["localhost", "[::1]"]'), False),
        ((), True),
        ((LOOPBACK, "c.CondaStoreServer.behind_proxy = True"), True),
        ((LOOPBACK, 'c.CondaStoreServer.allowed_hosts = ["envs.example.org"]'), True),
    ],
)
def test_neighbours_are_asked_for_nobody_but_this_machine(
    tmp_path: Path, lines: tuple[str, ...], is_seen: bool
) -> None:
    """A server on loopback that a proxy shows to others must not be turned against what else is on loopback."""
    made = program(tmp_path, *lines)
    assert is_open(made.part(CondaStoreServer)) is is_seen
    blueprint = blueprint_of(made)
    for policy in (
        blueprint.builder_options.addresses,
        blueprint.deployment.addresses,
        login(tmp_path, *lines).addresses,
    ):
        assert policy.permits("127.0.0.1", "127.0.0.1") is not is_seen


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((LOOPBACK,), Audience.ANYBODY),
        ((), Audience.PERMITTED),
        ((LOOPBACK, "c.CondaStoreServer.behind_proxy = True"), Audience.PERMITTED),
        ((LOOPBACK, 'c.CondaStoreServer.allowed_hosts = ["envs.example.org"]'), Audience.PERMITTED),
        ((LOOPBACK, 'c.CondaStore.images_on_demand_for = "permitted"'), Audience.PERMITTED),
        (('c.CondaStore.images_on_demand_for = "authenticated"',), Audience.AUTHENTICATED),
    ],
)
def test_only_on_this_machine_anybody_has_images_made_by_naming_packages(
    tmp_path: Path, lines: tuple[str, ...], expected: Audience
) -> None:
    made = program(tmp_path, *lines)
    server: CondaStoreServer = made.part(CondaStoreServer)
    assert for_this_machine(made, server, blueprint_of(made)).deployment.on_demand_for is expected
    # `conda-store-server` opens it to nobody by itself
    is_told = any("on_demand_for" in line for line in lines)
    assert is_told or blueprint_of(made).deployment.on_demand_for is Audience.PERMITTED


def test_the_dummy_is_not_served_to_others_unless_told(tmp_path: Path) -> None:
    assert type(login(tmp_path, LOOPBACK, DUMMY)) is DummyAuthentication
    for more in ((), (LOOPBACK, "c.CondaStoreServer.behind_proxy = True")):
        with pytest.raises(ConfigurationError, match="makes everybody admin") as refused:
            login(tmp_path, DUMMY, *more)
        assert "serve_to_others" in refused.value.hint
    assert type(login(tmp_path, DUMMY, "c.DummyAuthentication.serve_to_others = True")) is DummyAuthentication


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("simple.PasswordFileAuthentication", "password_file"),
        ("oauth.GenericOAuthAuthentication", "authorize_url"),
        ("oauth.GithubOAuthAuthentication", "client_id"),
        ("oauth.JupyterHubOAuthAuthentication", "authorize_url"),
        ("openid.OpenIDConnectAuthentication", "issuer"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, name: str, missing: str) -> None:
    with pytest.raises(ConfigurationError, match=missing):
        login(tmp_path, f"c.CondaStoreServer.authentication_class = {name}")


def test_a_class_of_the_operators_own(tmp_path: Path) -> None:
    lines = (
        "class Own(oauth.GithubOAuthAuthentication):\n    async def authenticate(self, request):\n        return None",
        "c.CondaStoreServer.authentication_class = Own",
        'c.GenericOAuthAuthentication.client_id = "general"',
        'c.Own.github_url = "https://git.example"',
    )
    found = login(tmp_path, *lines)
    assert found.client_id == "general"  # type: ignore[attr-defined]
    assert found.authorize_url == "https://git.example/login/oauth/authorize"  # type: ignore[attr-defined]
    assert found.user_data_url == "https://api.github.com/user"  # type: ignore[attr-defined]


def test_the_rules_of_a_configuration(tmp_path: Path) -> None:
    rules = rules_of(
        program(
            tmp_path,
            'c.RBACAuthorizationBackend.admin_users = {"alice"}',
            'c.RBACAuthorizationBackend.group_role_bindings = {"data": {"data/*": {"editor"}}}',
            'c.CondaStore.default_namespace = "common"',
            'c.AuthenticationBackend.secret = "' + "x" * 32 + '"',
        ),
        BUILT_IN_ROLES,
    )
    assert rules["admin_users"] == {"alice"}
    assert rules["groups"] == {"data": (RoleBinding("data", "*", Role.DEVELOPER),)}
    assert {"common", "filesystem"} <= rules["shared_namespaces"]
    assert rules["signed"] is not None
    for line in (
        'c.AuthenticationBackend.secret = "short"',
        'c.RBACAuthorizationBackend.user_role_bindings = {"x": {"y": ["viewer"]}}',
    ):
        with pytest.raises(ConfigurationError):
            rules_of(program(tmp_path, line), BUILT_IN_ROLES)
