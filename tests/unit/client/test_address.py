import pytest

from conda_store.client.address import loopback_spellings, parse_address, path_segment, without_credentials
from conda_store.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("HTTPS://Conda.Example.ORG:443/conda-store/", "https://conda.example.org/conda-store"),
        ("http://example.org:80/x?y=1#z", "http://example.org/x"),
        ("http://[::1]:5000/", "http://[::1]:5000"),
        (" http://user:secret@example.org/ ", "http://user:secret@example.org"),
    ],
)
def test_addresses_have_one_spelling(text: str, expected: str) -> None:
    assert parse_address(text) == expected


@pytest.mark.parametrize("text", ["", "localhost:8080", "ftp://example.org", "http://", "http://a:b:c", "http://[::1"])
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInput, match="no address") as raised:
        parse_address(text)
    assert "http://localhost:8080" in raised.value.hint


def test_a_refused_address_is_shown_without_its_password() -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_address("ftp://user:secret@example.org/x")
    assert "secret" not in str(raised.value)
    assert without_credentials("http://user:se@cret@example.org/a@b") == "http://example.org/a@b"


def test_loopback_has_three_names() -> None:
    assert set(loopback_spellings("http://localhost:1/x")) == {"http://127.0.0.1:1/x", "http://[::1]:1/x"}
    assert loopback_spellings("http://example.org") == ()


def test_names_are_one_segment_of_a_path() -> None:
    assert path_segment("a?b&c..d") == "a%3Fb%26c..d"


@pytest.mark.parametrize("name", ["", "/", "team/science"])
def test_what_would_lead_to_another_path_is_no_name(name: str) -> None:
    with pytest.raises(InvalidInput, match="is no name"):
        path_segment(name)
