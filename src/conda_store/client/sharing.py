"""Who may do what: shares, share links, roles of namespaces, and why. Rows are as the server sends them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from conda_store.client.address import path_segment
from conda_store.client.answers import data_of
from conda_store.client.models import parsed
from conda_store.client.transport import Transport
from conda_store.domain.access import Holder
from conda_store.errors import InvalidInput

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Shared:
    """A namespace, or one environment in it."""

    namespace: str
    environment: str | None = None

    @property
    def path(self) -> str:
        name = f"{path_segment(self.environment)}/" if self.environment is not None else ""
        return f"{path_segment(self.namespace)}/{name}"


def parse_shared(text: str) -> Shared:
    """`team` or `team/*` for the namespace, `team/science` for an environment.

    Raises:
        InvalidInput: it is neither.
    """
    namespace, slash, environment = text.partition("/")
    if not namespace or "/" in environment or (slash and not environment):
        raise InvalidInput(f"{text!r} is neither a namespace nor an environment", hint="Write `team` or `team/name`.")
    return Shared(namespace, None if environment in {"", "*"} else environment)


def shares(transport: Transport, shared: Shared) -> Sequence[Row]:
    return _rows(transport, f"/api/v1/share/{shared.path}")


def share(transport: Transport, shared: Shared, holder: Holder, role: str) -> None:
    body = {"kind": holder.kind, "name": holder.name, "role": role}
    transport.change("PUT", f"/api/v1/share/{shared.path}", body, is_repeatable=True)


def unshare(transport: Transport, shared: Shared, holder: Holder) -> None:
    query = {"kind": holder.kind.value, "holder": holder.name}
    data_of(transport.send("DELETE", f"/api/v1/share/{shared.path}", parameters=query, is_repeatable=False))


def links(transport: Transport, shared: Shared) -> Sequence[Row]:
    """The links to an environment, or to all those of a namespace."""
    if shared.environment is None:
        return _rows(transport, f"/api/v1/share-link/{shared.path}")
    return _rows(transport, f"/api/v1/share/{shared.path}link/")


def create_link(transport: Transport, shared: Shared, expiration: datetime) -> Row:
    """`expiration` is aware; the row has `token` and `url`, which are told this once."""
    body = {"expiration": expiration.isoformat()}
    answer = transport.change("POST", f"/api/v1/share/{shared.path}link/", body)
    return parsed(lambda row: dict(row["data"]), answer)


def revoke_link(transport: Transport, shared: Shared, link_id: int) -> None:
    transport.change("DELETE", f"/api/v1/share/{shared.path}link/{link_id}/")


def access(transport: Transport, shared: Shared) -> Sequence[Row]:
    """Everybody who has a role there, and why."""
    return _rows(transport, f"/api/v1/access/{shared.path}")


def explain(transport: Transport, shared: Shared, permission: str, user: str | None, groups: Sequence[str]) -> Row:
    parameters = {
        "permission": permission,
        "namespace": shared.namespace,
        "environment": shared.environment,
        "user": user,
        "group": list(groups),
    }
    answer = transport.get("/api/v1/permission/explain/", parameters)
    return parsed(lambda row: dict(row["data"]), answer)


def namespace_roles(transport: Transport, namespace: str) -> Sequence[Row]:
    """Which namespaces have a role in this one (role mappings of version 2)."""
    return _rows(transport, f"/api/v1/namespace/{path_segment(namespace)}/roles")


def grant_namespace_role(transport: Transport, namespace: str, other: str, role: str) -> str | None:
    """Give those of another namespace a role, in place of one that they have; returns what the server has to say."""
    path = f"/api/v1/namespace/{path_segment(namespace)}/role"
    held = {row["other_namespace"] for row in namespace_roles(transport, namespace)}
    answer = transport.change("PUT" if other in held else "POST", path, {"other_namespace": other, "role": role})
    remark = parsed(lambda row: row.get("message"), answer)
    return None if remark is None else str(remark)


def revoke_namespace_role(transport: Transport, namespace: str, other: str) -> None:
    path = f"/api/v1/namespace/{path_segment(namespace)}/role"
    transport.change("DELETE", path, {"other_namespace": other})


def _rows(transport: Transport, path: str) -> Sequence[Row]:
    return parsed(lambda row: list(row["data"]), transport.get(path))
