"""What the operator decides about the HTTP server."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from conda_store.auth.providers.base import Authentication
from conda_store.auth.rules import AccessRules
from conda_store.auth.tokens import Tokens, parsed_bindings, parsed_grant
from conda_store.domain.access import Origin, Source
from conda_store.domain.roles import BUILT_IN_ROLES, Roles

MEBIBYTE = 1024**2
FOR_EVERYBODY = Origin(Source.CONFIGURATION, "everybody")
FOR_THE_AUTHENTICATED = Origin(Source.CONFIGURATION, "everybody who is logged in")


@dataclass(frozen=True)
class ServerOptions:
    """Sizes in bytes, times in seconds.

    `url_prefix` stands before every path (`/conda-store`). `allowed_hosts` are the host names that a request may
    name, without ports, `*.example.org` for those below a domain; none at all allows every name, which is right only
    behind a proxy or a firewall: pages of other sites could reach a loopback server under a name of their own.
    `accel_redirect` is the path below which a server in front finds the directory of the storage.
    `behind_proxy` trusts the X-Forwarded-* headers, as far as so many `proxies` wrote them. `template_vars` are
    `banner` (HTML) and `logo` (a path) of pages. `additional_routes` are (path, method, function), without the prefix.
    """

    url_prefix: str = ""
    enable_api: bool = True
    enable_ui: bool = True
    enable_metrics: bool = True
    enable_registry: bool = True
    max_page_size: int = 100
    max_body_size: int = 12 * MEBIBYTE
    packing_wait: float = 300.0
    heartbeat: float = 15.0
    behind_proxy: bool = False
    proxies: int = 1
    allowed_hosts: tuple[str, ...] = ()
    cors_allow_origins: tuple[str, ...] = ()
    cors_allow_origin_regex: str | None = None
    accel_redirect: str = ""
    registry_external_url: str = "localhost:8080"
    additional_routes: tuple[tuple[str, str, Callable[..., Any]], ...] = ()
    template_vars: Mapping[str, str] = field(default_factory=dict)
    signed_url_lifetime: timedelta = timedelta(hours=1)
    access: AccessRules = field(default_factory=AccessRules, repr=False)
    login: Authentication = field(default_factory=Authentication, repr=False)

    @classmethod
    def of(
        cls,
        *,
        tokens: Mapping[str, Any],
        unauthenticated_role_bindings: Mapping[str, Iterable[str]],
        authenticated_role_bindings: Mapping[str, Iterable[str]],
        roles: Roles = BUILT_IN_ROLES,
        rules: Mapping[str, Any] = MappingProxyType({}),
        **others: Any,
    ) -> ServerOptions:
        """Options as they stand in a configuration: tokens as mappings, bindings as `{"team/*": ["viewer"]}`.

        `rules` are further fields of AccessRules.

        Raises:
            ConfigurationError: an entity or a role is none.
        """
        login: Authentication = others.setdefault("login", Authentication())
        access = AccessRules(
            provider=type(login).__name__,
            session_lifetime=timedelta(seconds=login.session_seconds),
            roles=roles,
            tokens=Tokens({token: parsed_grant(grant, roles) for token, grant in tokens.items()}),
            anonymous=parsed_bindings(unauthenticated_role_bindings, roles, FOR_EVERYBODY),
            authenticated=parsed_bindings(authenticated_role_bindings, roles, FOR_THE_AUTHENTICATED),
            **rules,
        )
        return cls(access=access, **others)

    @property
    def prefix(self) -> str:
        """`url_prefix` with a slash before it and none behind; empty for none."""
        stripped = self.url_prefix.strip("/")
        return f"/{stripped}" if stripped else ""
