"""Each way to log in, what one may do then, and everything that is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from conda_store.auth.passwords import make_entry
from conda_store.auth.providers.base import Authentication, AuthenticationToken
from conda_store.auth.providers.oauth import (
    GenericOAuthAuthentication,
    GithubOAuthAuthentication,
    JupyterHubOAuthAuthentication,
)
from conda_store.auth.providers.openid import OpenIDConnectAuthentication
from conda_store.auth.providers.simple import DummyAuthentication, PasswordFileAuthentication
from conda_store.auth.tokens import parsed_bindings
from conda_store.domain.addresses import AddressPolicy
from conda_store_server import api, orm, schema
from conda_store_server.server.dependencies import get_conda_store
from tests.http.provider import CLIENT, SECRET, GitHub, Person, Provider
from tests.http.service import Service, data, refused
from tests.waiting import PATIENCE

RULES = {
    "groups": {"data": parsed_bindings({"data-*/*": ["developer"]})},
    "users": {"bob": parsed_bindings({"team/*": ["viewer"]})},
    "admin_groups": frozenset({"it"}),
    "admin_users": frozenset({"root"}),
}


@contextmanager
def browser(service: Service) -> Iterator[httpx.Client]:
    """Follows redirects, to other servers too, and keeps cookies as a browser does."""
    with httpx.Client(base_url=service.url, follow_redirects=True, timeout=PATIENCE) as client:
        yield client


def permissions(client: httpx.Client) -> Any:
    return data(client.get("/api/v1/permission/"))


# --- names and passwords --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def passwords(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("passwords") / "passwords"
    lines = [make_entry("alice", "wonderland", ("data", "it")), make_entry("bob", "builder"), "# nobody else"]
    path.write_text("\n".join(map(str, lines)))
    return path


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, passwords: Path) -> Iterator[Service]:
    login = PasswordFileAuthentication(password_file=str(passwords))
    with Service(tmp_path_factory.mktemp("s"), login=login, rules=RULES) as service:
        yield service


def test_a_password_of_the_file_logs_in(service: Service) -> None:
    with service.client() as client:
        assert "Password</label>" in client.get("/login/").text
        answer = client.post("/login/", json={"username": "bob", "password": "builder"})
        assert data(answer) == {"redirect_url": "/"}
        found = permissions(client)
        assert found["authenticated"] is True
        assert found["primary_namespace"] == "bob"
        assert found["entity_roles"] == {"default/*": ["viewer"], "bob/*": ["developer"], "team/*": ["viewer"]}
        assert found["expiration"].endswith("Z")
        assert "bob" in {row["name"] for row in client.get("/api/v1/namespace/").json()["data"]}
        specification = {"specification": "name: mine\nchannels: [forge]"}
        assert client.post("/api/v1/specification/", json=specification).status_code == 200
        assert "bob" in client.get("/user/").text


def test_groups_give_what_the_configuration_says(service: Service) -> None:
    with service.client() as client:
        assert client.post("/login/", data={"username": "alice", "password": "wonderland"}).status_code == 303
        roles = permissions(client)["entity_roles"]
    assert roles["data-*/*"] == ["developer"]
    assert roles["*/*"] == ["admin"]


@pytest.mark.parametrize(
    ("name", "password"),
    [("bob", "Builder"), ("bob", ""), ("carol", "builder"), ("", "builder"), ("alice", "builder"), ("é", "é" * 2000)],
)
def test_a_wrong_password_is_refused_and_not_repeated(service: Service, name: str, password: str) -> None:
    with service.client() as client:
        answer = client.post("/login/", json={"username": name, "password": password})
        assert refused(answer, 403) == "Invalid authentication credentials"
        page = client.post("/login/", data={"username": name, "password": password})
        assert page.status_code == 403
        assert "set-cookie" not in page.headers


def test_tokens_of_a_person_lose_what_their_owner_loses(tmp_path: Path, passwords: Path) -> None:
    login = PasswordFileAuthentication(password_file=str(passwords))
    with Service(tmp_path, login=login, rules=RULES) as service, service.client() as client:
        client.post("/login/", json={"username": "bob", "password": "builder"})
        token = data(client.post("/api/v1/token/", json={"role_bindings": {"team/*": ["viewer"]}}))["token"]
        whole = data(client.post("/api/v1/token/"))["token"]
        with service.client(token) as other:
            assert "team/*" in permissions(other)["entity_roles"]
    with Service(tmp_path, login=login, rules={}) as service:
        service.build("team", "one", "zlib")
        for kept in (token, whole):
            with service.client(kept) as client:
                assert client.get("/api/v1/environment/team/one/").status_code == 404
                assert permissions(client)["authenticated"] is True
    with Service(tmp_path, login=DummyAuthentication()) as service, service.client(whole) as client:
        assert permissions(client)["authenticated"] is False, "an account of another provider"


def test_a_token_cannot_take_over_somebody_elses_namespace(service: Service) -> None:
    with service.client() as client:
        client.post("/login/", json={"username": "bob", "password": "builder"})
        token = data(client.post("/api/v1/token/", json={"primary_namespace": "alice"}))["token"]
    with service.client(token) as client:
        found = permissions(client)
        assert found["primary_namespace"] == "alice"
        assert "alice/*" not in found["entity_roles"]


def test_logins_that_fail_too_often_have_to_wait(tmp_path: Path) -> None:
    login = DummyAuthentication(password="right")
    with Service(tmp_path, login=login) as service, service.client() as client:
        wrong = {"username": "mallory", "password": "wrong"}
        statuses = [client.post("/login/", json=wrong).status_code for _ in range(25)]
        assert statuses == [403] * 20 + [429] * 5
        answer = client.post("/login/", json=wrong | {"password": "right"})
        assert refused(answer, 429) == "too many logins have failed"
        assert int(answer.headers["retry-after"]) > 0
        assert client.post("/login/", json={"username": "bob", "password": "right"}).status_code == 200
        statuses = [client.get("/login/", params={"token": f"t{n}"}).status_code for n in range(60)]
        assert statuses.count(429) == 20, "from one address"
        assert client.post("/login/", json={"username": "bob", "password": "right"}).status_code == 429


# --- for trying out -------------------------------------------------------------------------------------------


def test_the_dummy_makes_everybody_admin(tmp_path: Path) -> None:
    with Service(tmp_path, login=DummyAuthentication()) as service, service.client() as client:
        assert client.post("/login/", json={"username": "x", "password": "y"}).status_code == 403
        assert client.post("/login/", json={"username": "x", "password": "password"}).status_code == 200
        assert permissions(client)["entity_roles"]["*/*"] == ["admin"]
        assert permissions(client)["primary_namespace"] == "x"
    with Service(tmp_path, login=DummyAuthentication(password="")) as service, service.client() as client:
        assert client.post("/login/", json={"username": "y", "password": "any"}).status_code == 200


@pytest.mark.parametrize("name", ["a b", "a/b", "../x", "*", "ü", "x" * 300])
def test_who_cannot_have_a_namespace_cannot_log_in(tmp_path: Path, name: str) -> None:
    with Service(tmp_path, login=DummyAuthentication()) as service, service.client() as client:
        answer = client.post("/login/", json={"username": name, "password": "password"})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_nobody_owns_a_shared_namespace_by_their_name(tmp_path: Path) -> None:
    class Everybody(Authentication):
        async def authenticate(self, request: Any) -> AuthenticationToken | None:
            return AuthenticationToken((await request.json())["username"], {"extra/*": {"viewer"}})

    with Service(tmp_path, login=Everybody()) as service:
        for name, is_own in (("default", False), ("filesystem", False), ("mine", True)):
            with service.client() as client:
                client.post("/login/", json={"username": name, "password": "x"})
                roles = permissions(client)["entity_roles"]
                assert (roles.get(f"{name}/*") == ["developer"]) is is_own
                assert roles["extra/*"] == ["viewer"], "what a class of the operator's gives"


class AnyName(Authentication):
    """Lets everybody in under the name that they choose."""

    def check_password(self, name: str, password: str) -> AuthenticationToken | None:
        return AuthenticationToken(name)


def test_nobody_takes_a_namespace_by_choosing_its_name(tmp_path: Path) -> None:
    with Service(tmp_path, login=AnyName()) as service, service.client("admin") as admin:
        service.build("team", "one", "zlib")
        for name, is_own in (("team", False), ("newcomer", True)):
            for _ in range(2):  # the second login gives no more than the first
                with service.client() as client:
                    client.post("/login/", json={"username": name, "password": "x"})
                    assert (f"{name}/*" in permissions(client)["entity_roles"]) is is_own
                    answer = client.post(
                        "/api/v1/specification/",
                        json={"specification": "name: mine\nchannels: [forge]", "namespace": name},
                    )
                    assert (answer.status_code == 200) is is_own
                    token = data(client.post("/api/v1/token/"))["token"]
                with service.client(token) as client:
                    assert (client.get("/api/v1/environment/team/one/").status_code == 200) is False
        # what the namespace as such is given is not for who has taken its name either
        assert admin.post("/api/v1/namespace/extra/").status_code == 200
        assert (
            admin.post("/api/v1/namespace/extra/role", json={"other_namespace": "team", "role": "viewer"}).status_code
            == 200
        )
        with service.client() as client:
            client.post("/login/", json={"username": "team", "password": "x"})
            assert "extra" not in {row["name"] for row in data(client.get("/api/v1/namespace/"))}
        explained = admin.get(
            "/api/v1/permission/explain/",
            params={"permission": "environment:create", "namespace": "team", "user": "team"},
        )
        assert data(explained)["allowed"] is False
        # an admin may give it to them
        assert admin.delete("/api/v1/namespace/newcomer/").status_code == 200
        with service.client() as client:
            client.post("/login/", json={"username": "newcomer", "password": "x"})
            assert "newcomer/*" in permissions(client)["entity_roles"]


# --- elsewhere ------------------------------------------------------------------------------------------------


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider() as provider:
        yield provider


def openid(provider: Provider, **options: Any) -> OpenIDConnectAuthentication:
    return OpenIDConnectAuthentication(issuer=provider.url, client_id=CLIENT, client_secret=SECRET, **options)


def test_openid_connect_with_groups(tmp_path: Path, provider: Provider) -> None:
    with Service(tmp_path, login=openid(provider), rules=RULES) as service, browser(service) as client:
        answer = client.get("/login/", params={"next": "/user/"})
        assert answer.url.path == "/user/"
        assert "alice" in answer.text
        found = permissions(client)
        assert found["primary_namespace"] == "alice"
        assert found["entity_roles"]["data-*/*"] == ["developer"]
        assert "conda-store-login" not in client.cookies
    asked = dict(provider.asked)["/token"]
    assert asked["redirect_uri"] == f"{service.url}/oauth_callback/"
    assert len(asked["code_verifier"]) >= 43


def test_an_address_that_is_not_verified_is_nobodys_name(tmp_path: Path, provider: Provider) -> None:
    login = openid(provider, user_data_key="email")
    with Service(tmp_path, login=login) as service:
        for verified, status in ((False, 403), (True, 200), (None, 200)):
            provider.claims = {"email": "boss@example.org", "email_verified": verified}
            with browser(service) as client:
                assert client.get("/login/").status_code == status


@pytest.mark.parametrize("name", ["token_endpoint", "jwks_uri", "userinfo_endpoint"])
def test_a_provider_sends_nobody_to_our_neighbours(tmp_path: Path, provider: Provider, name: str) -> None:
    """Its own address is the operator's choice, what else it names is not."""
    provider.claims = {"groups": None}
    provider.description = {name: provider.url.replace("localhost", "127.0.0.1") + "/inside"}
    login = openid(provider)
    login.addresses = AddressPolicy(())
    with Service(tmp_path, login=login) as service, browser(service) as client:
        answer = client.get("/login/")
        assert answer.status_code == 503
        assert "lies inside the network" in answer.text
        assert "/inside" not in dict(provider.asked)


def test_what_a_provider_names_is_asked_at_the_address_that_was_looked_at(tmp_path: Path, provider: Provider) -> None:
    """Once, so that the name cannot stand for a neighbour when it is connected to (DNS rebinding)."""
    looked: list[str] = []

    class Names(AddressPolicy):
        def resolve(self, host: str, port: int) -> tuple[str, ...]:
            looked.append(host)
            return ("127.0.0.1",)

    elsewhere = provider.url.replace("localhost", "provider.test")
    provider.claims = {"preferred_username": None, "groups": None}
    provider.user_info = {"preferred_username": "carol", "groups": []}
    paths = {"token_endpoint": "token", "jwks_uri": "jwks", "userinfo_endpoint": "userinfo"}
    provider.description = {name: f"{elsewhere}/{path}" for name, path in paths.items()}
    login = openid(provider)
    login.addresses = Names(())
    with Service(tmp_path, login=login) as service, browser(service) as client:
        client.get("/login/")
        assert permissions(client)["primary_namespace"] == "carol"
    assert looked == ["provider.test"] * 3


def test_what_the_id_token_does_not_say_is_asked_for(tmp_path: Path, provider: Provider) -> None:
    provider.claims = {"preferred_username": None, "groups": None}
    provider.user_info = {"preferred_username": "carol", "groups": ["it"]}
    with Service(tmp_path, login=openid(provider), rules=RULES) as service, browser(service) as client:
        client.get("/login/")
        assert permissions(client)["primary_namespace"] == "carol"
        assert permissions(client)["entity_roles"]["*/*"] == ["admin"]
        provider.user_info = {"sub": "another", "preferred_username": "mallory"}
    with Service(tmp_path, login=openid(provider), rules=RULES) as service, browser(service) as client:
        assert client.get("/login/").status_code == 503
        assert permissions(client)["authenticated"] is False


OTHER_KEY = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    "changes",
    [
        {"claims": {"aud": "another"}},
        {"claims": {"iss": "https://another.example"}},
        {"claims": {"exp": 1_000_000_000, "iat": 999_999_999}},
        {"claims": {"nonce": "another"}},
        {"claims": {"nonce": None}},
        {"claims": {"azp": "another"}},
        {"claims": {"sub": None}},
        {"signs_with": OTHER_KEY},
        {"kid": "unknown"},
        {"algorithm": "HS256", "signs_with": SECRET * 3},
    ],
    ids=["audience", "issuer", "expired", "nonce", "no nonce", "other party", "no subject", "key", "unknown", "shared"],
)
def test_an_id_token_that_is_not_for_this_login_is_refused(
    tmp_path: Path, provider: Provider, changes: dict[str, Any]
) -> None:
    for name, value in changes.items():
        setattr(provider, name, value)
    with Service(tmp_path, login=openid(provider)) as service, browser(service) as client:
        answer = client.get("/login/")
        assert answer.status_code == 403, answer.text
        assert "conda-store-auth" not in client.cookies
        assert permissions(client)["authenticated"] is False


def test_a_callback_counts_only_in_the_browser_that_began_it(tmp_path: Path, provider: Provider) -> None:
    """Nobody can be logged in as somebody else by a link (login CSRF), and no state counts twice."""
    with Service(tmp_path, login=openid(provider)) as service, service.client() as mine, service.client() as victim:
        begun = mine.get("/login/")
        assert begun.status_code == 307
        cookie = begun.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        back = httpx.get(begun.headers["location"], timeout=PATIENCE).headers["location"]
        for client in (victim, mine):
            client.base_url = httpx.URL(service.url)
        answer = victim.get(back)
        assert answer.status_code == 401
        assert "OAuth states do not match" in answer.text
        assert victim.get("/oauth_callback/", params={"code": "x", "state": ""}).status_code == 401
        wrong = httpx.URL(back).copy_set_param("state", "wrong")
        cookies = {"conda-store-login": begun.cookies["conda-store-login"]}
        headers = {"Cookie": f"conda-store-login={cookies['conda-store-login']}"}
        assert victim.get(wrong, headers=headers).status_code == 401
        forged = {"Cookie": f"conda-store-login={cookies['conda-store-login'][:-3]}abc"}
        assert victim.get(back, headers=forged).status_code == 401
        assert victim.get(back, headers=headers).status_code == 303
        assert victim.get(back, headers=headers).status_code == 403, "the code was used"


def test_a_provider_that_refuses_is_told(tmp_path: Path, provider: Provider) -> None:
    with Service(tmp_path, login=openid(provider)) as service, service.client() as client:
        begun = client.get("/login/", params={"next": "https://evil.example/"})
        state = httpx.URL(begun.headers["location"]).params["state"]
        headers = {"Cookie": f"conda-store-login={begun.cookies['conda-store-login']}"}
        parameters = {"state": state, "error": "<script>access_denied"}
        answer = client.get("/oauth_callback/", params=parameters, headers=headers)
        assert answer.status_code == 403
        assert "access_denied" in answer.text
        assert "<script>access" not in answer.text
        without_slash = client.get("/oauth_callback", params=parameters, headers=headers)
        assert without_slash.status_code == 307
        assert f"state={state}" in without_slash.headers["location"]


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b"{}"), (302, b"{}"), (200, b"nonsense"), (200, b"[]"), (200, b"x" * (2 << 20)), (200, b"[" * 100_000)],
)
def test_a_provider_that_fails_lets_nobody_in(tmp_path: Path, provider: Provider, status: int, body: bytes) -> None:
    provider.status, provider.body = status, body
    with Service(tmp_path, login=openid(provider)) as service, browser(service) as client:
        answer = client.get("/login/")
        assert answer.status_code in {403, 503}
        assert "Traceback" not in answer.text
        assert permissions(client)["authenticated"] is False


def test_a_provider_that_is_away_is_told(tmp_path: Path) -> None:
    login = OpenIDConnectAuthentication(issuer="http://localhost:9", client_id="x")
    with Service(tmp_path, login=login) as service, service.client() as client:
        answer = client.get("/login/")
        assert answer.status_code == 503
        assert "localhost:9" in answer.text
        with service.client("admin") as program:
            assert permissions(program)["authenticated"] is True


def test_a_discovery_of_another_issuer_is_not_believed(tmp_path: Path, provider: Provider) -> None:
    login = OpenIDConnectAuthentication(issuer=provider.url + "/", client_id=CLIENT)
    with Service(tmp_path, login=login) as service, service.client() as client:
        assert client.get("/login/").status_code == 503


@pytest.fixture
def github_provider() -> Iterator[GitHub]:
    with GitHub(person=Person("octocat", ("data",))) as provider:
        yield provider


def github(provider: Provider, **options: Any) -> GithubOAuthAuthentication:
    return GithubOAuthAuthentication(
        github_url=provider.url, github_api=provider.url, client_id=CLIENT, client_secret=SECRET, groups_key="none",
        **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("scope", "groups"), [("user:email", False), ("read:org", True), ("user:email read:org", True), ("user", True)]
)
def test_github(tmp_path: Path, github_provider: GitHub, scope: str, groups: bool) -> None:
    login = github(github_provider, access_scope=scope)
    with Service(tmp_path, login=login, rules=RULES) as service, browser(service) as client:
        client.get("/login/")
        found = permissions(client)
        assert found["primary_namespace"] == "octocat"
        assert ("data-*/*" in found["entity_roles"]) is groups


def test_github_tells_organisations_by_the_page(tmp_path: Path, github_provider: GitHub) -> None:
    github_provider.person = Person("octocat", (*(f"organisation-{number}" for number in range(200)), "data"))
    login = github(github_provider, access_scope="read:org")
    with Service(tmp_path, login=login, rules=RULES) as service, browser(service) as client:
        client.get("/login/")
        assert "data-*/*" in permissions(client)["entity_roles"]


@pytest.mark.parametrize("refusal", ["bad_verification_code", "incorrect_client_credentials", "unverified_user_email"])
def test_github_refuses_with_status_200(
    tmp_path: Path, github_provider: GitHub, refusal: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The operator hears why: a wrong secret is theirs to mend."""
    github_provider.refusal = refusal
    login = github(github_provider)
    login.log.addHandler(caplog.handler)
    with Service(tmp_path, login=login) as service, browser(service) as client:
        answer = client.get("/login/")
        assert answer.status_code == 403
        assert permissions(client)["authenticated"] is False
    login.log.removeHandler(caplog.handler)
    assert refusal in caplog.text
    assert SECRET not in caplog.text


def test_any_oauth_provider_behind_a_prefix(tmp_path: Path, provider: Provider) -> None:
    login = GenericOAuthAuthentication(
        authorize_url=f"{provider.url}/authorize",
        access_token_url=f"{provider.url}/token",
        user_data_url=f"{provider.url}/user",
        user_data_key="login",
        client_id=CLIENT,
        client_secret=SECRET,
    )
    with Service(tmp_path, login=login, rules=RULES, url_prefix="/conda-store") as service:
        with browser(service) as client:
            answer = client.get("/login/", params={"next": "/conda-store/namespace/"})
            assert answer.url.path == "/conda-store/namespace/"
            assert permissions(client)["entity_roles"]["data-*/*"] == ["developer"]
        with service.client() as client:
            form = client.post("/login/", data={"username": "x", "password": "wrong"})
            assert form.status_code == 403
            assert "Log in with the provider" in form.text
            assert client.post("/login/", json={"username": "", "password": "admin"}).status_code == 200


def test_without_a_provider_there_is_no_callback(service: Service) -> None:
    with service.client() as client:
        assert client.get("/oauth_callback/", params={"code": "x", "state": "y"}).status_code == 403


def test_jupyterhub_is_not_flooded_with_tokens_that_it_does_not_know(tmp_path: Path, provider: Provider) -> None:
    """Who brings one that it knows is not counted; who brings too many others hears so, and asks the hub no more."""
    login = JupyterHubOAuthAuthentication(
        jupyterhub_url=provider.url, user_data_url=f"{provider.url}/user", user_data_key="login", client_id=CLIENT
    )
    with Service(tmp_path, login=login) as service, service.client() as client:

        def status_of(token: str) -> int:
            headers = {"Authorization": f"Bearer {token}"}
            return client.get("/api/v1/permission/", headers=headers).status_code

        def asked() -> int:
            return sum(path == "/user" for path, _ in provider.asked)

        assert {status_of(f"known-{number}") for number in range(80)} == {200}
        assert asked() == 80
        provider.status = 403
        assert [status_of(f"random-{number}") for number in range(70)] == [200] * 60 + [429] * 10
        assert asked() == 80 + 60
        assert status_of("admin") == 200, "our own tokens go on"


class OfAnOperator(GenericOAuthAuthentication):
    """As such classes stand in configuration files: it waits for nothing, and keeps roles as the provider has them."""

    def asked(self, token: str | None) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(self.user_data_url, headers=headers, verify=self.tls_verify, timeout=PATIENCE).json()

    async def authenticate(self, request: Any) -> Any:
        token = self._get_oauth_token(request)
        told = self.asked(token)
        name = told[self.user_data_key]
        conda_store = await get_conda_store(request)
        with conda_store.session_factory() as db:
            for namespace in (name, "new-team"):
                if api.get_namespace(db, name=namespace) is None:
                    db.add(orm.Namespace(name=namespace))
                    db.commit()
        entity = schema.AuthenticationToken(primary_namespace=name, role_bindings={})
        for arn in self.authorization.get_entity_bindings(entity):
            if arn != "default/*":
                with conda_store.session_factory() as db:
                    api.delete_namespace_role(db, arn.split("/")[0], other=name)
        with conda_store.session_factory() as db:
            for namespace, role in (("new-team", "developer"), ("nowhere", "viewer")):
                try:
                    api.create_namespace_role(db, namespace, name, role)
                except ValueError as error:
                    assert "namespace does not exist" in str(error)
                db.commit()
        return schema.AuthenticationToken(primary_namespace=name, role_bindings={f"{name}/*": {"admin"}})


def test_a_class_from_a_configuration_file_gives_roles(tmp_path: Path, provider: Provider) -> None:
    login = OfAnOperator(
        authorize_url=f"{provider.url}/authorize", access_token_url=f"{provider.url}/token",
        user_data_url=f"{provider.url}/user", user_data_key="login", client_id=CLIENT, client_secret=SECRET,
    )  # fmt: skip
    with Service(tmp_path, {"role_mappings_version": 2}, login=login) as service:
        service.build("old-team", "one", "zlib")
        with service.client("admin") as admin:
            admin.post("/api/v1/namespace/alice/")
            body = {"other_namespace": "alice", "role": "admin"}
            assert admin.post("/api/v1/namespace/old-team/role", json=body).status_code == 200
        with browser(service) as client:
            assert client.get("/login/").status_code == 200
            roles = permissions(client)["entity_roles"]
        assert roles["new-team/*"] == ["developer"]
        assert "admin" in roles["alice/*"]
        assert "old-team/*" not in roles
