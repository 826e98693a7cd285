"""The pipeline: from a claimed build to a complete prefix, or to a reason why there is none."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import structlog

from conda_store.artifacts import conda_lock, environment_yaml
from conda_store.builder.failures import disk_full, is_disk_full
from conda_store.builder.ports import Access, Installed, InstallRequest
from conda_store.db import artifacts, builds, environments, leases, locks, logs, packages, search, specifications
from conda_store.db.engine import Connection
from conda_store.db.environments import LinkChange
from conda_store.db.leases import Lease
from conda_store.domain.artifact import ArtifactState, ArtifactType, blob_key, content_type, image_key
from conda_store.domain.build import MAX_PREFIX_LENGTH, Phase, Progress
from conda_store.domain.conda_lock import lock_from_document
from conda_store.domain.image import image_reference
from conda_store.domain.lock import Lock
from conda_store.domain.platform import current_platform
from conda_store.domain.policy import package_policy, refuse, refuse_channels_of_lock
from conda_store.domain.settings import Settings
from conda_store.domain.specification import (
    AnySpecification,
    LockfileSpecification,
    Specification,
    environment_variables,
    requested_specs,
    stored_specification,
)
from conda_store.errors import (
    BuildFailed,
    CondaStoreError,
    DatabaseFull,
    DiskFull,
    Interrupted,
    PrefixTooLong,
    Unavailable,
    Unsolvable,
)
from conda_store.services.clearing import discard_prefix
from conda_store.services.context import Context
from conda_store.services.credentials import guarded_hosts, usable_credentials
from conda_store.services.ending import Outcome, give_up
from conda_store.services.image_making import is_plain
from conda_store.services.links import update_links
from conda_store.services.logs import keep_log_if_possible
from conda_store.services.reporting import BuildReporter, stamp
from conda_store.services.settings import rules_in_force
from conda_store.services.solving import solve_once, solve_request
from conda_store.storage.blobs import StoredBlob

logger = structlog.get_logger()


class _LeaseLost(Exception):
    """Somebody else works on the build now, or has ended it."""


async def run_build(context: Context, lease: Lease) -> Outcome:
    """Do the work that `lease` gives the right to, and write its end down: COMPLETED, FAILED or queued again.

    Nothing is written once the lease is lost, or while the build is to be cancelled.
    """
    reporter = BuildReporter(context.database, lease)
    reporter.start()
    failure: BuildFailed | None = None
    activated: tuple[LinkChange, ...] = ()
    try:
        activated = await _Pipeline(context, lease, reporter).run()
    except _LeaseLost:
        logger.warning("build is no longer ours", build_id=lease.build_id, attempt=lease.attempt)
    except Exception as error:
        failure = _failure(error, lease, context.deployment.store_directory)
    finally:
        await reporter.stop()
    if failure is not None:
        try:
            give_up(context, lease, failure)
        except Unavailable as error:
            why = {"failure": failure.message, "error": error.message}
            logger.error("end of a build cannot be written", build_id=lease.build_id, **why)
            return Outcome(activated, failure)
    keep_log_if_possible(context, lease.build_id)
    return Outcome(activated)


def _failure(error: Exception, lease: Lease, store_directory: Path) -> BuildFailed:
    """What is told of an error, and whether to try again."""
    if isinstance(error, BuildFailed):
        return error
    if isinstance(error, DatabaseFull):
        return DiskFull(error.message, hint=error.hint)
    if isinstance(error, Unavailable):
        return Interrupted(error.message, hint=error.hint)
    if isinstance(error, CondaStoreError):
        return BuildFailed(error.message, hint=error.hint)
    if isinstance(error, OSError) and is_disk_full(error):
        return disk_full(Path(error.filename or store_directory))
    if isinstance(error, OSError):
        return BuildFailed(f"the operating system refused: {error.strerror or error}")
    logger.error("build ended by an unexpected error", build_id=lease.build_id, attempt=lease.attempt, exc_info=error)
    return BuildFailed(
        "an unexpected error in conda-store ended the build",
        hint=f"The worker's log tells more under build {lease.build_id}; please report it.",
    )


class _Pipeline:
    """One attempt at one build."""

    def __init__(self, context: Context, lease: Lease, reporter: BuildReporter) -> None:
        self.context = context
        self.lease = lease
        self.reporter = reporter
        with context.database.read() as connection:
            build = builds.get(connection, lease.build_id)
            if build is None:
                raise Interrupted("the environment has been deleted")
            stored = specifications.get(connection, build.specification_id)
        self.build = build
        self.specification: AnySpecification = stored_specification(stored.spec)
        self.rules = rules_in_force(context.database, context.deployment, build.namespace, build.environment)
        self.settings: Settings = self.rules.settings
        self.credentials = usable_credentials(context, build.namespace)

    async def run(self) -> tuple[LinkChange, ...]:
        self.reporter.log(f"starting build of conda environment {stamp()}\n")
        if self.lease.attempt > 1:
            self.reporter.log(f"attempt {self.lease.attempt} of {self.context.deployment.max_attempts}\n")
        prefix = self._prefix()
        discard_prefix(self.context, self.build)
        started = time.monotonic()
        lock = await self._lock()
        self._step("lock", started)
        started = time.monotonic()
        self._keep_lock(lock)
        if prefix is None:
            self.reporter.log("nothing is installed: this is for images of another platform\n")
            self._complete(lock, None, Installed(0, 0))
        else:
            installed = await self.context.builder.install(self._install_request(lock, prefix), self.reporter)
            self._step("install", started)
            self.reporter.log(f"{installed.files} files, {installed.size / 1e6:.1f} MB\n")
            self._complete(lock, prefix, installed)
        return update_links(self.context)

    def _step(self, name: str, started: float) -> None:
        self.reporter.log(f"{name}: completed in {time.monotonic() - started:.3f} s\n")

    def _prefix(self) -> Path | None:
        """Where the environment will be, written down before anything is there; None where it is asked for on other
        platforms only."""
        specification = self.specification
        named = specification.platforms if isinstance(specification, Specification) else ()
        if named and current_platform() not in named:
            return None
        prefix = self.context.deployment.prefix(self.build.namespace, self.build.key)
        if len(str(prefix)) > MAX_PREFIX_LENGTH:
            raise PrefixTooLong(
                f"build_path too long: must be <= {MAX_PREFIX_LENGTH} characters",
                hint="Shorten the names or c.CondaStore.store_directory, or set c.CondaStore.build_key_version = 3.",
            )
        with self.context.database.write() as connection:
            if not leases.note(connection, self.lease, {"prefix": str(prefix)}):
                raise _LeaseLost
        return prefix

    async def _lock(self) -> Lock:
        if isinstance(self.specification, LockfileSpecification):
            lock = lock_from_document(self.specification.lockfile)
            refuse_channels_of_lock(lock, self.rules)
            policy, alias = package_policy(self.rules), self.settings.conda_channel_alias
            access = Access(self.credentials, guarded_hosts(self.context))
            refuse(await self.context.builder.refusals(lock, policy, alias, access))
            return lock
        self.reporter.progress(Progress(Phase.SOLVING))
        self.reporter.flush()
        request = solve_request(self.context, self.specification, self.rules, credentials=self.credentials)
        return await solve_once(self.context, request, self.reporter)

    def _keep_lock(self, lock: Lock) -> None:
        """The lock, and the environment as pinned by it, are to be had while the packages are still being installed."""
        with self.context.database.read() as connection:
            if not leases.standing(connection, self.lease).is_held:
                raise _LeaseLost
        stored = {kind: self._put(kind, body) for kind, body in self._made_of(lock).items()}
        plain = is_plain(lock, self.context.deployment)
        with self.context.database.write() as connection:
            digest = locks.store(connection, lock)
            if not leases.note(connection, self.lease, {"lock_digest": digest, "has_plain_image": plain}):
                self._put_right(connection, stored)
                raise _LeaseLost
            for kind, blob in stored.items():
                artifacts.add(connection, self.build.id, kind, blob.key, size=blob.size, sha256=blob.sha256)

    def _put(self, kind: ArtifactType, body: bytes) -> StoredBlob:
        return self.context.blobs.put(blob_key(kind, self.build.key), body, content_type(kind))

    def _put_right(self, connection: Connection, stored: Mapping[ArtifactType, StoredBlob]) -> None:
        """The lease was lost while these were being stored: they become again what whoever has it made of their lock,
        or are nobody's."""
        build = builds.get(connection, self.build.id)
        theirs: Mapping[ArtifactType, bytes] = {}
        if build is not None and build.lock_digest is not None:
            theirs = self._made_of(locks.load(connection, build.lock_digest))
        known = {item.key for item in artifacts.of_build(connection, self.build.id)}
        for kind, blob in stored.items():
            if blob.key in known and kind in theirs:
                self._put(kind, theirs[kind])
            elif blob.key not in known and (build is None or build.status.has_ended):
                self.context.blobs.delete(blob.key)

    def _made_of(self, lock: Lock) -> dict[ArtifactType, bytes]:
        bodies = {ArtifactType.LOCKFILE: conda_lock.render(lock, self.specification.sha256)}
        if (pinned := self._pinned(lock)) is not None:
            bodies[ArtifactType.YAML] = pinned
        return bodies

    def _pinned(self, lock: Lock) -> bytes | None:
        """The pinned YAML; None where it is not wanted, or nothing is installed here."""
        ours = lock.on(current_platform())
        if ours is None or ArtifactType.YAML not in self.settings.build_artifacts:
            return None
        return environment_yaml.render(lock, ours.platform, self.specification)

    def _install_request(self, lock: Lock, prefix: Path) -> InstallRequest:
        platform = current_platform()
        ours = lock.on(platform)
        if ours is None:
            solved = ", ".join(item.platform for item in lock.platforms) or "none"
            raise Unsolvable(
                f"the lock has no packages for {platform}, on which it is to be built (it has {solved})",
                hint=f"Lock for {platform} as well, or add it to the setting conda_solve_platforms.",
            )
        permissions = self.settings.default_permissions
        return InstallRequest(
            lock=ours,
            staging=self.context.deployment.staging(prefix, self.lease.attempt),
            prefix=prefix,
            requested=requested_specs(self.specification),
            variables=environment_variables(self.specification),
            moment=self.build.scheduled_on,
            pip_options=lock.pip_options,
            link_script_packages=self.context.deployment.link_script_packages,
            compiles_pyc=self.context.deployment.compiles_pyc,
            permissions=int(permissions, 8) if permissions else None,
            uid=self.settings.default_uid,
            gid=self.settings.default_gid,
            trash=self.context.deployment.trash_directory,
            credentials=self.credentials,
        )

    def _complete(self, lock: Lock, prefix: Path | None, installed: Installed) -> None:
        """COMPLETED, with packages, artifacts and activation, in one transaction."""
        ours = lock.on(current_platform())
        self.reporter.flush()
        with self.context.database.write() as connection:
            if not leases.complete(connection, self.lease, size=installed.size, shared_size=installed.shared_size):
                raise Interrupted("the build was canceled, or given to another worker, as it ended")
            logs.append(connection, self.build.id, f"build completed {stamp()}\n")
            packages.set_packages(connection, self.build.id, ours.conda if ours else ())
            if prefix is not None:
                artifacts.add(connection, self.build.id, ArtifactType.DIRECTORY, str(prefix), size=installed.size)
            self._offer(connection, has_prefix=prefix is not None)
            if environments.activate_if_newest(connection, self.build.environment_id, self.build.id):
                search.index_installed(connection, self.build.environment_id, ours)

    def _offer(self, connection: Connection, *, has_prefix: bool) -> None:
        """Artifacts that are made on request, or from now on where the deployment wants that."""
        chosen, build = self.settings.build_artifacts, self.build
        wanted = ArtifactState.REQUESTED if self.context.deployment.packs_on_completion else ArtifactState.ON_REQUEST
        for kind in (ArtifactType.CONDA_PACK, ArtifactType.CONSTRUCTOR_INSTALLER):
            if kind in chosen and has_prefix:
                artifacts.add(connection, build.id, kind, blob_key(kind, build.key), state=wanted)
        if ArtifactType.DOCKER_MANIFEST in chosen:
            key = image_key(build.key)
            # it may have been asked for, and made, beside the build
            if artifacts.find(connection, build.id, ArtifactType.DOCKER_MANIFEST, key) is None:
                artifacts.add(connection, build.id, ArtifactType.DOCKER_MANIFEST, key, state=wanted)
        if ArtifactType.CONTAINER_REGISTRY in chosen:
            for key in self._places_in_registries():
                pushed = ArtifactState.REQUESTED
                artifacts.add(connection, build.id, ArtifactType.CONTAINER_REGISTRY, key, state=pushed)

    def _places_in_registries(self) -> list[str]:
        """The names under which the image is pushed."""
        build = self.build
        return [
            image_reference(template, build.namespace, build.environment, build.key)
            for template in self.context.deployment.push_images_to
        ]
