"""What cannot be built: refused with the right status, or FAILED with the reason, and the next build is fine."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.acceptance.harness import tiny_channel
from tests.acceptance.service import API, Service, serving
from tests.files import files_below
from tests.waiting import wait_for
from tools.channel.serve import ChannelServer, Fault
from tools.channel.tiny import index, write_package

FINE = "name: fine\ndependencies: [one]\n"
SECRETS = ("pl4nted-passw0rd", "pl4nted-t0ken")
MIB = 1024**2


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChannelServer]:
    directory = tiny_channel(tmp_path_factory.mktemp("channel"))
    for name in ("corrupt", "truncated", "swapped", "page", "hanging", "failing", "gone"):
        write_package(directory, name, "1.0", files={f"share/{name}": os.urandom(20_000)})
    write_package(directory, "python", "3.12.0", files={"bin/python": "#!/bin/sh\n"}, subdir="linux-64", build="h0")
    for version in ("1.0", "2.0"):
        write_package(directory, "base", version)
    write_package(directory, "plugin", "1.0", depends=["base >=2"])
    write_package(directory, "wants-old", "1.0", depends=["one <1"])
    write_package(directory, "wants-nothing-there", "1.0", depends=["not-in-any-channel >=2"])
    write_package(directory, "wants-cuda", "1.0", depends=["__cuda >=12"])
    write_package(directory, "foreign", "1.0", files={"share/foreign": "x"}, subdir="osx-arm64")
    index(directory)
    with ChannelServer(directory) as server:
        yield server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, served: ChannelServer) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("s")
    with serving(directory, conda_default_channels=[served.url], max_build_attempts=2) as service:
        yield service


@contextmanager
def impatient(directory: Path, served: ChannelServer, path: str, **options: object) -> Iterator[Service]:
    """One that waits no longer than seconds for what never comes: too short for any other build on a busy machine."""
    served.faults[path] = Fault(hang=True)
    try:
        with serving(directory, conda_default_channels=[served.url], max_build_attempts=2, **options) as service:
            yield service
    finally:
        served.faults.clear()


@pytest.fixture
def service(running: Service, served: ChannelServer) -> Iterator[Service]:
    """After every test: no fault any more, a build works, nothing lies about."""
    served.faults.clear()
    yield running
    served.faults.clear()
    running.completed(FINE)
    running.is_clean()
    assert "Traceback" not in running.log_text()


def failed(service: Service, specification: str, **further: object) -> tuple[str, str]:
    """`status_info` and log of a build that has to fail, told in words."""
    build = service.ended(service.submit(specification, **further))
    log = service.log(build["id"])
    assert build["status"] == "FAILED", log
    assert "Traceback" not in log
    assert "unexpected error" not in build["status_info"]
    return build["status_info"], log


def refused(service: Service, specification: str, status: int = 400, **further: object) -> str:
    """The message of an answer that refuses, told in words."""
    answer = service.post(specification, **further)
    assert answer.status_code == status, answer.text[:500]
    body = answer.json()
    assert body["status"] == "error"
    assert "Traceback" not in answer.text
    message: str = body["message"]
    assert message
    assert len(message) < 5000
    return message


# --- texts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\ndependencies: [numpy\n", "line"),
        ("name: x\n\tdependencies: []\n", "line"),
        ("just words", "dictionary"),
        ("", "dictionary"),
        ("[]", "dictionary"),
        ("dependencies: [one]\n", "name"),
        ("name: 12\n", "name"),
        ("name: x\ndependencies: one\n", "dependencies"),
        ("name: x\ndependencies: [one, [two]]\n", "dependencies"),
        ("name: x\ndependencies: ['one >=1,,']\n", "one >=1,,"),
        ("name: x\ndependencies: [{pip: ['!!']}]\n", "pip"),
        ("name: x\nvariables: {A: [1]}\n", "variables"),
        ("name: x\nvariables: {'A=B': 1}\n", "variables"),
        ("name: x\nname: y\n", "name"),
        ("name: !!python/object/apply:os.system ['true']\n", "python/object"),
        ("name: x\ndependencies: [\"a\\0b\"]\n", "character"),
        ("name: x\x01\n", "character"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_specification_is_refused_with_the_place(running: Service, text: str, said: str) -> None:
    assert said in refused(running, text)


def test_more_than_ten_megabytes_are_refused(running: Service) -> None:
    assert "more than the 10,485,760" in refused(running, "name: big\ndescription: " + "x" * (11 * MIB))
    assert "bytes" in refused(running, "name: big\ndescription: " + "x" * (13 * MIB), 413)


def test_many_small_things_in_ten_megabytes_do_not_stop_others(service: Service) -> None:
    text = "name: big\ndependencies:\n" + "- one\n" * (MIB)
    refused(service, text)
    assert service.http.get(f"{API}/").status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{key}: &{key} [{','.join([f'*{chr(ord(key) - 1)}'] * 9)}]\n" for key in "bcdefghij")
        + "name: bomb\n",
        "name: deep\ndependencies: " + "[" * 100_000,
        "name: deep\ndependencies: " + "{a: " * 5_000 + "}" * 5_000,
        "{" * 100_000,
        '{"name": ' + "[" * 100_000,
        "name: &a [*a]\n",
        "name: " + "9" * 100_000,
    ],
    ids=["bomb", "deep", "deep mappings", "deep flow", "deep json", "loop", "number"],
)
def test_texts_that_unfold_or_nest_without_end_are_refused(running: Service, text: str) -> None:
    refused(running, text)


# --- names ----------------------------------------------------------------------------------------------------

NAMES = [
    "..",
    ".",
    "../x",
    "a/b",
    "/etc",
    "a\\b",
    "%2e%2e",
    "a b",
    "a%00",
    "n" * 256,
    "ünïcode",
    "環境",
    "",
    "-\n-",
    "a:b",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_are_none_are_refused_wherever_they_come_in(running: Service, name: str) -> None:
    text = json.dumps({"name": name, "dependencies": ["one"]})
    refused(running, text)
    if name:
        refused(running, FINE, namespace=name)
        lock = {"version": 1, "metadata": {"content_hash": {}, "channels": [], "platforms": [], "sources": []}}
        refused(running, json.dumps({**lock, "package": []}), is_lockfile=True, environment_name=name)
        quoted = quote(name, safe="").replace(".", "%2e")
        for method, path in (
            ("GET", f"{API}/environment/default/{quoted}/"),
            ("DELETE", f"{API}/environment/default/{quoted}/"),
            ("GET", f"{API}/environment/{quoted}/fine/"),
            ("POST", f"{API}/namespace/{quoted}/"),
            ("GET", f"/storage/{quoted}"),
            ("GET", f"/storage/logs/{quoted}.log"),
        ):
            answer = running.http.request(method, path)
            assert 400 <= answer.status_code < 500, (method, path, answer.status_code, answer.text)
            assert "root:" not in answer.text
    assert not any(path.name == "x" for path in running.data.parent.rglob("x"))


def test_the_longest_name_there_may_be(service: Service) -> None:
    """255 characters are a name; whether a prefix may be so long is another question, answered before any work."""
    info, log = failed(service, json.dumps({"name": "n" * 255, "dependencies": ["one"]}))
    assert info == "build_path too long: must be <= 255 characters"
    assert "build_path too long: must be <= 255 characters" in log
    assert "solve" not in log


def test_a_key_of_version_3_has_room_for_it(tmp_path: Path, served: ChannelServer) -> None:
    with serving(tmp_path / "s", conda_default_channels=[served.url], build_key_version=3) as service:
        service.completed(json.dumps({"name": "n" * 255, "dependencies": ["one"]}))


def test_odd_names_that_are_names(service: Service) -> None:
    name = "a.b~c@d$e&f?g^h=i+j_k-l"
    build_id = service.completed(json.dumps({"name": name, "dependencies": ["one"]}))
    service.linked_to(build_id, name)
    answer = service.http.get(f"{API}/environment/default/{quote(name, safe='')}/")
    assert answer.json()["data"]["name"] == name
    assert service.http.get(f"{API}/build/{build_id}/archive/").status_code == 200
    assert service.http.get(f"{API}/build/{build_id}/installer/").status_code == 200


# --- what cannot be solved ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dependencies", "said"),
    [
        ("[not-there-at-all]", ["not found in the channels: not-there-at-all"]),
        ("[thre]", ["did you mean three"]),
        ("['one >=2', two]", ["`one >=2`"]),
        ("[wants-old]", ["one <1"]),
        ("['base <2', plugin]", ["`base <2` and `plugin` cannot be installed together", "base >=2"]),
        ("[wants-nothing-there]", ["not-in-any-channel"]),
        ("[wants-cuda]", ["CONDA_OVERRIDE_CUDA"]),
        ("['python=9.99']", ["python=9.99"]),
        ("['python=2.7', one]", ["python=2.7"]),
        ("[foreign]", ["not found in the channels: foreign"]),
    ],
)  # fmt: skip
def test_no_solution_is_explained(service: Service, dependencies: str, said: list[str]) -> None:
    info, log = failed(service, f"name: unsolvable\ndependencies: {dependencies}\n")
    for text in said:
        assert text in info
        assert text in log
    answer = service.command("env", "create", "-f", "-", input=f"name: unsolvable\ndependencies: {dependencies}\n")
    assert answer.returncode == 1
    assert said[0] in answer.stderr


def test_solving_without_building_says_the_same(service: Service) -> None:
    answer = service.http.get(f"{API}/specification/", params={"conda": ["wants-nothing-there"]})
    assert answer.status_code == 400
    assert "not-in-any-channel" in answer.json()["message"]


# --- channels -------------------------------------------------------------------------------------------------


def test_a_channel_that_is_not_there(service: Service, served: ChannelServer) -> None:
    info, log = failed(service, f"name: lost\nchannels: ['{served.url}/no-such']\ndependencies: [one]\n")
    assert "no-such" in info
    assert "does not exist" in info
    assert "attempt 2" not in log, "what is not there will not be there a moment later"


def test_a_channel_that_refuses_connections_is_asked_again(service: Service) -> None:
    info, log = failed(service, "name: refused\nchannels: ['http://127.0.0.1:9/x']\ndependencies: [one]\n")
    assert "cannot be reached" in info
    assert "attempt 2 of 2" in log


@pytest.mark.parametrize("fault", [Fault(status=503, times=1), Fault(truncate=20, times=2)])
def test_a_channel_that_fails_and_recovers(service: Service, served: ChannelServer, fault: Fault) -> None:
    name = f"new-{fault.status or 0}"
    write_package(served.directory, name, "1.0", files={"share/new": "new"})
    index(served.directory)
    served.faults["/noarch/repodata*"] = fault
    build_id = service.submit(f"name: recovering\ndependencies: [{name}]\n")
    build = service.ended(build_id)
    assert build["status"] == "COMPLETED", service.log(build_id)
    assert fault.times == 0
    assert not fault.status or "attempt 2 of 2" in service.log(build_id)


def test_a_channel_that_closes_itself_to_us(service: Service, served: ChannelServer) -> None:
    served.faults["*repodata*"] = Fault(status=403)
    info, _ = failed(service, "name: closed\ndependencies: [two]\n")
    assert "403" in info


def test_a_channel_that_hangs(tmp_path: Path, served: ChannelServer) -> None:
    with impatient(tmp_path / "s", served, "*repodata*", download_timeout=2.0) as service:
        info, log = failed(service, "name: hanging\ndependencies: [two, three]\n")
        assert "did not answer within 2 seconds" in info
        assert "attempt 2 of 2" in log
        service.is_clean()


def test_a_package_that_never_comes(tmp_path: Path, served: ChannelServer) -> None:
    with impatient(tmp_path / "s", served, "*/hanging-1.0*", stall_timeout=1.5) as service:
        info, log = failed(service, "name: hanging\ndependencies: [hanging]\n")
        assert "hanging-1.0" in info
        assert "stalled" in info
        assert "stalled" in log
        service.is_clean()


def test_repodata_that_is_none(service: Service, served: ChannelServer) -> None:
    page = b"<html>Log in to the hotel's network</html>"
    for path in ("*repodata*", "*shards*"):
        served.faults[path] = Fault(body=page)
    info, _ = failed(service, "name: portal\ndependencies: [three]\n")
    assert info


# --- packages -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "fault", "said"),
    [
        ("corrupt", Fault(corrupt=-3000), "corrupt"),
        ("truncated", Fault(truncate=500), "truncated-1.0"),
        ("page", Fault(body=b"<html>Please log in</html>"), "page-1.0"),
        ("failing", Fault(status=500), "failing-1.0"),
        ("gone", Fault(status=404), "404"),
    ],
)  # fmt: skip
def test_a_package_that_cannot_be_had(
    service: Service, served: ChannelServer, name: str, fault: Fault, said: str
) -> None:
    served.faults[f"*/{name}-1.0*"] = fault
    info, log = failed(service, f"name: broken\ndependencies: [{name}]\n")
    assert said in info
    assert f"{name}-1.0" in info
    assert said in log
    served.faults.clear()
    build_id = service.completed(f"name: broken\ndependencies: [{name}]\n")
    assert (service.prefix(build_id) / "share" / name).stat().st_size == 20_000


def test_another_package_under_its_name(service: Service, served: ChannelServer) -> None:
    other = next((served.directory / "noarch").glob("one-1.0*.conda")).read_bytes()
    served.faults["*/swapped-1.0*"] = Fault(body=other)
    info, _ = failed(service, "name: swapped\ndependencies: [swapped]\n")
    assert "swapped-1.0" in info
    assert "corrupt" in info
    served.faults.clear()
    service.completed("name: swapped\ndependencies: [swapped]\n")


# --- locks that were handed in --------------------------------------------------------------------------------


def lock_of(url: str, platform: str = "linux-64", digest: str = "0" * 64) -> str:
    package = {
        "name": "one", "version": "1.0", "manager": "conda", "platform": platform, "dependencies": {}, "url": url,
        "hash": {"sha256": digest}, "category": "main", "optional": False,
    }  # fmt: skip
    metadata = {
        "content_hash": {platform: "x"}, "channels": [{"url": "conda-forge", "used_env_vars": []}],
        "platforms": [platform], "sources": [],
    }  # fmt: skip
    return json.dumps({"version": 1, "metadata": metadata, "package": [package]})


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/noarch/one-1.0-0.conda",
        "javascript:alert(1)",
        "https://user:pw@127.0.0.1/noarch/one-1.0-0.conda",
        "http://127.0.0.1:99999/noarch/one-1.0-0.conda",
        "http://127.0.0.1/noarch/..%2f..%2fetc-1-1.conda",
        "no url",
    ],
)
def test_a_lock_with_a_url_that_is_none_of_a_package(running: Service, url: str) -> None:
    message = refused(running, lock_of(url), is_lockfile=True, environment_name="locked")
    assert "package -> 0 -> url" in message
    assert "pw@" not in message


def test_a_lock_of_files_that_are_not_there(service: Service) -> None:
    info, _ = failed(
        service, lock_of("file:///nowhere/noarch/one-1.0-0.conda"), is_lockfile=True, environment_name="locked"
    )
    assert "one-1.0-0.conda" in info


def test_a_lock_for_another_platform(service: Service, served: ChannelServer) -> None:
    text = lock_of(f"{served.url}/osx-arm64/one-1.0-0.conda", "osx-arm64")
    info, _ = failed(service, text, is_lockfile=True, environment_name="locked")
    assert "no packages for linux-64" in info
    assert "osx-arm64" in info


def test_a_lock_whose_hash_is_wrong(service: Service, served: ChannelServer) -> None:
    info, _ = failed(service, lock_of(f"{served.url}/noarch/three-3.0-0.conda"), is_lockfile=True, environment_name="x")
    assert "three-3.0-0.conda" in info


# --- further parts of a specification -------------------------------------------------------------------------


def test_variables_hold_anything_and_run_nothing(service: Service) -> None:
    value = "first\nsecond; touch /tmp/pwned \"'$(touch pwned)`touch pwned` \\ é"
    text = json.dumps({"name": "vars", "dependencies": ["one"], "variables": {"ODD": value, "NUMBER": 3}})
    build_id = service.completed(text)
    shown = service.told("run", str(build_id), "--", "printenv", "ODD", cwd=service.directory)
    assert shown == value + "\n"
    assert not (service.directory / "pwned").exists()
    refused(service, json.dumps({"name": "vars", "variables": {"A": "nul\0"}}))


def test_a_pip_part_that_cannot_be(service: Service) -> None:
    info, log = failed(service, "name: pip\ndependencies: [one, {pip: [requests]}]\n")
    assert "python" in info.lower()
    assert "Traceback" not in log


# --- secrets --------------------------------------------------------------------------------------------------


def test_secrets_in_urls_are_found_nowhere(service: Service, served: ChannelServer) -> None:
    host = served.url.removeprefix("http://")
    password, token = SECRETS
    channels = [f"http://user:{password}@{host}", f"{served.url}/t/{token}/private"]
    answers = []
    for channel in channels:
        answers.append(service.post(json.dumps({"name": "secret", "channels": [channel], "dependencies": ["two"]})))
        answers.append(service.post(json.dumps({"name": "secret", "dependencies": [f"{channel}::two"]})))
        answers.append(service.http.get(f"{API}/specification/", params={"channel": channel, "conda": "two"}))
        url = f"{channel}/noarch/two-2.0-0.conda"
        answers.append(service.post(lock_of(url), is_lockfile=True, environment_name="secret"))
        answers.append(service.post(f"@EXPLICIT\n{url}\n", format="explicit", environment_name="secret"))
        options = [f"--index-url {channel}/simple", "six"]
        answers.append(service.post(json.dumps({"name": "secret", "dependencies": [{"pip": options}]})))
        options = [f"six @ {channel}/six-1.0-py3-none-any.whl"]
        answers.append(service.post(json.dumps({"name": "secret", "dependencies": [{"pip": options}]})))
    for answer in answers:
        if answer.status_code == 200 and "data" in answer.json():
            build_id = answer.json()["data"]["build_id"]
            service.ended(build_id)
            assert not found_in(service.log(build_id).encode()), service.log(build_id)
            assert not found_in(service.http.get(f"{API}/build/{build_id}/").content)
            assert not found_in(service.http.get(f"{API}/build/{build_id}/events/").content)
    assert not any(found_in(answer.content) for answer in answers), [answer.text for answer in answers]
    for path in (f"{API}/build/", f"{API}/specification/", f"{API}/channel/", f"{API}/environment/", f"{API}/package/"):
        assert not found_in(service.http.get(path).content), path
    files = {path: found_in(content) for path, content in files_below(service.directory)}
    assert len(files) > 20
    assert [path for path, is_found in files.items() if is_found] == []


@pytest.mark.parametrize("kind", ["password", "token"])
def test_the_credentials_of_a_private_channel_stay_where_they_are(tmp_path: Path, kind: str) -> None:
    """A build, a failed one, every artifact, the index of packages: the secret is in none of them."""
    password, token = SECRETS
    header = "Basic " + base64.b64encode(f"ada:{password}".encode()).decode()
    directory = tmp_path / "served"
    tiny_channel(directory / ("private" if kind == "password" else f"t/{token}/private"))
    entry = {"BasicHTTP": {"username": "ada", "password": password}} if kind == "password" else {"CondaToken": token}
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"127.0.0.1": entry}))
    with ChannelServer(directory, authorization=header if kind == "password" else None) as server:
        url = f"{server.url}/private"
        options = {"conda_default_channels": [url], "conda_indexed_channels": [url], "authentication_file": keys}
        with serving(tmp_path / "s", indexes=True, **options) as service:
            build_id = service.completed("name: private\ndependencies: [two]\n")
            server.faults["*/three-*"] = Fault(status=404)
            failing, _ = failed(service, "name: private\ndependencies: [three]\n")
            assert "three-3.0" in failing
            found = f"{API}/package/?search=two"
            wait_for("the channel is indexed", lambda: service.http.get(found).json()["data"])
            answers = [
                service.http.get(f"{API}/build/{build_id}/{part}")
                for part in ("", "lockfile/", "yaml/", "logs/", "archive/", "installer/", "packages/", "events/",
                             "lockfile/?format=explicit", "lockfile/?format=pixi")
            ]  # fmt: skip
            answers += [service.http.get(f"{API}/{part}/") for part in ("build", "channel", "package", "specification")]
            assert {answer.status_code for answer in answers} == {200}
            for answer in answers:
                packed = answer.content[:2] == b"\x1f\x8b"
                assert not found_in(gzip.decompress(answer.content) if packed else answer.content), answer.url
            assert [path for path, content in files_below(service.directory) if found_in(content)] == []


def found_in(data: bytes) -> bool:
    hidden = base64.b64encode(f"ada:{SECRETS[0]}".encode())
    return hidden in data or any(secret.encode() in data for secret in SECRETS)
