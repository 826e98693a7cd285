"""Images as the registry serves them: whose they are, and having those made that are made on request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from conda_store.db import artifacts, builds, environments, images
from conda_store.db.images import ManifestRecord
from conda_store.db.records import BuildRecord, EnvironmentRecord
from conda_store.domain.access import Actor, Target
from conda_store.domain.artifact import ArtifactState, ArtifactType, image_key
from conda_store.domain.build import BuildStatus
from conda_store.domain.image import Compression
from conda_store.domain.on_demand import is_on_demand, parse_image_name
from conda_store.domain.platform import current_platform
from conda_store.domain.roles import Permission
from conda_store.errors import Conflict, NotFound
from conda_store.services.context import Context
from conda_store.services.on_demand import require_read

LATEST = "latest"
ZSTD_SUFFIX = "-zstd"
_BUILD_ID = re.compile(r"[0-9]{1,18}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ImageRequest:
    """Where the making of an image stands: without `manifest` it is being waited for."""

    manifest: ManifestRecord | None


def find_repository(context: Context, actor: Actor, name: str) -> EnvironmentRecord | None:
    """The environment whose images have the name `namespace/environment`, or one for packages (see `on_demand`);
    None where there is none.

    Raises:
        Forbidden: the actor may not read an environment of that name, whether there is one or not.
    """
    namespace, _, environment = name.partition("/")
    is_ours = is_on_demand(name)
    if is_ours:
        environment = parse_image_name(name).environment
    if not namespace or not environment or "/" in environment:
        return None
    if is_ours:
        require_read(context, actor, environment)
    else:
        actor.require(Permission.ENVIRONMENT_READ, Target(namespace, environment), is_new=True)
    with context.database.read() as connection:
        return environments.find(connection, namespace, environment)


def find_tagged(context: Context, repository: EnvironmentRecord, tag: str) -> int | None:
    """The id of the build that a tag means: `latest`, the key or id of a build, or the sha256 of a specification."""
    with context.database.read() as connection:
        if tag == LATEST:
            return repository.current_build_id
        if _SHA256.fullmatch(tag):
            return images.newest_of_specification(connection, repository.id, tag)
        found = builds.get(connection, int(tag)) if _BUILD_ID.fullmatch(tag) else builds.by_key(connection, tag)
    return found.id if found is not None and found.environment_id == repository.id else None


def request_image(
    context: Context,
    build_id: int,
    media_types: Sequence[str],
    compression: Compression = Compression.GZIP,
    *,
    retries: bool = False,
) -> ImageRequest:
    """The manifest of a build's image in one of these forms, an index where there is one; where the image is not there
    it is asked for. In zstd there are OCI's forms only.

    `retries` asks again for an image that could not be made.

    Raises:
        NotFound: the build has been deleted.
        Conflict: the build has failed, or the image could not be made; the message says why.
    """
    with context.database.read() as connection:
        build = builds.get(connection, build_id)
        found = images.manifests_of_build(connection, build_id, media_types, compression)
    if build is None or build.deleted_on is not None:
        raise NotFound("the build has been deleted")
    if build.status.has_ended and build.status is not BuildStatus.COMPLETED:
        raise Conflict(f"build {build.id} of {build.namespace}/{build.environment} is {build.status}: "
                       f"{build.status_info or 'see its log'}")  # fmt: skip
    if found:
        # an index before the image of this machine's platform, and that before others
        order = ("", current_platform().value)
        return ImageRequest(min(found, key=lambda item: order.index(item.platform) if item.platform in order else 2))
    # while it is being built too, so that it is made as soon as it can be
    return _requested(context, build, compression, retries=retries)


def _requested(context: Context, build: BuildRecord, compression: Compression, *, retries: bool) -> ImageRequest:
    key = image_key(build.key, compression)
    with context.database.read() as connection:
        artifact = artifacts.find(connection, build.id, ArtifactType.DOCKER_MANIFEST, key)
    if artifact is None:
        with context.database.write() as connection:
            if artifacts.find(connection, build.id, ArtifactType.DOCKER_MANIFEST, key) is None:
                state = ArtifactState.REQUESTED
                artifacts.add(connection, build.id, ArtifactType.DOCKER_MANIFEST, key, state=state)
    elif artifact.state is ArtifactState.FAILED and not retries:
        raise Conflict(f"the image of build {build.id} could not be made: {artifact.message}")
    elif artifact.state in {ArtifactState.FAILED, ArtifactState.ON_REQUEST}:
        with context.database.write() as connection:
            artifacts.request(connection, artifact.id)
    return ImageRequest(None)


def manifest_by_digest(context: Context, repository: EnvironmentRecord, digest: str) -> ManifestRecord | None:
    """A manifest of one of the environment's images; `digest` in hex."""
    with context.database.read() as connection:
        return images.manifest_by_digest(connection, repository.id, digest)


def blob_size(context: Context, repository: EnvironmentRecord, digest: str) -> int | None:
    """The size in bytes of a blob of one of the environment's images; None where there is none."""
    with context.database.read() as connection:
        return images.blob_size(connection, repository.id, digest)


def list_tags(context: Context, repository: EnvironmentRecord) -> tuple[str, ...]:
    """`latest` and the keys of completed builds, sorted as the distribution specification asks for."""
    with context.database.read() as connection:
        keys = images.tags(connection, repository.id)
        current = builds.get(connection, repository.current_build_id) if repository.current_build_id else None
    has_latest = current is not None and current.status is BuildStatus.COMPLETED and current.deleted_on is None
    return tuple(sorted([*keys, *([LATEST] if has_latest else [])]))
