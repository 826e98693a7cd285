from __future__ import annotations

import httpx
import pytest

from tests.http.service import Service, data, refused

YAML = "name: handed-in\nchannels: [forge]\ndependencies: [zlib, {pip: [flask]}]\nvariables: {A: 1}\n"


def hand_in(client: httpx.Client, text: str, **others: object) -> httpx.Response:
    return client.post("/api/v1/specification/", json={"specification": text, "namespace": "made", **others})


def test_a_build_is_queued_and_shows_its_specification(admin: httpx.Client) -> None:
    answer = hand_in(admin, YAML)
    assert list(answer.json()) == ["status", "data", "message"]
    build_id = data(answer)["build_id"]
    build = data(admin.get(f"/api/v1/build/{build_id}/"))
    assert build["status"] == "QUEUED"
    specification = build["specification"]
    assert list(specification) == ["id", "name", "spec", "sha256", "created_on"]
    assert specification["spec"] == {
        "channels": ["forge"],
        "dependencies": ["zlib", {"pip": ["flask"]}],
        "description": "",
        "name": "handed-in",
        "prefix": None,
        "variables": {"A": 1},
    }
    assert "+" not in specification["created_on"] and "Z" not in specification["created_on"]
    assert data(admin.get("/api/v1/environment/made/handed-in/"))["current_build_id"] == build_id


def test_the_same_specification_builds_again(admin: httpx.Client) -> None:
    first, second = (data(hand_in(admin, YAML))["build_id"] for _ in range(2))
    assert second > first


def test_an_environment_can_be_created_under_its_own_name_too(admin: httpx.Client) -> None:
    answer = admin.post("/api/v1/environment/", json={"specification": YAML, "namespace": "alias"})
    assert data(answer)["build_id"] > 0


@pytest.mark.parametrize("namespace", [None, "", "absent"])
def test_without_a_namespace_it_is_the_callers_own(service: Service, namespace: str | None) -> None:
    service.make_namespaces("team")
    body = {"specification": "name: mine\nchannels: [forge]"} | (
        {} if namespace == "absent" else {"namespace": namespace}
    )
    with service.client("developer") as client:
        assert data(client.post("/api/v1/specification/", json=body))["build_id"] > 0
        assert data(client.get("/api/v1/environment/team/mine/"))["name"] == "mine"


@pytest.mark.parametrize(
    ("text", "others", "name"),
    [
        ("zlib\nnumpy>=1\n", {"format": "requirements.txt", "environment_name": "listed"}, "listed"),
        ('[workspace]\nname = "pixi-made"\nchannels = ["forge"]\nplatforms = ["linux-64"]\n'
         '[dependencies]\nzlib = "*"\n', {"format": "pixi.toml"}, "pixi-made"),
        ("@EXPLICIT\nhttps://conda.example/forge/linux-64/zlib-1.2-0.conda#" + "a" * 32,
         {"environment_name": "explicit"}, "explicit"),
    ],
)  # fmt: skip
def test_other_formats(admin: httpx.Client, text: str, others: dict[str, str], name: str) -> None:
    data(hand_in(admin, text, **others))
    assert data(admin.get(f"/api/v1/environment/made/{name}/"))["name"] == name


def test_a_lockfile_comes_back_as_it_went_in(service: Service, admin: httpx.Client) -> None:
    build_id = service.build("locked", "source", "zlib")
    lockfile = admin.get(f"/api/v1/build/{build_id}/lockfile/", follow_redirects=True).text
    answer = hand_in(admin, lockfile, is_lockfile=True, environment_name="copy", environment_description="from another")
    build = data(admin.get(f"/api/v1/build/{data(answer)['build_id']}/"))
    assert list(build["specification"]["spec"]) == ["name", "description", "lockfile"]
    assert build["specification"]["spec"]["description"] == "from another"
    while service.work():
        pass
    again = admin.get(f"/api/v1/build/{build['id']}/lockfile/", follow_redirects=True)
    assert again.json() == httpx.Response(200, text=lockfile).json()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Input should be a valid dictionary or object"),
        ("[1, 2]", "Input should be a valid dictionary or object"),
        ("name: [", "Unable to parse. Invalid YAML"),
        ("name: a b", "must be one or more of the characters"),
        ("channels: []", "Field required (type=missing, loc=(name)"),
        ("name: x\nchannels: null", "Input should be a valid list"),
        ("name: ../../etc/passwd", "must be one or more of the characters"),
        ("name: ..", "stands for a directory"),
        (f"name: {'n' * 256}", "longer than 255"),
        ("name: ünïcode", "must be one or more of the characters"),
        ("name: x\ndependencies: ['=1.0']", "Invalid conda package dependency specification"),
        ("name: x\nvariables: {A: [1]}", "variables"),
        ("a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
         "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\n"
         "g: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nname: bomb", "values"),
        ("name: !!python/object/apply:os.system ['true']", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(admin: httpx.Client, text: str, message: str) -> None:
    assert message in refused(hand_in(admin, text), 400)


@pytest.mark.parametrize("namespace", ["../../etc", "..", "a/b", "n" * 256, "ünïcode", "a b", "*"])
def test_impossible_namespaces_are_refused(admin: httpx.Client, namespace: str) -> None:
    assert "namespace name" in refused(hand_in(admin, YAML, namespace=namespace), 400)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"specification": 7}', b'{"specification": "name: \\ud800"}', b"\xff\xfe",
     b'{"specification": "name: a\\u0000"}', b"[" * 100_000],
)  # fmt: skip
def test_bodies_that_are_none(admin: httpx.Client, content: bytes) -> None:
    answer = admin.post("/api/v1/specification/", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert len(answer.content) < 2000


def test_large_bodies_are_refused(admin: httpx.Client) -> None:
    assert "more than" in refused(hand_in(admin, "name: x\n# " + "x" * 11 * 1024**2), 400)
    assert "larger than" in refused(hand_in(admin, "x" * 13 * 1024**2), 413)
    chunks = (b"x" * 1024**2 for _ in range(14))
    answer = admin.post("/api/v1/specification/", content=chunks, headers={"Content-Type": "application/json"})
    assert "larger than" in refused(answer, 413)
    assert admin.get("/api/v1/").status_code == 200


def test_policies_are_kept(service: Service, admin: httpx.Client) -> None:
    settings = {"conda_allowed_channels": ["forge"], "conda_required_packages": ["ipykernel"]}
    data(admin.put("/api/v1/setting/strict/", json=settings))
    other = hand_in(admin, "name: x\nchannels: [other]", namespace="strict")
    assert refused(other, 400).startswith("Conda channels {'other'} not allowed")
    assert refused(hand_in(admin, YAML, namespace="strict"), 400).startswith("Conda packages")


def test_a_solve_answers_with_packages(admin: httpx.Client) -> None:
    parameters = {"channel": "forge", "conda": ["zlib=1.2", "numpy"], "pip": "flask"}
    body = admin.get("/api/v1/specification/", params=parameters).json()
    assert list(body) == ["solve"]
    numpy, zlib, flask = body["solve"]
    assert list(numpy) == [
        "id", "package_id", "channel_id", "build", "build_number", "constrains", "depends", "md5", "sha256", "size",
        "subdir", "timestamp", "name", "version", "channel",
    ]  # fmt: skip
    assert (zlib["name"], zlib["version"], zlib["channel_id"]) == ("zlib", "1.2", "https://conda.anaconda.org/forge")
    assert isinstance(zlib["size"], int)
    assert (flask["name"], flask["channel"]) == ("flask", "pypi")


def test_a_solve_takes_both_spellings_of_channel(admin: httpx.Client) -> None:
    rows = admin.get("/api/v1/specification/?channels=forge&conda=zlib/", follow_redirects=True).json()["solve"]
    assert [(row["name"], row["channel"]) for row in rows] == [("zlib", "https://conda.anaconda.org/forge")]


def test_solves_can_be_for_another_platform(admin: httpx.Client) -> None:
    parameters = {"channel": "forge", "conda": "zlib", "platform": "osx-arm64"}
    rows = admin.get("/api/v1/specification/", params=parameters).json()["solve"]
    assert rows[0]["subdir"] == "osx-arm64"


def test_what_cannot_be_solved_is_explained(admin: httpx.Client, anonymous: httpx.Client) -> None:
    answer = admin.get("/api/v1/specification/", params={"channel": "forge", "conda": "missing-one"})
    assert "missing-one" in refused(answer, 400)
    assert refused(admin.get("/api/v1/specification/", params={"conda": "=1"}), 400)
    assert refused(anonymous.get("/api/v1/specification/", params={"conda": "zlib"}), 403) == "request not authorized"


def test_specifications_are_listed_to_those_who_may_read_them(
    service: Service, admin: httpx.Client, anonymous: httpx.Client
) -> None:
    build_id = service.build("listing", "hidden", "only-here")
    sha256 = data(admin.get(f"/api/v1/build/{build_id}/"))["specification"]["sha256"]
    body = admin.get("/api/v1/specification/", params={"order": "desc", "size": 1}).json()
    assert list(body) == ["status", "data", "message", "page", "size", "count"]
    assert body["data"][0]["sha256"] == sha256
    assert data(admin.get(f"/api/v1/specification/{sha256}/"))["name"] == "hidden"
    assert refused(anonymous.get(f"/api/v1/specification/{sha256}/"), 404) == "specification does not exist"
    assert refused(admin.get("/api/v1/specification/zzz/"), 404) == "specification does not exist"
