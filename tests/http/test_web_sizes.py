"""No page is larger than 60 kB of HTML, however much there is to show (10,000 environments: see test_web_pages)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest
from sqlalchemy import select

from conda_store.db import audit, namespaces, roles, tokens
from conda_store.db.tables import token
from conda_store.domain.access import Holder, HolderKind, RoleBinding, TokenKind, Way
from conda_store.domain.audit import AuditEntry
from conda_store.domain.roles import Role
from tests.http.service import Service, data


@pytest.fixture
def html(service: Service) -> Iterator[dict[str, httpx.Client]]:
    """Browsers that are logged in, by token; the owner the last."""
    clients = {}
    for name in ("admin", "owner"):
        clients[name] = client = service.client()
        client.headers["Accept"] = "text/html"
        assert client.get("/login/", params={"token": name}).status_code == 303
    yield clients
    for client in clients.values():
        client.close()


def test_pages_stay_small_with_builds_of_300_packages(service: Service, html: dict[str, httpx.Client]) -> None:
    """Names, versions and licences as long as they get; no page of such a build is larger than 60 kB."""
    packages = [f"a-package-with-a-long-name-{number:03}" for number in range(300)]
    builds = [
        service.build("large", "packages", *(f"{name}=20{year}.11.21.post1" for name in packages)) for year in (25, 26)
    ]
    service.build("large", "others", *(f"another-{name}=1" for name in packages))
    client = html["admin"]
    form = {
        "namespace": "large",
        "specification": "name: packages\nchannels: [forge]\ndependencies:\n"
        + "".join(
            f"  - {name}=2027.11.21.post1\n" for name in (*packages[:150], *(f"new-{name}" for name in packages[:150]))
        ),
    }
    answers = [
        *(client.get(f"/build/{build_id}/", params={"page": page}) for build_id in builds for page in (1, 3)),
        client.get("/environment/large/packages/"),
        client.get("/environment/large/packages/difference/", params={"before": builds[0], "after": builds[1]}),
        client.get("/create/", params={"build": builds[1]}),
        client.post("/create/preview/", data=form),
        client.get("/", params={"search": "a-package-with-a-long-name-000 " * 8}),
    ]
    # two builds that have nothing in common
    others = data(client.get("/api/v1/environment/large/others/"))["current_build_id"]
    wanted = {"before": builds[0], "after": others}
    answers.append(client.get("/environment/large/packages/difference/", params=wanted))
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert {answer.url.path: len(answer.content) for answer in answers if len(answer.content) > 60_000} == {}


def test_lists_of_tokens_shares_and_requests_stay_small(service: Service, html: dict[str, httpx.Client]) -> None:
    service.build("team", "listed", "zlib")
    now = datetime.now(UTC)
    with service.context.database.write() as connection:
        team = namespaces.get(connection, "team").id
        # the login of the owner, with whose identity the tokens are made
        owner = connection.execute(select(token.c.identity, token.c.id).order_by(token.c.id.desc()).limit(1)).one()
        for number in range(250):
            limits = {f"team/{'x' * 30}{number}": ["viewer"]}
            name = f"{number} {'long ' * 30}"
            tokens.create(connection, f"{number}", TokenKind.TOKEN, name, owner.identity, "team", now=now,
                          expires_on=None, limits=limits)  # fmt: skip
            holder = Holder(HolderKind.USER, f"somebody-with-a-long-name-{number:04}")
            binding = RoleBinding("team", "listed", Role.VIEWER)
            roles.add(connection, team, Way.SHARE, holder, binding, "somebody-with-a-long-name", now)
            entry = AuditEntry(holder.name, "environment::update", "team", "listed", True, detail="words " * 50)
            audit.add(connection, [entry])
    sizes = {
        path: len(html[token].get(path).content)
        for token, path in (
            ("owner", "/user/"),
            ("owner", "/environment/team/listed/share/"),
            ("owner", "/environment/team/listed/requests/"),
            ("owner", "/namespace/team/"),
            ("admin", "/token/"),
            ("admin", "/audit/"),
            ("admin", "/system/"),
        )
    }
    assert {path: size for path, size in sizes.items() if size > 60_000} == {}
