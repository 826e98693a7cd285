import pytest

from conda_store.client.uri import BuildUri, EnvironmentName, parse_environment, parse_uri
from conda_store.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12", BuildUri(None, 12)),
        ("data/analysis", BuildUri(EnvironmentName("data", "analysis"), None)),
        ("data/analysis:12", BuildUri(EnvironmentName("data", "analysis"), 12)),
        ("a.b/c=1~&?^$@_+-", BuildUri(EnvironmentName("a.b", "c=1~&?^$@_+-"), None)),
    ],
)
def test_the_three_forms(text: str, expected: BuildUri) -> None:
    assert parse_uri(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize("text", ["", "a", "a/b/c", "a/b:", "a/b:c", "a:1", "-1", "1 ", "a/b\n", "ä/b", "9" * 30])
def test_everything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_uri(text)
    assert raised.value.message == f"unable to parse uri={text}"


@pytest.mark.parametrize("text", ["12", "a/b:1", "a"])
def test_an_environment_is_namespace_and_name(text: str) -> None:
    with pytest.raises(InvalidInput, match="names no environment"):
        parse_environment(text)
    assert parse_environment("a/b") == EnvironmentName("a", "b")
