from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from conda_store.auth.credentials import presented_token
from conda_store.auth.tokens import Grant, Tokens, parsed_grant
from conda_store.domain.access import RoleBinding
from conda_store.domain.roles import Role
from conda_store.errors import ConfigurationError


def test_a_token_is_found_until_it_expires() -> None:
    now = datetime.now(UTC)
    valid, expired = Grant("a", expires=now + timedelta(hours=1)), Grant("b", expires=now - timedelta(seconds=1))
    tokens = Tokens({"valid": valid, "expired": expired, "lasting": Grant("c")})
    assert tokens.find("valid") is valid
    assert tokens.find("lasting") == Grant("c")
    assert tokens.find("expired") is None
    assert tokens.find("val") is None
    assert tokens.find("") is None


def test_the_token_itself_is_not_kept() -> None:
    assert "secret-token" not in repr(vars(Tokens({"secret-token": Grant()})))


@pytest.mark.parametrize(
    ("cookie", "header", "expected"),
    [
        (None, None, None),
        ("a", None, "a"),
        ("a", "Bearer b", "a"),
        ("", "Bearer b", None),
        (None, "Bearer b", "b"),
        (None, "bearer  b ", "b"),
        (None, "Basic dTpw", "p"),
        (None, "Basic OnA6cQ==", "p:q"),
        (None, "Basic dTo=", None),
        (None, "Basic dQ==", None),
        (None, "Basic !", None),
        (None, "Basic /////w==", None),
        (None, "Negotiate x", None),
    ],
)
def test_where_a_token_is_looked_for(cookie: str | None, header: str | None, expected: str | None) -> None:
    assert presented_token(cookie, header) == expected


def test_a_grant_of_a_configuration() -> None:
    values = {"primary_namespace": "team", "role_bindings": {"team/*": {"editor"}}, "expiration": "2030-01-02T03:04:05"}
    expected = Grant("team", (RoleBinding("team", "*", Role.DEVELOPER),), datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert parsed_grant(values) == expected
    assert parsed_grant(SimpleNamespace(**values)) == expected
    assert parsed_grant({}) == Grant("default")
    assert parsed_grant({"exp": 0}).expires == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "values", [{"expiration": "tomorrow"}, {"role_bindings": {"x": ["viewer"]}}, {"role_bindings": {"a/*": ["boss"]}}]
)
def test_what_cannot_be_a_grant_is_said(values: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        parsed_grant(values)
