"""Every route, asked by everybody: what comes back is what docs/reference/permissions.md says."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from conda_store.domain.access import SYSTEM, Target
from conda_store.services import artifacts, sharing
from conda_store.services.authentication import recognised
from conda_store.services.tokens import TokenRequest, create_token
from tests.architecture.test_docs_routes import routes_of
from tests.http.service import Service, data

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "permissions.md"
CALLERS = ("anonymous", "viewer", "editor", "admin", "elsewhere", "narrowed", "everything")
TOKENS = {
    "viewer": {"primary_namespace": "team", "role_bindings": {"team*/*": ["viewer"]}},
    "editor": {"primary_namespace": "team", "role_bindings": {"team*/*": ["editor"]}},
    "admin": {"primary_namespace": "team", "role_bindings": {"team*/*": ["admin"]}},
    "elsewhere": {"primary_namespace": "elsewhere", "role_bindings": {"elsewhere/*": ["admin"]}},
    "everything": {"primary_namespace": "default", "role_bindings": {"*/*": ["admin"]}},
}
# an environment of which nobody hears who may not read it
NAME = "hidden-one"
SPECIFICATION = f"name: {NAME}\nchannels: [forge]\ndependencies: [zlib]"
OUTSIDERS = {"anonymous", "elsewhere"}


def rows() -> dict[tuple[str, str], tuple[str, ...]]:
    """Method and path of each row of the page, and what each caller is answered."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for line in PAGE.read_text().splitlines():
        if match := re.fullmatch(r"\| `(GET|POST|PUT|PATCH|DELETE) (/[^` ]*)` \|(.*)\|", line):
            key = match[1], match[2]
            assert key not in found, f"{key} has two rows"
            found[key] = tuple(cell.strip() for cell in match[3].split("|"))
    return found


ROWS = rows()


@dataclass(frozen=True)
class Sent:
    """What is sent to a route besides its path. `is_fresh`: it may destroy, so that each caller gets a namespace."""

    query: Mapping[str, str] = field(default_factory=dict)
    json: object = None
    form: Mapping[str, str] | None = None
    is_fresh: bool = False


SHARE = {"kind": "user", "name": "ada", "role": "viewer"}
ROLE = {"other_namespace": "elsewhere", "role": "viewer"}
HOLDER = {"kind": "user", "holder": "ada"}
SETTING = {"conda_default_channels": '["{new}"]'}
CREDENTIAL = {"host": "channel.example", "username": "ada", "secret": "planted"}
HOST = {"host": "channel.example"}
SUBMITTED = {"namespace": "team", "specification": SPECIFICATION}
PROGRAM = {"redirect_uri": "http://127.0.0.1:9/", "code_challenge": "c" * 43, "code_challenge_method": "S256"}
FRESH = Sent(is_fresh=True)
SENT: dict[tuple[str, str], Sent] = {
    ("PUT", "/api/v1/build/{build_id}/cancel/"): FRESH,
    ("DELETE", "/api/v1/build/{build_id}/"): FRESH,
    ("DELETE", "/api/v1/environment/{namespace}/{name}/"): FRESH,
    ("DELETE", "/api/v1/namespace/{namespace}/"): FRESH,
    ("PUT", "/api/v1/credential/"): Sent(json=CREDENTIAL),
    ("DELETE", "/api/v1/credential/"): Sent(HOST, is_fresh=True),
    ("PUT", "/api/v1/namespace/{namespace}/credential/"): Sent(json=CREDENTIAL),
    ("DELETE", "/api/v1/namespace/{namespace}/credential/"): Sent(HOST, is_fresh=True),
    ("PUT", "/api/v1/environment/{namespace}/{name}/"): Sent(json={"description": "described"}),
    ("PUT", "/api/v1/namespace/{namespace}/"): Sent(json={}),
    ("PUT", "/api/v1/namespace/{namespace}/metadata"): Sent(json={}),
    ("GET", "/api/v1/namespace/{namespace}/role"): Sent({"other_namespace": "default"}),
    ("POST", "/api/v1/namespace/{namespace}/role"): Sent(json=ROLE, is_fresh=True),
    ("PUT", "/api/v1/namespace/{namespace}/role"): Sent(json=ROLE | {"other_namespace": "default"}),
    ("DELETE", "/api/v1/namespace/{namespace}/role"): Sent(json={"other_namespace": "elsewhere"}),
    ("DELETE", "/api/v1/namespace/{namespace}/roles"): FRESH,
    ("GET", "/api/v1/permission/explain/"): Sent(
        {"permission": "environment::read", "namespace": "team", "environment": NAME, "user": "ada"}
    ),
    ("PUT", "/api/v1/setting/"): Sent(json={}),
    ("PUT", "/api/v1/setting/{namespace}/"): Sent(json={}),
    ("PUT", "/api/v1/setting/{namespace}/{environment_name}/"): Sent(json={}),
    ("PUT", "/api/v1/share/{namespace}/"): Sent(json=SHARE),
    ("PUT", "/api/v1/share/{namespace}/{name}/"): Sent(json=SHARE),
    ("DELETE", "/api/v1/share/{namespace}/"): Sent(HOLDER, is_fresh=True),
    ("DELETE", "/api/v1/share/{namespace}/{name}/"): Sent(HOLDER, is_fresh=True),
    ("DELETE", "/api/v1/share/{namespace}/{name}/link/{link_id}/"): FRESH,
    ("GET", "/api/v1/specification/"): Sent({"conda": "zlib"}),
    ("POST", "/api/v1/specification/"): Sent(json={"specification": SPECIFICATION, "namespace": "team"}),
    ("POST", "/api/v1/environment/"): Sent(json={"specification": SPECIFICATION, "namespace": "team"}),
    ("DELETE", "/api/v1/token/{token_id}/"): FRESH,
    ("POST", "/build/{build_id}/cancel/"): FRESH,
    ("POST", "/build/{build_id}/delete/"): FRESH,
    ("POST", "/create/"): Sent(form=SUBMITTED),
    ("POST", "/create/check/"): Sent(form=SUBMITTED),
    ("POST", "/create/preview/"): Sent(form=SUBMITTED),
    ("POST", "/create/suggestions/"): Sent(form=SUBMITTED),
    ("GET", "/create/newer/"): Sent({"build": "{build_id}", "newest_seen": "0"}),
    ("GET", "/create/packages/"): Sent({"package": "zlib", "namespace": "team"}),
    ("GET", "/create/policy/"): Sent({"namespace": "team"}),
    ("POST", "/environment/{namespace}/{name}/delete/"): Sent(form={"typed": NAME}, is_fresh=True),
    ("POST", "/environment/{namespace}/{name}/description/"): Sent(form={"description": "described"}),
    ("GET", "/environment/{namespace}/{name}/difference/"): Sent({"before": "{build_id}", "after": "{build_id}"}),
    ("GET", "/login/authorize/"): Sent(PROGRAM),
    ("POST", "/login/authorize/"): Sent(form=PROGRAM | {"answer": "allow"}),
    ("POST", "/login/device/"): Sent(form={"user_code": "BBBB-BBBB", "answer": "allow"}),
    ("POST", "/login/token/"): Sent(form={"grant_type": "authorization_code", "code": "x"}),
    ("POST", "/login/"): Sent(form={"username": "ada", "password": "wrong"}),
    ("POST", "/namespace/"): Sent(form={"namespace": "{new}"}),
    ("POST", "/api/v1/namespace/{namespace}/"): Sent(query={}),
    ("POST", "/namespace/{name}/delete/"): Sent(form={"typed": "{namespace}"}, is_fresh=True),
    ("POST", "/setting/"): Sent(form=SETTING),
    ("POST", "/setting/{namespace}/"): Sent(form=SETTING),
    ("POST", "/setting/{namespace}/{name}/"): Sent(form=SETTING),
    ("GET", "/share/"): Sent({"link": "{link}"}),
    ("GET", "/explain/"): Sent(
        {"permission": "environment::read", "namespace": "team", "environment": NAME, "user": "ada"}
    ),
    ("POST", "/environment/{namespace}/{name}/share/"): Sent(form=HOLDER | {"role": "viewer"}),
    ("POST", "/environment/{namespace}/{name}/share/remove/"): Sent(form=HOLDER, is_fresh=True),
    ("POST", "/environment/{namespace}/{name}/share/link/{link_id}/revoke/"): FRESH,
    ("POST", "/namespace/{name}/share/"): Sent(form=HOLDER | {"role": "viewer"}),
    ("POST", "/namespace/{name}/share/remove/"): Sent(form=HOLDER, is_fresh=True),
    ("POST", "/namespace/{name}/role/"): Sent(form={"other": "elsewhere", "role": "viewer"}, is_fresh=True),
    ("POST", "/namespace/{name}/role/remove/"): Sent(form={"other": "default"}, is_fresh=True),
    ("POST", "/namespace/{name}/mapping/"): Sent(form={"entity": "team/*", "role": "viewer"}),
    ("POST", "/namespace/{name}/mapping/remove/"): Sent(form={"entity": "team/*", "role": "viewer"}, is_fresh=True),
    ("POST", "/credential/"): Sent(form=CREDENTIAL),
    ("POST", "/credential/remove/"): Sent(form=HOST, is_fresh=True),
    ("POST", "/namespace/{name}/credential/"): Sent(form=CREDENTIAL),
    ("POST", "/namespace/{name}/credential/remove/"): Sent(form=HOST, is_fresh=True),
    ("POST", "/namespace/{name}/metadata/"): Sent(form={"metadata": "{{}}"}),
    ("POST", "/user/token/{token_id}/revoke/"): FRESH,
    ("POST", "/token/{token_id}/revoke/"): FRESH,
    ("POST", "/token/revoke/"): Sent({"user": "nobody"}, form={"typed": "nobody"}),
}


class Walker:
    """Sends what a row says, as each of the callers."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._numbers = itertools.count()
        for name in ("elsewhere", "default"):
            service.make_namespaces(name)
        self.everything = service.client("everything")
        service.build("default", "one", "python")
        self.known = self._values("team")
        for path in ("/api/v1/build/{build_id}/archive/", "/api/v1/build/{build_id}/installer/"):
            self.everything.get(path.format(**self.known))
        self.everything.get(f"/v2/team/{NAME}/manifests/latest")
        assert service.pack() > 2
        self.tag = artifacts.image_name(service.context, SYSTEM, self.known["build_id"]).partition(":")[2]
        self.digest = self.everything.get(f"/v2/team/{NAME}/manifests/{self.tag}").json()["layers"][0]["digest"]
        with service.client("admin") as admin:
            limits = {"role_bindings": {f"team*/{NAME}": ["developer"]}}
            narrowed = data(admin.post("/api/v1/token/", json=limits))["token"]
        tokens = {"anonymous": None, "narrowed": narrowed}
        self.clients = {caller: service.client(tokens.get(caller, caller)) for caller in CALLERS}

    def close(self) -> None:
        for client in (self.everything, *self.clients.values()):
            client.close()

    def _values(self, namespace: str) -> dict[str, Any]:
        """What stands for the names in paths: an environment with a build, shared with ada, and a link to it."""
        build_id = self.service.build(namespace, NAME, "zlib")
        context = self.service.context
        holder = sharing.Holder(sharing.HolderKind.USER, "ada")
        for target in (Target(namespace), Target(namespace, NAME)):
            sharing.share(context, SYSTEM, target, holder, "viewer")
        link, token = sharing.create_link(context, SYSTEM, Target(namespace, NAME))
        for place in ("", f"namespace/{namespace}/"):
            assert self.everything.put(f"/api/v1/{place}credential/", json=CREDENTIAL).status_code == 200
        lockfile = self.everything.get(f"/api/v1/build/{build_id}/lockfile/").headers["location"]
        build = data(self.everything.get(f"/api/v1/build/{build_id}/"))
        self.everything.post(f"/api/v1/namespace/{namespace}/role", json=ROLE | {"other_namespace": "default"})
        with self.service.client("admin") as admin:
            # not over the API, where only so many are made in a while
            actor = recognised(context, self.service.options.access, "admin")
            assert actor is not None
            made = create_token(context, actor, TokenRequest())
            token_id = max(row["id"] for row in data(admin.get("/api/v1/token/", params={"size": 100})))
        assert made
        return {
            "namespace": namespace,
            "name": NAME,
            "environment_name": NAME,
            "build_id": build_id,
            "link_id": link.id,
            "link": token,
            "token_id": token_id,
            "sha256": build["specification"]["sha256"],
            "key": lockfile.removeprefix("/storage/"),
            "rest": f"team/{NAME}",
            "path": "tutorial.md",
        }

    def path(self, path: str, values: Mapping[str, Any]) -> str:
        """The path with its names filled in; what `name` and `rest` mean depends on where they stand."""
        special: dict[str, Any] = {}
        if path.startswith("/v2/{name}"):
            special = {"name": f"team/{NAME}", "reference": self.tag, "digest": self.digest}
        elif path == "/api/v1/environment/{name}/":  # of the default namespace
            special = {"name": "one"}
        elif path.startswith("/namespace/"):
            special = {"name": values["namespace"]}
        elif path.startswith("/api/v1/user/{user}/"):
            special = {"user": "somebody-else"}
        elif path.startswith("/static/"):
            special = {"name": "icon.svg"}
        elif path.startswith("/v2/"):
            special = {"rest": "team"}
        return path.format(**(values | special))

    def outcomes(self, method: str, path: str) -> tuple[str, ...]:
        sent = SENT.get((method, path), Sent())
        found: list[str] = []
        for caller in CALLERS:
            number = next(self._numbers)
            values = self._values(f"team-{number}") if sent.is_fresh else dict(self.known)
            if "cancel" in path:
                values["build_id"] = self.service.submit(values["namespace"], NAME, "zlib")
            values["new"] = f"team-new-{number}"

            def filled(given: Mapping[str, str] | None, values: dict[str, Any] = values) -> dict[str, str] | None:
                return {key: text.format(**values) for key, text in given.items()} if given is not None else None

            if (method, path) == ("POST", "/api/v1/namespace/{namespace}/"):
                values["namespace"] = values["new"]
            answer = self._send(caller, method, self.path(path, values), sent, filled)
            found.append(str(answer.status_code))
        return tuple(found)

    def _send(self, caller: str, method: str, path: str, sent: Sent, filled: Any) -> httpx.Response:
        client = self.clients[caller]
        client.cookies.clear()
        answer = client.request(method, path, params=filled(sent.query), json=sent.json, data=filled(sent.form))
        asked = f"{answer.request.url} {answer.request.content.decode()}"
        if caller in OUTSIDERS and NAME not in asked and path != "/share/":
            assert NAME not in answer.text, f"{caller} hears of an environment that they may not read"
        return answer


@pytest.fixture(scope="module")
def walker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walker]:
    directory: Path = tmp_path_factory.mktemp("w")
    with Service(directory, tokens=TOKENS, packing_wait=0.05) as service:
        walker = Walker(service)
        yield walker
        walker.close()


def test_every_route_has_a_row(walker: Walker) -> None:
    served = routes_of(walker.service.app)
    assert len(served) > 100
    assert served - set(ROWS) == set(), "docs/reference/permissions.md needs rows for these"
    assert set(ROWS) - served == set(), "docs/reference/permissions.md has rows for what does not exist"
    assert set(SENT) <= served


@pytest.mark.parametrize(("method", "path"), sorted(ROWS), ids=lambda value: value)
def test_everybody_is_answered_as_the_page_says(walker: Walker, method: str, path: str) -> None:
    assert dict(zip(CALLERS, walker.outcomes(method, path), strict=True)) == dict(
        zip(CALLERS, ROWS[method, path], strict=True)
    )
