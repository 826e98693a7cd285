"""A configuration file of an earlier server, with its imports, is read as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from conda_store.auth.providers.oauth import GenericOAuthAuthentication, JupyterHubOAuthAuthentication
from conda_store.cli.serve import roles_of
from conda_store.config.core import CondaStore
from conda_store.config.login import login_of, rules_of
from conda_store.config.programs import Program
from conda_store.config.server import AuthenticationBackend, CondaStoreServer, RBACAuthorizationBackend
from conda_store.domain.roles import Permission
from conda_store.errors import ConfigurationError

FILE = """
from conda_store_server import CONDA_STORE_DIR
from conda_store_server import api, orm, schema
from conda_store_server._internal import orm as same_orm, schema as same_schema
from conda_store_server._internal.server.dependencies import get_conda_store
from conda_store_server.server.dependencies import get_conda_store as same_get_conda_store
from conda_store_server.storage import LocalStorage, S3Storage
from conda_store_server.server.auth import (
    DummyAuthentication, GenericOAuthAuthentication, JupyterHubOAuthAuthentication, RBACAuthorizationBackend,
)
from conda_store_server.server.schema import AuthenticationToken, Permissions

c.CondaStore.storage_class = LocalStorage
c.CondaStoreServer.additional_routes = [("/ping", "get", lambda: "pong")]
c.CondaStoreServer.template_vars = {"banner": "<b>hello</b>"}
c.AuthenticationBackend.predefined_tokens = {"t": {"primary_namespace": "x", "role_bindings": {"*/*": {"admin"}}}}


class Own(JupyterHubOAuthAuthentication):
    async def authenticate(self, request):
        token = self._get_oauth_token(request)
        self.log.info("asked %s, %s", self.user_data_url, self.tls_verify)
        return AuthenticationToken(primary_namespace="x", role_bindings={"x/*": {"admin"}})


c.CondaStoreServer.authentication_class = Own
c.JupyterHubOAuthAuthentication.jupyterhub_url = "https://hub.example"
c.JupyterHubOAuthAuthentication.client_id = "service-conda-store"
c.JupyterHubOAuthAuthentication.client_secret = "secret"
c.RBACAuthorizationBackend.role_mappings_version = 2
assert orm.Namespace is same_orm.Namespace
assert schema.AuthenticationToken is same_schema.AuthenticationToken is AuthenticationToken
assert get_conda_store is same_get_conda_store
assert api.create_namespace_role
assert Permissions.ENVIRONMENT_CREATE == "environment:create"
"""


def test_its_imports_and_classes_are_there(tmp_path: Path) -> None:
    file = tmp_path / "conda_store_config.py"
    file.write_text(FILE)
    program = Program()
    program.read([f"--config={file}"])
    login = login_of(program, program.part(CondaStoreServer), has_admin_token=False)
    assert isinstance(login, JupyterHubOAuthAuthentication)
    assert isinstance(login, GenericOAuthAuthentication)
    assert login.client_id == "service-conda-store"
    assert login.access_token_url == "https://hub.example/hub/api/oauth2/token"
    assert set(program.part(AuthenticationBackend).predefined_tokens) == {"t"}


def test_permissions_are_the_same_words() -> None:
    from conda_store_server.server.schema import Permissions

    assert Permissions is Permission


# every option of identity that earlier servers had, with a value as it stands in files
EARLIER = """
c.AuthenticationBackend.secret = "0123456789abcdef0123456789abcdef"
c.AuthenticationBackend.jwt_algorithm = "HS256"
c.AuthenticationBackend.predefined_tokens = {"t": {"primary_namespace": "x", "role_bindings": {"*/*": ["admin"]}}}
c.RBACAuthorizationBackend.role_mappings_version = 2
c.RBACAuthorizationBackend.role_mappings = {"viewer": {"environment::read", "namespace::read"}}
c.RBACAuthorizationBackend.unauthenticated_role_bindings = {"default/*": {"viewer"}}
c.RBACAuthorizationBackend.authenticated_role_bindings = {"default/*": {"viewer"}, "filesystem/*": {"viewer"}}
c.Authentication.cookie_name = "conda-store-auth"
c.Authentication.cookie_domain = None
c.Authentication.authentication_backend = AuthenticationBackend
c.Authentication.authorization_backend = RBACAuthorizationBackend
c.Authentication.login_html = "<p>{{ x }}</p>"
c.DummyAuthentication.password = "password"
c.GenericOAuthAuthentication.access_token_url = "https://p.example/token"
c.GenericOAuthAuthentication.authorize_url = "https://p.example/authorize"
c.GenericOAuthAuthentication.client_id = "id"
c.GenericOAuthAuthentication.client_secret = "secret"
c.GenericOAuthAuthentication.access_scope = "profile"
c.GenericOAuthAuthentication.user_data_url = "https://p.example/user"
c.GenericOAuthAuthentication.user_data_key = "name"
c.GenericOAuthAuthentication.tls_verify = False
c.GenericOAuthAuthentication.oauth_callback_url = lambda request: "https://envs.example/oauth_callback/"
c.GithubOAuthAuthentication.github_url = "https://github.example"
c.GithubOAuthAuthentication.github_api = "https://api.github.example"
c.JupyterHubOAuthAuthentication.jupyterhub_url = "https://hub.example"
"""
# what means nothing here: read, and told, but no reason not to start
WITHOUT_MEANING = """
c.CondaStoreServer.log_format = "%(message)s"
c.CondaStoreServer.nonsense = 1
c.NoSuchClass.option = 2
"""


def test_every_option_of_identity_is_known(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "conda_store_config.py"
    imports = (
        "from conda_store_server.server.auth import Authentication, AuthenticationBackend, RBACAuthorizationBackend\n"
    )
    file.write_text(imports + EARLIER + WITHOUT_MEANING)
    program = Program()
    program.read([f"--config={file}"])
    classes = {cls.__name__: cls for cls in Program.classes}
    for line in EARLIER.strip().splitlines():
        section, _, option = line.removeprefix("c.").partition(" = ")[0].partition(".")
        part = program.part(classes[section])
        assert getattr(part, option) == program.config[section][option], option
    assert "not recognized" not in capfd.readouterr().err
    assert rules_of(program, roles_of(program.part(RBACAuthorizationBackend)))["signed"] is not None
    program.part(CondaStoreServer)
    assert "`log_format` not recognized" in capfd.readouterr().err


def test_a_function_for_the_base_image_is_accepted_and_not_called(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "conda_store_config.py"
    file.write_text("c.CondaStore.default_docker_base_image = lambda build: 1 / 0\n")
    program = Program()
    program.read([f"--config={file}"])
    program.log.addHandler(caplog.handler)
    assert program.part(CondaStore).default_docker_base_image == "debian:bookworm-slim"
    assert "default_docker_base_image is a function" in caplog.text


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("from conda_store_server import BuildKey", "c.CondaStore.build_key_version chooses the form"),
        ("from conda_store_server.plugins.types.lock import LockPlugin", "lock plugins are not called"),
        ("from conda_store_server import nonsense", "cannot import name 'nonsense'"),
    ],
)
def test_what_is_gone_is_told(tmp_path: Path, line: str, told: str) -> None:
    file = tmp_path / "conda_store_config.py"
    file.write_text(line)
    with pytest.raises(ConfigurationError, match=told) as caught:
        Program().read([f"--config={file}"])
    assert "line 1" in str(caught.value)


@pytest.mark.parametrize(("name", "is_taken"), [("conda-lock", True), ("rattler", True), ("our-own", False)])
def test_a_lock_plugin_is_not_passed_over_in_silence(tmp_path: Path, name: str, is_taken: bool) -> None:
    file = tmp_path / "conda_store_config.py"
    file.write_text(f"c.CondaStore.lock_backend = {name!r}\n")
    program = Program()
    program.read([f"--config={file}"])
    if is_taken:
        assert program.part(CondaStore).lock_backend == name
    else:
        with pytest.raises(ConfigurationError, match="'our-own' is not called"):
            program.part(CondaStore)


def test_artifacts_are_not_kept_elsewhere_than_the_file_says(tmp_path: Path) -> None:
    file = tmp_path / "conda_store_config.py"
    file.write_text("from conda_store_server.storage import S3Storage\nc.CondaStore.storage_class = S3Storage\n")
    program = Program()
    program.read([f"--config={file}"])
    with pytest.raises(ConfigurationError, match="cannot be kept by S3Storage yet"):
        program.part(CondaStore)
