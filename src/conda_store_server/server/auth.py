"""How people log in, and what they may do."""

from conda_store.auth.providers.base import Authentication
from conda_store.auth.providers.oauth import (
    GenericOAuthAuthentication,
    GithubOAuthAuthentication,
    JupyterHubOAuthAuthentication,
)
from conda_store.auth.providers.simple import DummyAuthentication
from conda_store.config.server import AuthenticationBackend, RBACAuthorizationBackend

__all__ = [
    "Authentication",
    "AuthenticationBackend",
    "DummyAuthentication",
    "GenericOAuthAuthentication",
    "GithubOAuthAuthentication",
    "JupyterHubOAuthAuthentication",
    "RBACAuthorizationBackend",
]
