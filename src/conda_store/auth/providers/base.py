"""What all ways to log in have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from traitlets import Int, Type, Unicode
from traitlets.config import LoggingConfigurable

from conda_store.domain.addresses import ANY_ADDRESS

# workers read the same configuration: what only a login needs is imported when somebody logs in
if TYPE_CHECKING:
    from starlette.requests import Request

T = TypeVar("T")


@dataclass(frozen=True)
class AuthenticationToken:
    """Somebody who has logged in: `primary_namespace` is their name, too.

    `role_bindings` (entity -> roles) are what the provider gives them besides what the configuration does, `groups`
    are looked up there. `exp`, aware or UTC, ends the login sooner than usual.
    """

    primary_namespace: str = "default"
    role_bindings: Mapping[str, Iterable[str]] = field(default_factory=dict)
    exp: datetime | None = None
    groups: tuple[str, ...] = ()


class Bindings(Protocol):
    """What is known of somebody before they log in."""

    def get_entity_bindings(self, entity: AuthenticationToken) -> dict[str, set[str]]:
        """The roles of an entity (`namespace/environment` -> names): those of everybody, its own, and those that it was
        given here."""


class Authentication(LoggingConfigurable):
    """Nobody is known by a password: people log in with a token."""

    # whether people are sent elsewhere to log in
    is_elsewhere: ClassVar[bool] = False
    # whether the page asks for name and password, or for a token
    has_passwords: ClassVar[bool] = False
    # tells what somebody may do already, for classes of operators: set by the server
    authorization: Bindings
    # what may be asked at addresses that somebody else than the operator names
    addresses = ANY_ADDRESS

    cookie_name = Unicode("conda-store-auth", help="Name of the cookie that a login leaves.", config=True)
    cookie_domain = Unicode(
        None, allow_none=True, help="Domain of the cookie; None: this very host only, which is safest.", config=True
    )
    session_seconds = Int(86400, min=60, help="Seconds that a login lasts.", config=True)
    login_html = Unicode("", help="Accepted; the login page is the server's own.", config=True)
    authentication_backend = Type(
        None, klass=object, allow_none=True, help="Accepted; the server looks tokens up itself.", config=True
    )
    authorization_backend = Type(
        None, klass=object, allow_none=True, help="Accepted; the server looks bindings up itself.", config=True
    )

    async def authenticate(self, request: Request) -> AuthenticationToken | None:
        """Who sent the request; None where that is not known. Name and password are in `request.state.credentials`.

        Raises:
            Unavailable: who vouches for people does not answer.
            CondaStoreError: they cannot be let in, and why.
        """
        name, password = getattr(request.state, "credentials", ("", ""))
        if not password and not name:
            return None
        return await in_thread(self.check_password, name, password)

    def check_password(self, name: str, password: str) -> AuthenticationToken | None:
        """Who it is, None where the password is wrong."""
        return None

    def recognise(self, token: str) -> AuthenticationToken | None:
        """Whose token of the provider's own it is; None for what is none."""
        return None

    def problem(self, *, is_open: bool) -> str | None:
        """Why the server must not start like this; `is_open`: others than this machine can reach it."""
        return None


def texts(value: Any) -> tuple[str, ...]:
    """A list of names as somebody else's JSON tells it; what is none counts as nothing."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        return ()
    return tuple(dict.fromkeys(item for item in value if isinstance(item, str)))


async def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    import anyio.to_thread

    return await anyio.to_thread.run_sync(function, *arguments)
