"""A service with the longest values that are legal, of characters that take the most bytes in HTML."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from sqlalchemy import select, update

from conda_store.db import audit, credentials, environments, logs, namespaces, roles, tokens
from conda_store.db.tables import build, token
from conda_store.domain.access import Holder, HolderKind, RoleBinding, TokenKind, Way
from conda_store.domain.audit import AuditEntry
from conda_store.domain.credential import Credential, CredentialKind
from conda_store.domain.roles import Role
from tests.http.service import Service

# with the full names in it no prefix would be short enough
DEPLOYMENT = {"build_key_version": 3}
# in addresses and in HTML `&` takes more bytes than any other character that a name may have
NAME = "n" + "&" * 251
PERSON = "<" * 250
ENVIRONMENTS = 50
LINES = 300


def name_of(number: int) -> str:
    return f"{NAME}{number:03}"


def waiting_of(number: int) -> str:
    return f"waiting{'&' * 240}{number:03}"


def crowd(service: Service) -> None:
    home = name_of(0)
    for number in range(ENVIRONMENTS):
        package = ("x" * 150, "missing-" + "x" * 200)[number % 2]
        service.build(name_of(number), name_of(number), package)
    long = [f"{'y' * 150}{number:03}={'1' * 40}" for number in range(LINES)]
    other = [f"{'y' * 150}{number:03}={'2' * 40}" for number in range(LINES)]
    third = [f"{'z' * 150}{number:03}={'2' * 40}" for number in range(LINES)]
    for packages in (long, other, third, *(["zlib"],) * 35):
        service.build(home, home, *packages)
    for number in range(25):
        service.submit(name_of(number), waiting_of(number), "zlib")
    _write(service, home)


def _write(service: Service, home: str) -> None:
    now = datetime.now(UTC)
    with service.client("admin") as client:
        assert client.get("/login/", params={"token": "admin"}).status_code == 303
    with service.context.database.write() as connection:
        place = namespaces.get(connection, home)
        admin = connection.execute(select(token.c.identity).order_by(token.c.id.desc()).limit(1)).scalar_one()
        connection.execute(update(build).values(submitted_by=PERSON))
        connection.execute(update(build).where(build.c.status == "FAILED").values(status_info="<" * 9000))
        for number in range(ENVIRONMENTS):
            found = environments.find(connection, name_of(number), name_of(number))
            assert found is not None
            environments.set_description(connection, found, "<" * 9000)
            if number == 0:
                logs.append(connection, found.current_build_id or 0, "<" * 50_000)
        for number in range(120):
            limits = {f"{name_of(number)}/{name_of(other)}": ["viewer"] for other in range(6)}
            for kind, whose in ((TokenKind.TOKEN, admin), (TokenKind.SESSION, admin), (TokenKind.TOKEN, PERSON)):
                tokens.create(connection, f"{kind}{whose}{number}", kind, "<" * 200, whose, home, now=now,
                              expires_on=None, limits=limits)  # fmt: skip
            holder = Holder(HolderKind.USER, f"{PERSON}{number:03}")
            binding = RoleBinding(home, home, Role.VIEWER)
            roles.add(connection, place.id, Way.SHARE, holder, binding, PERSON, now)
            mapped = Holder(HolderKind.NAMESPACE, name_of(number))
            roles.add(connection, place.id, Way.MAPPING_V2, mapped, RoleBinding(home, "*", Role.VIEWER), PERSON, now)
            for where in (home, None):
                host = f"{number:03}.{'h' * 60}.{'o' * 60}.{'s' * 60}.{'t' * 60}"
                credentials.put(connection, where, Credential(host, CredentialKind.BEARER, "secret"), b"s", PERSON)
            audit.add(connection, [AuditEntry(PERSON, "environment::update", home, home, True, "<" * 900, PERSON)])


def environment_path(number: int, name: str) -> str:
    return f"/environment/{quote(name_of(number), safe='')}/{quote(name, safe='')}/"


def paths(service: Service) -> list[str]:
    """All that an admin can look at."""
    home = quote(name_of(0), safe="")
    environment = environment_path(0, name_of(0))
    with service.context.database.read() as connection:
        ids = connection.execute(select(build.c.id, build.c.status, build.c.environment_id).order_by(build.c.id)).all()
    waiting = next(row.id for row in ids if row.status == "QUEUED")
    failed = next(row.id for row in ids if row.status == "FAILED")
    large = [row.id for row in ids if row.environment_id == ids[0].environment_id][1:4]
    return [
        "/", "/?page=2", "/?search=" + "x" * 150, "/?status=FAILED", f"/?namespace={home}", "/namespace/",
        "/system/", "/user/", "/token/", f"/token/?user={quote(PERSON)}", "/credential/", "/audit/",
        f"/audit/?namespace={home}", "/create/", f"/create/?namespace={home}", f"/create/?build={large[0]}",
        f"/namespace/{home}/", f"/namespace/{home}/delete/", f"/setting/{home}/", "/explain/",
        f"/explain/?permission=environment%3A%3Aread&namespace={home}&environment={home}",
        environment, environment_path(1, name_of(1)), environment_path(0, waiting_of(0)),
        *(f"{environment}{what}/" for what in ("use", "share", "requests", "delete", "difference")),
        f"{environment}difference/?before={large[0]}&after={large[1]}",
        f"{environment}difference/?before={large[0]}&after={large[2]}",
        *(f"/build/{number}/" for number in (waiting, failed, *large)), f"/build/{failed}/delete/",
        "/design/", "/nothing/" + "&" * 200,
    ]  # fmt: skip
