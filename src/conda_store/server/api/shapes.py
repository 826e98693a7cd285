"""Rows as clients know them: exact keys, in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conda_store.builder.package_index.model import PackageRow
from conda_store.db.records import (
    ArtifactRecord,
    BuildPackageRecord,
    BuildRecord,
    ChannelRecord,
    EnvironmentRecord,
    NamespaceRecord,
    RoleRecord,
    SpecificationRecord,
)
from conda_store.domain.access import Actor, Target
from conda_store.domain.artifact import ArtifactState
from conda_store.domain.lock import PlatformLock
from conda_store.domain.roles import Permission
from conda_store.server.rendering import moment


def namespace(record: NamespaceRecord, mappings: Sequence[RoleRecord] = ()) -> dict[str, Any]:
    rows = [{"id": row.id, "entity": row.entity, "role": row.role} for row in mappings]
    return {"id": record.id, "name": record.name, "metadata_": record.metadata, "role_mappings": rows}


def namespace_role(record: RoleRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "namespace": record.namespace,
        "other_namespace": record.holder.name,
        "role": record.role,
    }


def environment(record: EnvironmentRecord, actor: Actor, *, with_status: bool = False) -> dict[str, Any]:
    """The metadata of its namespace are for those who may read that. Clients know the keys, and these alone: the status
    of the current build is for those who ask for it."""
    home = namespace(record.namespace)
    if not actor.may(Permission.NAMESPACE_READ, Target(record.namespace.name)):
        home["metadata_"] = None
    return {
        "id": record.id,
        "namespace": home,
        "name": record.name,
        "current_build_id": record.current_build_id,
        "current_build": None,
        "description": record.description,
        **({"current_build_status": record.status} if with_status else {}),
    }


def environment_v2(record: EnvironmentRecord, actor: Actor) -> dict[str, Any]:
    row = environment(record, actor)
    del row["current_build"]
    return row


def specification(record: SpecificationRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "name": record.name,
        "spec": record.spec,
        "sha256": record.sha256,
        "created_on": moment(record.created_on),
    }


def artifact(record: ArtifactRecord) -> dict[str, Any]:
    return {"id": record.id, "artifact_type": record.type, "key": record.key}


def build(
    record: BuildRecord,
    specified: SpecificationRecord | None = None,
    artifacts: tuple[ArtifactRecord, ...] | None = None,
) -> dict[str, Any]:
    """In lists specification and artifacts are null; artifacts that could not be made are left out."""
    shown = None
    if artifacts is not None:
        shown = [artifact(item) for item in artifacts if item.state is not ArtifactState.FAILED]
    # only where there is something to say: clients know the other keys, and these alone
    deletion = {"deleted_on": moment(record.deleted_on)} if record.deleted_on is not None else {}
    return {
        "id": record.id,
        "environment_id": record.environment_id,
        "specification": specification(specified) if specified else None,
        "packages": None,
        "status": record.status,
        "status_info": record.status_info,
        "size": record.size,
        "scheduled_on": moment(record.scheduled_on),
        "started_on": moment(record.started_on),
        "ended_on": moment(record.ended_on),
        "build_artifacts": shown,
        **deletion,
    }


def channel(record: ChannelRecord) -> dict[str, Any]:
    return {"id": record.id, "name": record.name, "last_update": moment(record.last_update)}


def package_of_build(record: BuildPackageRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "channel": channel(record.channel) | {"last_update": None},
        "license": record.license,
        "name": record.name,
        "version": record.version,
        "summary": None,
    }


def indexed_package(record: PackageRow, home: ChannelRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "channel": channel(home) | {"last_update": None},
        "license": record.license,
        "name": record.name,
        "version": record.version,
        "summary": record.summary,
    }


def solved_packages(lock: PlatformLock) -> list[dict[str, Any]]:
    """What a solve came to. `channel_id` is something that people can read, as a client shows it."""
    rows: list[dict[str, Any]] = [
        {
            "id": number,
            "package_id": number,
            "channel_id": package.channel,
            "build": package.build,
            "build_number": package.build_number,
            "constrains": package.constrains,
            "depends": package.depends,
            "md5": package.md5,
            "sha256": package.sha256,
            "size": package.size or 0,
            "subdir": package.subdir,
            "timestamp": package.timestamp,
            "name": package.name,
            "version": package.version,
            "channel": package.channel,
        }
        for number, package in enumerate(lock.conda, 1)
    ]
    for number, distribution in enumerate(lock.pypi, len(rows) + 1):
        hashes = dict(item.split(":", 1) for item in distribution.hashes if ":" in item)
        rows.append(
            {
                "id": number,
                "package_id": number,
                "channel_id": "pypi",
                "build": "pypi_0",
                "build_number": 0,
                "constrains": (),
                "depends": distribution.requires,
                "md5": hashes.get("md5"),
                "sha256": hashes.get("sha256"),
                "size": 0,
                "subdir": "noarch",
                "timestamp": None,
                "name": distribution.name,
                "version": distribution.version,
                "channel": "pypi",
            }
        )
    return rows
