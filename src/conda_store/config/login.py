"""How people log in, and what the operator lets them do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conda_store.auth.providers.base import Authentication
from conda_store.auth.providers.simple import DummyAuthentication
from conda_store.auth.tokens import parsed_bindings
from conda_store.config.core import CondaStore
from conda_store.config.server import AuthenticationBackend, CondaStoreServer, RBACAuthorizationBackend
from conda_store.domain import on_demand
from conda_store.domain.access import Origin, Source
from conda_store.domain.roles import Roles
from conda_store.errors import ConfigurationError

if TYPE_CHECKING:
    from conda_store.config.programs import Program

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def is_loopback(address: str) -> bool:
    return address in _LOOPBACK


def is_open(options: CondaStoreServer) -> bool:
    """Whether others than this machine reach the server, be it through a proxy that shows it to them."""
    named = {name.strip("[]") for name in options.allowed_hosts}
    return not is_loopback(options.address) or options.behind_proxy or not named <= _LOOPBACK


def login_of(program: Program, options: CondaStoreServer, *, has_admin_token: bool) -> Authentication:
    """How people log in. With neither a class nor an admin's token to log in with, on loopback it is for trying out.

    Raises:
        ConfigurationError: something that it needs is missing, or it would let anybody in.
    """
    default = Authentication if is_open(options) or has_admin_token else DummyAuthentication
    login: Authentication = program.part(options.authentication_class or default)
    core: CondaStore = program.part(CondaStore)
    login.addresses = core.addresses(is_local=not is_open(options))
    if problem := login.problem(is_open=is_open(options)):
        hint = "See docs/how-to/log-in.md."
        if isinstance(login, DummyAuthentication):
            hint = f"Choose another class or 127.0.0.1, or say c.DummyAuthentication.serve_to_others = True. {hint}"
        raise ConfigurationError(problem, hint=hint)
    return login


def rules_of(program: Program, roles: Roles) -> dict[str, Any]:
    """Fields of AccessRules, but for tokens and what everybody may do.

    Raises:
        ConfigurationError: a binding or the secret cannot be used.
    """
    from conda_store.auth.signed import SignedTokens

    backend: AuthenticationBackend = program.part(AuthenticationBackend)
    bindings: RBACAuthorizationBackend = program.part(RBACAuthorizationBackend)
    core: CondaStore = program.part(CondaStore)
    return {
        "signed": SignedTokens(backend.secret, backend.jwt_algorithm, roles) if backend.secret else None,
        "users": {
            name: parsed_bindings(held, roles, Origin(Source.CONFIGURATION, f"user {name}"))
            for name, held in bindings.user_role_bindings.items()
        },
        "groups": {
            name: parsed_bindings(held, roles, Origin(Source.CONFIGURATION, f"group {name}"))
            for name, held in bindings.group_role_bindings.items()
        },
        "admin_users": frozenset(bindings.admin_users),
        "admin_groups": frozenset(bindings.admin_groups),
        "allowed_users": frozenset(bindings.allowed_users),
        "allowed_groups": frozenset(bindings.allowed_groups),
        "shared_namespaces": frozenset({core.default_namespace, core.filesystem_namespace, on_demand.NAMESPACE}),
    }
