"""Who asks: from a request to an actor. Whatever is wrong with a token makes its bearer anonymous."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from conda_store.auth.credentials import presented_token
from conda_store.auth.tokens import Grant, Tokens
from conda_store.domain.access import Actor, RoleBinding
from conda_store.errors import InvalidInput
from conda_store.server.options import ServerOptions


class Authenticator:
    def __init__(self, options: ServerOptions, default_namespace: str) -> None:
        self._tokens = Tokens(options.tokens)
        self._cookie_name = options.cookie_name
        self._authenticated = options.authenticated_role_bindings
        self._anonymous = Actor("anonymous", default_namespace, options.unauthenticated_role_bindings)

    def actor(self, request: HTTPConnection) -> Actor:
        token = presented_token(request.cookies.get(self._cookie_name), request.headers.get("authorization"))
        grant = self._tokens.find(token) if token else None
        return self._actor_of(grant) if grant else self._anonymous

    def find(self, token: str) -> Actor | None:
        """Whoever may use a token that somebody logs in with; None when it is not valid."""
        grant = self._tokens.find(token)
        return self._actor_of(grant) if grant else None

    def bearer(self, token: str) -> Actor:
        """Whoever may use a token that came as a parameter.

        Raises:
            InvalidInput: it is not valid.
        """
        grant = self._tokens.find(token)
        if grant is None:
            raise InvalidInput("the token in `jwt` is not valid", hint="It may have expired.")
        return self._actor_of(grant)

    def _actor_of(self, grant: Grant) -> Actor:
        bindings = _replaced(self._authenticated, grant.bindings)
        name = grant.name or grant.primary_namespace
        return Actor(name, grant.primary_namespace, bindings, is_authenticated=True, expires=grant.expires)


def _replaced(general: tuple[RoleBinding, ...], own: tuple[RoleBinding, ...]) -> tuple[RoleBinding, ...]:
    """Both together; where both speak of the same entity the token's own bindings hold."""
    entities = {binding.entity for binding in own}
    return tuple(binding for binding in general if binding.entity not in entities) + own
