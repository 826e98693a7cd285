"""Who asks: from a request to an actor. Whatever is wrong with a token makes its bearer anonymous."""

from __future__ import annotations

from functools import cached_property

from starlette.requests import HTTPConnection

from conda_store.auth.credentials import presented_token
from conda_store.auth.opaque import is_token
from conda_store.auth.providers.base import Authentication, AuthenticationToken
from conda_store.auth.rules import AccessRules, as_mapping, known_bindings
from conda_store.auth.signed import LoginState
from conda_store.domain.access import Actor
from conda_store.errors import InvalidInput
from conda_store.server.attempts import Attempts
from conda_store.server.options import ServerOptions
from conda_store.services.access import with_given_roles
from conda_store.services.authentication import recognised
from conda_store.services.context import Context
from conda_store.services.logins import signing_secret, vouched_for
from conda_store.services.sharing import find_link, with_link

# links that were opened in a browser: what they share comes on top of what its user may do anyway
SHARE_COOKIE = "conda-store-share"
_MOST_LINKS = 8


def links_in(request: HTTPConnection) -> list[str]:
    """The links that the browser has opened, the newest last."""
    return [link for link in request.cookies.get(SHARE_COOKIE, "").split(".") if link][-_MOST_LINKS:]


def links_with(request: HTTPConnection, link: str) -> str:
    """What the cookie holds when another link has been opened."""
    return ".".join([*(known for known in links_in(request) if known != link), link][-_MOST_LINKS:])


class _Bindings:
    """What a login's class is told of somebody."""

    def __init__(self, context: Context, rules: AccessRules) -> None:
        self._context, self._rules = context, rules

    def get_entity_bindings(self, entity: AuthenticationToken) -> dict[str, set[str]]:
        roles = {arn: [str(role) for role in names] for arn, names in entity.role_bindings.items()}
        own = self._rules.with_everybody(known_bindings(roles, self._rules.roles))
        name = entity.primary_namespace
        actor = with_given_roles(self._context, Actor(name, name, own, is_authenticated=True, groups=entity.groups))
        return {arn: set(names) for arn, names in as_mapping(actor.bindings).items()}


class Authenticator:
    def __init__(self, context: Context, options: ServerOptions, attempts: Attempts) -> None:
        self._context = context
        self._attempts = attempts
        self.rules = options.access
        self.login = options.login
        self._asks_elsewhere = type(options.login).recognise is not Authentication.recognise
        self._cookie_name = options.login.cookie_name
        options.login.authorization = _Bindings(context, options.access)
        self._anonymous = Actor(
            "anonymous", context.deployment.settings.default_namespace, options.access.anonymous, identity="anonymous"
        )

    def actor(self, request: HTTPConnection) -> Actor:
        """Found out once for each request."""
        known: Actor | None = getattr(request.state, "actor", None)
        if known is None:
            found = self.known_bearer(request) or self._anonymous
            known = request.state.actor = self._with_links(request, found)
        return known

    def known_bearer(self, request: HTTPConnection) -> Actor | None:
        """Whoever may use the token that the request brings, found out once; None where it brings none that is valid.

        Raises:
            Unavailable: the provider has to say, and does not answer.
        """
        if not hasattr(request.state, "bearer"):
            token = self.presented(request)
            request.state.bearer = self.find(request, token) if token else None
        found: Actor | None = request.state.bearer
        return found

    def actor_now(self, request: HTTPConnection) -> Actor:
        """Who has sent the request, and what they may do at this moment, however long it has lasted."""
        token = self.presented(request)
        return self._with_links(request, (self.find(request, token) if token else None) or self._anonymous)

    def _with_links(self, request: HTTPConnection, found: Actor) -> Actor:
        """With what the links share that the browser has opened."""
        for link in links_in(request):
            if (shared := find_link(self._context, link)) is not None:
                found = with_link(found, shared)
        return found

    def presented(self, request: HTTPConnection) -> str | None:
        """The token that the request brings, valid or not."""
        return presented_token(request.cookies.get(self._cookie_name), request.headers.get("authorization"))

    def find(self, request: HTTPConnection, token: str) -> Actor | None:
        """Whoever may use the token that came with the request; None when it is not valid. A link stands for nobody,
        who may read one thing.

        Raises:
            Unavailable: the provider has to say, and does not answer.
            TooManyRequests: it has had to say no to this address too often.
        """
        if (link := find_link(self._context, token)) is not None:
            return with_link(self._anonymous, link)
        found = recognised(self._context, self.rules, token)
        if found is None and self._asks_elsewhere and not is_token(token):
            self._attempts.count_unknown(request)
            if person := self.login.recognise(token):
                self._attempts.forgive_unknown(request)
                return vouched_for(self._context, self.rules, person)
        return found

    @cached_property
    def states(self) -> LoginState:
        """Signs what browsers carry while people log in elsewhere."""
        return LoginState(signing_secret(self._context))

    def bearer(self, request: HTTPConnection, token: str) -> Actor:
        """Whoever may use a token that came as a parameter.

        Raises:
            InvalidInput: it is not valid.
        """
        actor = self.find(request, token)
        if actor is None:
            raise InvalidInput("the token in `jwt` is not valid", hint="It may have expired.")
        return actor
