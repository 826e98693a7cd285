"""Tokens that are signed with the secret of the deployment."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from conda_store.auth.signed import LoginState, SignedTokens
from conda_store.domain.access import RoleBinding
from conda_store.domain.roles import Role
from conda_store.errors import ConfigurationError

SECRET = "s" * 32
CLAIMS = {"primary_namespace": "team", "role_bindings": {"team/*": ["editor"]}, "exp": int(time.time()) + 600}


def signed(claims: dict[str, object], secret: str = SECRET, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def test_a_signed_token_brings_its_bindings() -> None:
    grant = SignedTokens(SECRET).find(signed(CLAIMS))
    assert grant is not None
    assert grant.primary_namespace == "team"
    assert grant.bindings == (RoleBinding("team", "*", Role.DEVELOPER),)
    assert grant.expires == datetime.fromtimestamp(int(str(CLAIMS["exp"])), UTC)


@pytest.mark.parametrize(
    "token",
    [
        signed(CLAIMS, "t" * 32),
        signed(CLAIMS | {"exp": 1}),
        signed({"primary_namespace": "team"}),  # without an end
        signed(CLAIMS | {"role_bindings": {"x": ["viewer"]}}),
        signed(CLAIMS | {"role_bindings": ["x"]}),
        signed(CLAIMS | {"role_bindings": {"a/*": 5}}),
        signed(CLAIMS | {"aud": "conda-store-login"}),
        signed(CLAIMS, "s" * 64, "HS512"),
        jwt.encode(CLAIMS, None, algorithm="none"),
        "a.b.c",
        "..",
        "",
        "x" * 20_000,
    ],
)
def test_what_was_not_signed_like_this_is_worth_nothing(token: str) -> None:
    assert SignedTokens(SECRET).find(token) is None


def test_a_claim_of_a_later_end_does_not_count() -> None:
    grant = SignedTokens(SECRET).find(signed(CLAIMS | {"expiration": "2999-01-01T00:00:00"}))
    assert grant is not None
    assert grant.expires is not None
    assert grant.expires < datetime.now(UTC) + timedelta(hours=1)


def test_a_secret_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="shorter than 32 bytes") as refused:
        SignedTokens("hunter2")
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="RS256"):
        SignedTokens(SECRET, "RS256")


def test_the_state_of_a_login_comes_back_only_from_where_it_was_signed() -> None:
    state = LoginState(SECRET)
    text = state.sign({"next": "/a/"}, timedelta(minutes=5))
    values = state.read(text)
    assert values is not None
    assert values["next"] == "/a/"
    assert LoginState("t" * 32).read(text) is None
    assert state.read(state.sign({}, timedelta(seconds=-1))) is None
    assert state.read(signed(CLAIMS)) is None
    assert SignedTokens(SECRET).find(text) is None
