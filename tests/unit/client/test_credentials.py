import json
import stat
import threading
from pathlib import Path

import pytest

from conda_store.client.credentials import forget, recall, remember
from conda_store.client.login import Anonymous, Password, Token
from conda_store.client.opening import Authentication, choose_login
from conda_store.errors import ConfigurationError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "conda-store" / "credentials.json"


def test_a_remembered_token_is_only_its_owners_to_read(path: Path) -> None:
    remember("http://localhost:8080/", "t1", path=path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert json.loads(path.read_text()) == {"http://localhost:8080": {"token": "t1"}}


def test_a_token_is_found_under_every_spelling_of_its_address(path: Path) -> None:
    remember("http://Example.org:80/x", "t1", path=path)
    found = recall("http://example.org/x/", path=path)
    assert found is not None
    assert (found.url, found.token) == ("http://example.org/x", "t1")


@pytest.mark.parametrize(
    "other", ["http://example.org/x", "https://example.org", "http://example.org:81", "http://example.com"]
)
def test_a_token_goes_to_no_other_address(path: Path, other: str) -> None:
    remember("http://example.org", "t1", path=path)
    assert recall(other, path=path) is None


def test_on_loopback_the_token_goes_where_it_was_remembered_for(path: Path) -> None:
    remember("http://127.0.0.1:8080", "t1", path=path)
    assert choose_login("http://localhost:8080", None, {}, credentials=path) == ("http://127.0.0.1:8080", Token("t1"))


def test_a_token_is_not_shown_by_repr(path: Path) -> None:
    remember("http://example.org", "very-secret", path=path)
    assert "very-secret" not in repr(recall("http://example.org", path=path))
    assert "very-secret" not in repr(Token("very-secret")) + repr(Password("me", "very-secret"))


def test_forgetting_leaves_the_others(path: Path) -> None:
    forget("http://a.test", path=path)
    assert not path.exists()
    remember("http://a.test", "t1", path=path)
    remember("http://b.test", "t2", path=path)
    forget("http://a.test", path=path)
    assert recall("http://a.test", path=path) is None
    assert recall("http://b.test", path=path) is not None


def test_a_server_that_ends_does_not_forget_the_token_of_its_successor(path: Path) -> None:
    remember("http://a.test", "old", path=path)
    remember("http://a.test", "new", path=path)
    forget("http://a.test", token="old", path=path)
    found = recall("http://a.test", path=path)
    assert found is not None
    assert found.token == "new"


def test_writers_do_not_lose_each_others_entries(path: Path) -> None:
    threads = [
        threading.Thread(target=remember, args=(f"http://host-{n}.test", f"t{n}"), kwargs={"path": path})
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(json.loads(path.read_text())) == 16


@pytest.mark.parametrize("content", ["{", "[]", "\0"])
def test_a_broken_file_is_named_with_what_to_do(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"credentials\.json") as raised:
        recall("http://a.test", path=path)
    assert "Remove the file" in raised.value.hint


def test_without_a_choice_one_is_anonymous_where_nothing_is_remembered(path: Path) -> None:
    environ = {"CONDA_STORE_TOKEN": "t", "CONDA_STORE_USERNAME": "u", "CONDA_STORE_PASSWORD": "p"}
    assert choose_login("http://a.test", None, environ, credentials=path) == ("http://a.test", Anonymous())


def test_none_means_anonymous_even_where_a_token_is_remembered(path: Path) -> None:
    remember("http://a.test", "t1", path=path)
    assert choose_login("http://a.test", Authentication.NONE, {}, credentials=path)[1] == Anonymous()


def test_the_environments_token_comes_before_the_remembered_one(path: Path) -> None:
    remember("http://a.test", "t1", path=path)
    environ = {"CONDA_STORE_TOKEN": "t2"}
    assert choose_login("http://a.test", Authentication.TOKEN, environ, credentials=path)[1] == Token("t2")
    assert choose_login("http://a.test", Authentication.TOKEN, {}, credentials=path)[1] == Token("t1")


@pytest.mark.parametrize(
    ("kind", "environ", "missing"),
    [
        (Authentication.TOKEN, {}, "CONDA_STORE_TOKEN"),
        (Authentication.BASIC, {}, "CONDA_STORE_USERNAME and CONDA_STORE_PASSWORD"),
        (Authentication.BASIC, {"CONDA_STORE_USERNAME": "me"}, "CONDA_STORE_PASSWORD"),
    ],
)
def test_a_login_without_its_secret_says_which_variable_is_missing(
    path: Path, kind: Authentication, environ: dict[str, str], missing: str
) -> None:
    with pytest.raises(ConfigurationError, match=missing):
        choose_login("http://a.test", kind, environ, credentials=path)


class Keys:
    """A keyring in memory; `is_locked`: it refuses, as those of desktops do."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self.is_locked = False

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check()
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._check()
        del self.kept[service, username]

    def _check(self) -> None:
        if self.is_locked:
            raise RuntimeError("locked")


def test_a_keyring_keeps_the_token_and_the_file_does_not(path: Path) -> None:
    keys = Keys()
    remember("http://localhost:8080", "t1", path=path, keyring=keys)
    assert keys.kept == {("conda-store", "http://localhost:8080"): "t1"}
    assert "t1" not in path.read_text()
    found = recall("http://127.0.0.1:8080", path=path, find_keyring=lambda: keys)
    assert found is not None
    assert (found.url, found.token) == ("http://localhost:8080", "t1")
    forget("http://localhost:8080", path=path, keyring=keys)
    assert keys.kept == {}
    assert recall("http://localhost:8080", path=path, find_keyring=lambda: keys) is None
    forget("http://localhost:8080", path=path, keyring=keys)


def test_a_keyring_that_refuses_leaves_the_token_to_the_file(path: Path) -> None:
    keys = Keys()
    keys.is_locked = True
    remember("http://localhost:8080", "t1", path=path, keyring=keys)
    found = recall("http://localhost:8080", path=path, find_keyring=lambda: keys)
    assert found is not None
    assert found.token == "t1"


def test_a_keyring_that_was_locked_since_is_told(path: Path) -> None:
    keys = Keys()
    remember("http://localhost:8080", "t1", path=path, keyring=keys)
    keys.is_locked = True
    for find_keyring in (lambda: keys, lambda: None):
        with pytest.raises(ConfigurationError, match="keyring does not hand out"):
            recall("http://localhost:8080", path=path, find_keyring=find_keyring)
