"""The audit log: what is written with a change, what is not, and that nothing in it can be changed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from conda_store.db.engine import Database
from conda_store.domain.audit import AuditEntry, Trail, note, on_trail
from conda_store.server.audit_trail import AuditTrail
from conda_store.services.auditing import forget_old, write_refusals
from tests.http.service import Service, data

SPECIFICATION = {"specification": "name: one\nchannels: [forge]\ndependencies: [zlib]", "namespace": "team"}


def entries(admin: httpx.Client, **filters: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = data(admin.get("/api/v1/audit/", params=filters))
    return found


@pytest.fixture(autouse=True, scope="module")
def team(service: Service) -> None:
    service.make_namespaces("team")
    service.build("team", "there", "zlib")


def test_a_change_is_written_with_who_what_and_where_from(service: Service, admin: httpx.Client) -> None:
    with service.client("developer") as developer:
        answer = developer.post("/api/v1/specification/", json=SPECIFICATION, headers={"X-Request-ID": "it-was-me"})
        build_id = data(answer)["build_id"]
    (entry,) = entries(admin, namespace="team", action="environment:create")
    assert entry.pop("id")
    assert entry.pop("time")
    assert entry == {
        "actor": entry["actor"], "token": "", "address": "127.0.0.1", "action": "environment:create",
        "namespace": "team", "environment": "one", "detail": f"build {build_id}", "allowed": True,
        "request_id": "it-was-me",
    }  # fmt: skip
    assert entry["actor"]


def test_a_build_that_makes_its_namespace_is_told_with_its_environment(admin: httpx.Client) -> None:
    build_id = data(admin.post("/api/v1/specification/", json=SPECIFICATION | {"namespace": "founded"}))["build_id"]
    told = {entry["action"]: entry["detail"] for entry in entries(admin, namespace="founded")}
    assert told == {"namespace::create": "", "environment:create": f"build {build_id}"}


def test_what_came_to_nothing_and_what_was_read_is_not_written(service: Service, admin: httpx.Client) -> None:
    before = len(entries(admin))
    assert (
        admin.post("/api/v1/specification/", json={"specification": "name: [", "namespace": "team"}).status_code == 400
    )
    assert admin.get("/api/v1/environment/team/there/").status_code == 200
    assert admin.get("/api/v1/specification/", params={"channel": "forge", "conda": "zlib"}).status_code == 200
    assert len(entries(admin)) == before


def test_refusals_are_written(service: Service, admin: httpx.Client, anonymous: httpx.Client) -> None:
    with service.client("viewer") as viewer:
        assert viewer.delete("/api/v1/environment/team/one/").status_code == 403
        assert viewer.get("/api/v1/setting/").status_code == 403
    assert anonymous.delete("/api/v1/environment/team/one/").status_code == 404
    assert anonymous.get("/api/v1/environment/team/one/").status_code == 404
    found = [(row["action"], row["environment"]) for row in entries(admin, allowed="false") if row["actor"] != "ada"]
    assert found == [("environment::delete", "one"), ("setting::read", None), ("environment::delete", "one")]


def test_settings_and_credentials_are_told_without_secrets(admin: httpx.Client) -> None:
    data(admin.put("/api/v1/setting/team/", json={"quota_builds": 1000}))
    body = {"host": "h", "username": "u", "secret": "never-to-be-seen"}
    assert admin.put("/api/v1/namespace/team/credential/", json=body).status_code == 200
    answer = admin.get("/api/v1/audit/", params={"action": "setting::update"})
    assert [row["detail"] for row in data(answer)[:2]] == ["credential for h set", "quota_builds=1000"]
    assert "never-to-be-seen" not in answer.text


def test_all_of_it_is_exported_as_lines(admin: httpx.Client) -> None:
    data(admin.put("/api/v1/setting/team/", json={"quota_builds": 999}))
    answer = admin.get("/api/v1/audit/export/", params={"namespace": "team"})
    assert answer.headers["content-type"] == "application/jsonl"
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    assert {row["namespace"] for row in rows} == {"team"}
    later = admin.get("/api/v1/audit/export/", params={"since": "2999-01-01T00:00:00"})
    assert later.text == ""


def test_a_change_that_is_rolled_back_leaves_no_entry(service: Service) -> None:
    database: Database = service.context.database
    with on_trail(Trail()) as trail:
        trail.allowed.append(AuditEntry("ada", "undone", None, None, True))
        with pytest.raises(RuntimeError), database.write():
            raise RuntimeError
    with database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM audit WHERE action = 'undone'")).scalar_one() == 0


@pytest.mark.parametrize("change", ["UPDATE audit SET actor = 'somebody else'", "DELETE FROM audit"])
def test_the_database_refuses_to_change_it(service: Service, change: str) -> None:
    database = service.context.database
    write_refusals(service.context, Trail(refused=[AuditEntry("ada", "kept", None, None, False)]))
    with pytest.raises(IntegrityError, match="audit log"), database.write(is_act=False) as connection:
        connection.execute(text(change))
    with database.write(is_act=False) as connection:
        old = "INSERT INTO audit (moment, actor, token, address, action, detail, is_allowed, request_id) "
        connection.execute(text(old + "VALUES ('2001-01-01 00:00:00.000000', 'a', '', '', 'old', '', true, '')"))
        assert connection.execute(text("DELETE FROM audit WHERE action = 'old'")).rowcount == 1


def test_nobody_fills_the_disk_with_refusals(service: Service, admin: httpx.Client) -> None:
    """Neither strangers from one address, under any name, nor somebody who has logged in; others go on as before."""

    async def refused(scope: Any, receive: Any, send: Any) -> None:
        note(scope["actor"], scope["action"], is_allowed=False, detail="flood")

    trail = AuditTrail(refused, service.context, clock=lambda: 0.0)

    def flood(times: int, actor: str, address: str, action: str = "namespace::delete") -> None:
        for number in range(times):
            name = actor.format(number)
            scope = {"type": "http", "client": (address, 1), "actor": name, "action": action}
            asyncio.run(trail(scope, _never, _never))  # type: ignore[arg-type]

    flood(130, "anonymous", "10.0.0.1")
    flood(130, "guess-{}", "10.0.0.2", "log-in")
    flood(130, "ada", "10.0.0.1")
    flood(1, "anonymous", "10.0.0.3")
    rows = admin.get("/api/v1/audit/", params={"allowed": "false", "size": 100})
    with service.context.database.read() as connection:
        query = "SELECT address, count(*) FROM audit WHERE detail = 'flood' GROUP BY address ORDER BY address"
        assert [tuple(row) for row in connection.execute(text(query))] == [
            ("10.0.0.1", 200), ("10.0.0.2", 100), ("10.0.0.3", 1),
        ]  # fmt: skip
    assert rows.status_code == 200


async def _never(*_: Any) -> Any:
    raise AssertionError


def test_that_it_forgets_is_told_in_it(tmp_path: Path) -> None:
    with Service(tmp_path, {"audit_retention_days": 40}) as service:
        add = "INSERT INTO audit (moment, actor, token, address, action, detail, is_allowed, request_id) "
        with service.context.database.write(is_act=False) as connection:
            for year in ("2001", "2999"):
                row = f"VALUES ('{year}-01-01 00:00:00.000000', 'a', '', '', 'in-{year}', '', true, '')"
                connection.execute(text(add + row))
        assert forget_old(service.context) == 1
        assert forget_old(service.context) == 0
        with service.client("admin") as admin:
            rows = entries(admin)
    assert {row["action"] for row in rows} == {"audit::forget", "in-2999"}
    (told,) = (row for row in rows if row["action"] == "audit::forget")
    assert (told["actor"], told["detail"].partition(" from")[0]) == ("system", "1 entries")
