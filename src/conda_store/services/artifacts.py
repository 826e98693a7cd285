"""Artifacts of builds: where they are, and having those made that are made on request."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from conda_store.artifacts import conda_lock, explicit
from conda_store.db import artifacts, builds, environments, locks, logs, specifications
from conda_store.db.records import ArtifactRecord, BuildRecord
from conda_store.domain.access import Actor, Target, not_there
from conda_store.domain.artifact import ArtifactState, ArtifactType, content_type, parse_blob_key
from conda_store.domain.lock import Lock, PlatformLock
from conda_store.domain.platform import Platform, current_platform
from conda_store.domain.roles import Permission
from conda_store.errors import Conflict, InvalidInput, NotFound
from conda_store.services.builds import find_build
from conda_store.services.context import Context

_NAMES = {
    ArtifactType.LOGS: "log",
    ArtifactType.LOCKFILE: "lockfile",
    ArtifactType.YAML: "pinned environment.yaml",
    ArtifactType.CONDA_PACK: "archive",
    ArtifactType.CONSTRUCTOR_INSTALLER: "installer",
    ArtifactType.DOCKER_MANIFEST: "docker manifest",
    ArtifactType.CONTAINER_REGISTRY: "image in another registry",
}


def name_of(artifact: ArtifactType) -> str:
    return _NAMES[artifact]


def request_artifact(context: Context, actor: Actor, build_id: int, artifact: ArtifactType) -> ArtifactRecord:
    """The artifact of a build as it stands; one that is made on request is asked for now.

    Raises:
        NotFound: the build does not have it, and will not.
        InvalidInput: as for NotFound, for installers and images, as clients know it.
    """
    build = find_build(context, actor, build_id)
    with context.database.read() as connection:
        found = artifacts.find(connection, build_id, artifact)
    if found is None or (build.deleted_on is not None and found.state is not ArtifactState.READY):
        raise _missing(build, artifact)
    if found.state in {ArtifactState.ON_REQUEST, ArtifactState.FAILED}:
        with context.database.write() as connection:
            artifacts.request(connection, found.id)
            return artifacts.get(connection, found.id) or found
    return found


def _missing(build: BuildRecord, artifact: ArtifactType) -> NotFound | InvalidInput:
    name = _NAMES[artifact]
    if artifact in {ArtifactType.CONSTRUCTOR_INSTALLER, ArtifactType.DOCKER_MANIFEST}:
        article = "an" if name[0] in "aeiou" else "a"
        return InvalidInput(f"Build {build.id} doesn't have {article} {name}")
    if not build.status.has_ended:
        return NotFound(
            f"build {build.id} has no {name} yet", hint=f"It is {build.status}; try again when it has ended."
        )
    if build.deleted_on is not None:
        return NotFound(
            f"build {build.id} has been deleted: it has no {name} any more",
            hint="Its lockfile, where that was kept, can be handed in to build the same environment again.",
        )
    return NotFound(f"build {build.id} has no {name}", hint=f"It is {build.status}.")


def artifact_state(context: Context, actor: Actor, build_id: int, artifact_id: int) -> ArtifactRecord:
    """How far the making of an artifact is.

    Raises:
        Conflict: it could not be made; the message says why.
    """
    find_build(context, actor, build_id)
    with context.database.read() as connection:
        found = artifacts.get(connection, artifact_id)
    if found is None:
        raise NotFound(f"build {build_id} has no such artifact any more")
    if found.state is ArtifactState.FAILED:
        raise Conflict(f"the {_NAMES[found.type]} of build {build_id} could not be made: {found.message}")
    return found


def current_build_id(context: Context, actor: Actor, namespace: str, name: str) -> int:
    """The current build of an environment."""
    actor.require(Permission.ENVIRONMENT_READ, Target(namespace, name))
    with context.database.read() as connection:
        found = environments.find(connection, namespace, name)
    if found is None or found.current_build_id is None:
        raise not_there(Target(namespace, name))
    return found.current_build_id


def log_text(context: Context, actor: Actor, build_id: int) -> str | None:
    """The log so far; None once it is a blob."""
    find_build(context, actor, build_id)
    with context.database.read() as connection:
        if artifacts.find(connection, build_id, ArtifactType.LOGS):
            return None
        return logs.whole(connection, build_id)


def whole_log(context: Context, actor: Actor, build_id: int) -> str:
    """The log, wherever it is kept; empty where it is not any more."""
    text = log_text(context, actor, build_id)
    if text is not None:
        return text
    with context.database.read() as connection:
        kept = artifacts.find(connection, build_id, ArtifactType.LOGS)
    try:
        return context.blobs.get(kept.key).decode(errors="replace") if kept else ""
    except NotFound:
        return ""


def get_lock(context: Context, actor: Actor, build_id: int) -> tuple[BuildRecord, Lock]:
    """The lock of a build, from which every further form is rendered.

    Raises:
        NotFound: it has not been solved (yet).
    """
    build = find_build(context, actor, build_id)
    if build.lock_digest is None:
        raise NotFound(f"build {build_id} has no lock")
    with context.database.read() as connection:
        return build, locks.load(connection, build.lock_digest)


class LockForm(StrEnum):
    """LEGACY is the explicit list as it looked before there were other forms."""

    CONDA_LOCK = "conda-lock"
    EXPLICIT = "explicit"
    PIXI = "pixi"
    LEGACY = "legacy"


def rendered_lock(
    context: Context, actor: Actor, build_id: int, form: LockForm, platform: Platform | None = None
) -> bytes:
    """The lock of a build in another form, UTF-8; lists are of one platform, by default ours or the only one.

    Raises:
        NotFound: it has not been solved (yet), or not for this platform.
    """
    build, lock = get_lock(context, actor, build_id)
    if platform is not None:
        lock = replace(lock, platforms=(_on(lock, platform, build_id),), document=None)
    if form is LockForm.PIXI:
        # rattler is loaded only where it is needed
        from conda_store.builder.formats.pixi_lock import write_pixi_lock

        return write_pixi_lock(lock).encode()
    if form is LockForm.CONDA_LOCK:
        with context.database.read() as connection:
            sha256 = specifications.get(connection, build.specification_id).sha256
        return conda_lock.render(lock, sha256)
    wanted = lock.platforms[0].platform if len(lock.platforms) == 1 else current_platform()
    text = explicit.render(_on(lock, wanted, build_id))
    return text.replace(b"# platform: ", b"#platform: ", 1) if form is LockForm.LEGACY else text


def _on(lock: Lock, platform: Platform, build_id: int) -> PlatformLock:
    found = lock.on(platform)
    if found is None:
        solved = ", ".join(item.platform for item in lock.platforms)
        raise NotFound(f"build {build_id} was not solved for {platform}", hint=f"It was solved for {solved}.")
    return found


def image_name(context: Context, actor: Actor, build_id: int) -> str:
    """Name and tag of a build's image: `namespace/environment:key`.

    Raises:
        InvalidInput: it has none.
    """
    build = find_build(context, actor, build_id)
    with context.database.read() as connection:
        if artifacts.find(connection, build_id, ArtifactType.DOCKER_MANIFEST) is None:
            raise _missing(build, ArtifactType.DOCKER_MANIFEST)
    return f"{build.namespace}/{build.environment}:{build.key}"


@dataclass(frozen=True)
class Blob:
    """What to send: the key in storage and the content type."""

    key: str
    content_type: str


def find_blob(context: Context, actor: Actor, key: str) -> Blob:
    """A blob of an artifact, if the actor may read the environment that it belongs to."""
    parsed = parse_blob_key(key)
    if parsed is None:
        raise NotFound("no such file")
    artifact, build_key = parsed
    with context.database.read() as connection:
        build = builds.by_key(connection, build_key)
    if build is None:
        raise NotFound("no such file")
    actor.require(
        Permission.ENVIRONMENT_READ, Target(build.namespace, build.environment), unseen=NotFound("no such file")
    )
    return Blob(key, content_type(artifact))
