"""Credentials are written and never read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from conda_store.auth.sealing import Sealer, keys_of_file, new_key
from conda_store.errors import ConfigurationError
from tests.http.service import Service, data, refused
from tests.waiting import PATIENCE

SECRET = "never-to-be-seen"
PATH = "/api/v1/namespace/team/credential/"


def test_that_there_is_one_is_all_that_is_told(service: Service, admin: httpx.Client) -> None:
    service.make_namespaces("team")
    with service.client("owner") as owner:
        answer = owner.put(PATH, json={"host": "Packages.Example.org", "username": "ada", "secret": SECRET})
        assert answer.json() == {"status": "ok", "message": "credential for packages.example.org set"}
        (shown,) = data(owner.get(PATH))
        assert set(shown) == {"host", "namespace", "kind", "set_by", "set_on"}
        assert (shown["host"], shown["namespace"], shown["kind"]) == ("packages.example.org", "team", "basic")
        assert SECRET not in owner.get(PATH).text
        data(admin.get("/api/v1/credential/"))
        assert owner.delete(PATH, params={"host": "packages.example.org"}).status_code == 200
        assert "no credential" in refused(owner.delete(PATH, params={"host": "packages.example.org"}), 404)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"host": "https://x", "username": "u", "secret": SECRET}, "is no host"),
        ({"host": "x", "kind": "magic", "secret": SECRET}, "kind of credential is not known"),
        ({"host": "x", "secret": SECRET}, "something is missing"),
        ({"host": "x", "username": "u", "secret": ""}, "something is missing"),
        ({"host": "x", "username": "u", "secret": f"{SECRET}\nmachine y"}, "is not text without spaces"),
    ],
)
def test_what_is_no_credential_is_refused_without_repeating_it(
    admin: httpx.Client, body: dict[str, str], message: str
) -> None:
    answer = admin.put("/api/v1/credential/", json=body)
    assert message in refused(answer, 400)
    assert SECRET not in answer.text
    wrong = admin.put("/api/v1/credential/", json={"host": ["x"], "secret": [SECRET]})
    assert wrong.status_code == 422
    assert SECRET not in wrong.text


def test_what_is_sealed_opens_with_its_key_for_its_purpose() -> None:
    former, present = new_key(), new_key()
    sealed = Sealer(lambda: [former]).seal(SECRET, "h in namespace a")
    assert SECRET.encode() not in sealed
    both = Sealer(lambda: [present, former])
    assert both.open(sealed, "h in namespace a") == SECRET
    with pytest.raises(ConfigurationError):
        both.open(sealed, "h in namespace b")
    with pytest.raises(ConfigurationError):
        Sealer(lambda: [present]).open(sealed, "h in namespace a")
    assert Sealer(lambda: [present]).open(both.sealed_anew(sealed), "h in namespace a") == SECRET


@pytest.mark.parametrize("keys", [[], ["short"]])
def test_without_a_key_nothing_is_sealed(keys: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        Sealer(lambda: keys).seal(SECRET, "h")


def test_of_several_who_make_the_key_file_all_get_the_same_key(tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / str(number) / "keys"
        with ThreadPoolExecutor(4) as threads:
            keys = [found.result(PATIENCE) for found in [threads.submit(keys_of_file, path) for _ in range(4)]]
        assert len(keys[0]) == 1
        assert keys == keys[:1] * 4
        assert [file.name for file in path.parent.iterdir()] == ["keys"]


def test_a_key_file_that_others_may_read_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "keys"
    (key,) = keys_of_file(path)
    assert keys_of_file(path) == [key]
    path.chmod(0o644)
    with pytest.raises(ConfigurationError) as caught:
        keys_of_file(path)
    assert "chmod 600" in str(caught.value)
