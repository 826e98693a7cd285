"""Logging in elsewhere: OAuth 2 (RFC 6749) with PKCE (RFC 7636), GitHub, JupyterHub."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

from traitlets import Bool, Callable, Unicode, Union

from conda_store.auth.opaque import digest
from conda_store.auth.providers.base import Authentication, AuthenticationToken, in_thread, texts
from conda_store.auth.providers.fetching import fetch_json
from conda_store.domain.addresses import ANY_ADDRESS, AddressPolicy
from conda_store.domain.pkce import challenge_of
from conda_store.errors import NotAuthenticated, Unavailable

if TYPE_CHECKING:
    from starlette.requests import Request

# how long JupyterHub's word on one of its tokens counts, in seconds, and on how many of them
_HUB_ANSWERS_LAST = 60.0
_HUB_ANSWERS = 10_000
_LONGEST_HUB_TOKEN = 200
# scopes of GitHub with which it tells them, how many at once at most, and how often it is asked
_TELL_ORGANISATIONS = frozenset({"read:org", "write:org", "admin:org", "user"})
_ON_A_PAGE = 100
_MOST_PAGES = 10


class GenericOAuthAuthentication(Authentication):
    """Anybody who speaks OAuth 2 and tells, at one address, who the bearer of a token is."""

    is_elsewhere: ClassVar[bool] = True

    access_token_url = Unicode("", help="Where a code is exchanged for a token.", config=True)
    authorize_url = Unicode("", help="Where people are sent to log in.", config=True)
    client_id = Unicode("", help="Who the provider knows this server as.", config=True)
    client_secret = Unicode("", help="What it proves that with; empty for a public client.", config=True)
    access_scope = Unicode("", help="The scopes that are asked for, with blanks between; empty: none.", config=True)
    user_data_url = Unicode("", help="Where the provider tells who the bearer of a token is.", config=True)
    user_data_key = Unicode("", help="The key of the user's name in what is told there.", config=True)
    groups_key = Unicode("groups", help="The key of the list of the user's groups; may be missing there.", config=True)
    tls_verify = Bool(True, help="Check the provider's certificate.", config=True)
    oauth_callback_url = Union(
        [Unicode(), Callable()],
        default_value="",
        help="The address of `/oauth_callback/` as browsers know it, or a function of the request that tells it; "
        "empty: found out from the request.",
        config=True,
    )

    def problem(self, *, is_open: bool) -> str | None:
        for name in ("authorize_url", "access_token_url", "user_data_url", "client_id", "user_data_key"):
            if not getattr(self, name):
                return f"c.{type(self).__name__}.{name} is not set"
        return None

    def callback_url(self, request: Request, own: str) -> str:
        """Where the provider sends people back to; `own` is the address as the request names it."""
        given = self.oauth_callback_url
        return str(given(request) if callable(given) else given or own)

    async def authorization_url(self, callback: str, state: str, verifier: str, nonce: str) -> str:
        """Where to send somebody who wants to log in."""
        query = {"response_type": "code", "client_id": self.client_id, "redirect_uri": callback, "state": state}
        if self.access_scope:
            query["scope"] = self.access_scope
        query |= {"code_challenge": challenge_of(verifier), "code_challenge_method": "S256", **self._extra(nonce)}
        address = await in_thread(self._authorize_url)
        return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"

    async def authenticate(self, request: Request) -> AuthenticationToken | None:
        token = await in_thread(self._get_oauth_token, request)
        return await in_thread(self.told, token) if token else None

    def told(self, token: str) -> AuthenticationToken | None:
        """What the provider tells of the bearer of an access token."""
        return self._person(self._ask("GET", self.user_data_url, token=token))

    def _person(self, data: Any) -> AuthenticationToken:
        """
        Raises:
            Unavailable: the name is not where it should be.
        """
        name = data.get(self.user_data_key) if isinstance(data, Mapping) else None
        if not isinstance(name, str) or not name:
            raise Unavailable(
                f"the provider tells no {self.user_data_key!r} of you, which is to be your name here",
                hint=f"Ask the administrator to see to c.{type(self).__name__}.user_data_key.",
            )
        return AuthenticationToken(name, groups=texts(data.get(self.groups_key)))

    def _get_oauth_token(self, request: Request) -> str | None:
        """The access token for the code that the request brings; None where the provider gives none. Classes in
        configuration files call it by this name, without waiting."""
        token = self._exchange(request).get("access_token")
        return token if isinstance(token, str) else None

    def _exchange(self, request: Request) -> Mapping[str, Any]:
        login: Mapping[str, str] = request.state.login
        form = {
            "grant_type": "authorization_code",
            "code": request.query_params.get("code", ""),
            "redirect_uri": login["callback"],
            "client_id": self.client_id,
            "code_verifier": login["verifier"],
        }
        if self.client_secret:
            form["client_secret"] = self.client_secret
        try:
            answer = self._ask("POST", self._token_url(), form=form)
        except NotAuthenticated as error:
            self.log.warning("a code was not exchanged for a token: %s", error.message)
            return {}
        if not isinstance(answer, Mapping):
            return {}
        if refusal := answer.get("error"):
            # GitHub refuses with status 200; that the client's secret is wrong is the operator's to know
            self.log.warning("a code was not exchanged for a token: %.100r", refusal)
        return answer

    def _ask(self, method: str, url: str, *, form: Mapping[str, str] | None = None, token: str | None = None) -> Any:
        return fetch_json(
            method, url, form=form, token=token, verify=self.tls_verify, addresses=self._addresses_for(url)
        )

    def _addresses_for(self, url: str) -> AddressPolicy:
        """What may be asked there: all addresses are the operator's choice."""
        return ANY_ADDRESS

    def _authorize_url(self) -> str:
        return str(self.authorize_url)

    def _token_url(self) -> str:
        return str(self.access_token_url)

    def _extra(self, nonce: str) -> dict[str, str]:
        return {}


class GithubOAuthAuthentication(GenericOAuthAuthentication):
    """GitHub, or a GitHub Enterprise server. With the scope `read:org` organisations are groups."""

    github_url = Unicode("https://github.com", help="Address of GitHub.", config=True)
    github_api = Unicode("https://api.github.com", help="Address of its API.", config=True)

    def _access_token_url_default(self) -> str:
        return f"{self.github_url}/login/oauth/access_token"

    def _authorize_url_default(self) -> str:
        return f"{self.github_url}/login/oauth/authorize"

    def _user_data_url_default(self) -> str:
        return f"{self.github_api}/user"

    def _user_data_key_default(self) -> str:
        return "login"

    def _access_scope_default(self) -> str:
        return "user:email"

    def told(self, token: str) -> AuthenticationToken | None:
        person = super().told(token)
        if person is None or not _TELL_ORGANISATIONS & set(self.access_scope.split()):
            return person
        names: list[object] = []
        for page in range(1, _MOST_PAGES + 1):
            rows = self._ask("GET", f"{self.github_api}/user/orgs?per_page={_ON_A_PAGE}&page={page}", token=token)
            if not isinstance(rows, list):
                raise Unavailable("GitHub does not tell the organisations that you are in", hint="Try again later.")
            names += [row.get("login") for row in rows if isinstance(row, Mapping)]
            if len(rows) < _ON_A_PAGE:
                break
        return AuthenticationToken(person.primary_namespace, groups=texts(names))


class JupyterHubOAuthAuthentication(GenericOAuthAuthentication):
    """A JupyterHub of which this server is a service. Its own tokens are accepted, too."""

    jupyterhub_url = Unicode("", help="Address of the hub, with its base URL.", config=True)
    accept_jupyterhub_tokens = Bool(True, help="Take JupyterHub's own API tokens for those of their user.", config=True)

    def _access_token_url_default(self) -> str:
        return self._hub("/hub/api/oauth2/token")

    def _authorize_url_default(self) -> str:
        return self._hub("/hub/api/oauth2/authorize")

    def _user_data_url_default(self) -> str:
        return self._hub("/hub/api/user")

    def _user_data_key_default(self) -> str:
        return "name"

    def _hub(self, path: str) -> str:
        return self.jupyterhub_url.rstrip("/") + path if self.jupyterhub_url else ""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._answers: OrderedDict[str, tuple[float, AuthenticationToken | None]] = OrderedDict()
        self._lock = threading.Lock()

    def recognise(self, token: str) -> AuthenticationToken | None:
        """Whose token it is. The hub is asked once a minute for each: that long one that it revoked is still taken.

        Raises:
            Unavailable: the hub does not answer.
        """
        if not self.accept_jupyterhub_tokens or len(token) > _LONGEST_HUB_TOKEN or not token.isascii():
            return None
        key, now = digest(token), time.monotonic()
        with self._lock:
            until, known = self._answers.get(key, (0.0, None))
        if until > now:
            return known
        person = self._asked(token)
        with self._lock:
            self._answers[key] = (now + _HUB_ANSWERS_LAST, person)
            self._answers.move_to_end(key)
            while len(self._answers) > _HUB_ANSWERS:
                self._answers.popitem(last=False)
        return person

    def _asked(self, token: str) -> AuthenticationToken | None:
        try:
            return self.told(token)
        except NotAuthenticated:
            return None

    def _person(self, data: Any) -> AuthenticationToken:
        if isinstance(data, Mapping) and data.get("kind", "user") != "user":
            raise NotAuthenticated("this is a JupyterHub token of a service, not of a user")
        return super()._person(data)
