"""A configuration file of an earlier server, with its imports, is read as it is."""

from __future__ import annotations

from pathlib import Path

from conda_store.auth.providers.oauth import GenericOAuthAuthentication, JupyterHubOAuthAuthentication
from conda_store.config.login import login_of
from conda_store.config.programs import Program
from conda_store.config.server import AuthenticationBackend, CondaStoreServer
from conda_store.domain.access import Permission

FILE = """
from conda_store_server import CONDA_STORE_DIR
from conda_store_server.storage import LocalStorage
from conda_store_server.server.auth import (
    DummyAuthentication, GenericOAuthAuthentication, JupyterHubOAuthAuthentication, RBACAuthorizationBackend,
)
from conda_store_server.server.schema import AuthenticationToken, Permissions

c.CondaStore.storage_class = LocalStorage
c.AuthenticationBackend.predefined_tokens = {"t": {"primary_namespace": "x", "role_bindings": {"*/*": {"admin"}}}}


class Own(JupyterHubOAuthAuthentication):
    async def authenticate(self, request):
        token = await self._get_oauth_token(request)
        self.log.info("asked %s, %s", self.user_data_url, self.tls_verify)
        return AuthenticationToken(primary_namespace="x", role_bindings={"x/*": {"admin"}})


c.CondaStoreServer.authentication_class = Own
c.JupyterHubOAuthAuthentication.jupyterhub_url = "https://hub.example"
c.JupyterHubOAuthAuthentication.client_id = "service-conda-store"
c.JupyterHubOAuthAuthentication.client_secret = "secret"
c.RBACAuthorizationBackend.role_mappings_version = 2
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
