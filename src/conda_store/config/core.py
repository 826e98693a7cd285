"""`c.CondaStore` and `c.LocalStorage`: what server and worker share."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import platformdirs
from traitlets import Bool, Callable, Enum, Float, Int, List, Set, Type, Unicode, Union, validate
from traitlets.config import LoggingConfigurable

from conda_store.artifacts.oci.base_image import base_problem
from conda_store.artifacts.oci.remote import parse_reference
from conda_store.builder.options import BuilderOptions
from conda_store.config.blueprint import Blueprint
from conda_store.domain.addresses import AddressPolicy, address_problem
from conda_store.domain.artifact import ArtifactType
from conda_store.domain.deployment import Deployment
from conda_store.domain.image import DEFAULT_LAYER_BUDGET, MAX_LAYER_BUDGET, image_reference
from conda_store.domain.on_demand import Audience
from conda_store.domain.platform import current_platform
from conda_store.domain.settings import Settings, checked_settings, layered_settings
from conda_store.errors import ConfigurationError, InvalidInput

DEFAULT_BASE_IMAGE = "debian:bookworm-slim"


def data_directory() -> Path:
    """Where everything is kept unless told otherwise: `~/.local/share/conda-store` on Linux (`XDG_DATA_HOME`)."""
    return Path(platformdirs.user_data_dir("conda-store", appauthor=False))


def cache_directory() -> Path:
    """Where what can be had again is kept: inside the data directory, so that hardlinks into prefixes work."""
    return data_directory() / "cache"


class LocalStorage(LoggingConfigurable):
    storage_path = Unicode(help="Directory for artifacts and logs.", config=True)
    storage_url = Unicode("", help="Accepted for older configurations; the server decides it.", config=True)

    def _storage_path_default(self) -> str:
        return str(data_directory() / "storage")


class CondaStore(LoggingConfigurable):
    storage_class = Type(
        LocalStorage,
        klass=object,
        help="Where artifacts are kept: LocalStorage, a directory. There is no other class yet.",
        config=True,
    )
    store_directory = Unicode(
        help="Root directory of the environments; no quotes, colons, backslashes or $ in it.", config=True
    )
    build_directory = Unicode(
        "{store_directory}/{namespace}",
        help="Template of the directory of a namespace's builds; fields: store_directory, namespace.",
        config=True,
    )
    environment_directory = Unicode(
        "{store_directory}/{namespace}/envs/{name}",
        help="Template of the symlink to an environment's active build; fields: store_directory, namespace, name.",
        config=True,
    )
    build_key_version = Int(2, min=1, max=3, help="Form of the build keys: 1, 2 or 3.", config=True)
    database_url = Unicode(help="SQLAlchemy URL of the database.", config=True)
    upgrade_db = Bool(True, help="Bring the database to the present schema at the start.", config=True)
    cache_directory = Unicode(
        help="Directory of packages and repodata; on the file system of store_directory, so that files can be "
        "hard-linked instead of copied.",
        config=True,
    )

    conda_flags = Unicode(
        "--strict-channel-priority",
        help="Channel priority is strict if this names --strict-channel-priority.",
        config=True,
    )
    conda_command = Unicode("mamba", help="Accepted for older configurations; nothing is run.", config=True)
    conda_solve_platforms = List(Unicode(), [current_platform().value], help="Platforms that are locked.", config=True)
    conda_channel_alias = Unicode(
        "https://conda.anaconda.org", help="What short names of channels are below.", config=True
    )
    conda_platforms = List(
        Unicode(), [current_platform().value, "noarch"], help="Subdirs that are indexed.", config=True
    )
    conda_default_channels = List(
        Unicode(), ["conda-forge"], help="Channels of specifications that name none.", config=True
    )
    conda_allowed_channels = List(Unicode(), [], help="Channels that may be used; empty: all.", config=True)
    conda_indexed_channels = List(
        Unicode(),
        ["main", "conda-forge", "https://repo.anaconda.com/pkgs/main"],
        help="Channels whose packages are listed and searched.",
        config=True,
    )
    conda_default_packages = List(Unicode(), [], help="Packages of specifications that ask for none.", config=True)
    conda_required_packages = List(Unicode(), [], help="Packages that every specification must name.", config=True)
    conda_included_packages = List(Unicode(), [], help="Packages that are added where missing.", config=True)
    pypi_default_packages = List(Unicode(), [], help="The same for the pip part: defaults.", config=True)
    pypi_required_packages = List(Unicode(), [], help="The same for the pip part: required.", config=True)
    pypi_included_packages = List(Unicode(), [], help="The same for the pip part: included.", config=True)
    lockfiles_need_allowed_channels = Bool(
        True, help="Whether conda_allowed_channels holds for locks that are handed in too.", config=True
    )
    conda_forbidden_packages = List(
        Unicode(), [], help="Match specs of packages that may not be in any environment.", config=True
    )
    pypi_forbidden_packages = List(
        Unicode(), [], help="The same for the pip part: requirements that are forbidden.", config=True
    )
    forbidden_licenses = List(Unicode(), [], help="Licences that are forbidden; `*` is any run.", config=True)
    allowed_licenses = List(Unicode(), [], help="Licences that are allowed; empty: all.", config=True)
    package_cooldown_days = Int(0, min=0, help="Days that an upload has to be old before it is used.", config=True)
    quota_environments = Int(None, allow_none=True, help="Most environments of a namespace.", config=True)
    quota_builds = Int(None, allow_none=True, help="Most builds that a namespace keeps.", config=True)
    quota_bytes = Int(None, allow_none=True, help="Bytes in builds from which on there are no further.", config=True)
    quota_concurrent_builds = Int(None, allow_none=True, help="Most builds of a namespace at once.", config=True)
    quota_build_seconds = Int(None, allow_none=True, help="Seconds after which a build is ended.", config=True)
    quota_on_demand_images = Int(
        None, allow_none=True, help="Most images by names of packages for members of a namespace.", config=True
    )
    conda_max_solve_time = Int(300, min=1, help="Seconds after which a solve is given up.", config=True)
    build_artifacts = List(
        Unicode(),
        [
            ArtifactType.LOCKFILE.value,
            ArtifactType.YAML.value,
            ArtifactType.CONDA_PACK.value,
            ArtifactType.CONSTRUCTOR_INSTALLER.value,
        ],
        help="Artifacts that builds offer; the lockfile always is one.",
        config=True,
    )
    build_artifacts_kept_on_deletion = List(
        Unicode(),
        [ArtifactType.LOGS.value, ArtifactType.LOCKFILE.value, ArtifactType.YAML.value],
        help="Artifacts that stay when a build is deleted.",
        config=True,
    )
    pack_on_completion = Bool(
        False, help="Make archive and installer when a build ends, not when first asked for.", config=True
    )
    storage_threshold = Int(5 * 1024**3, min=0, help="Bytes that must be free for another build.", config=True)

    default_namespace = Unicode("default", help="Namespace of those who name none.", config=True)
    filesystem_namespace = Unicode("filesystem", help="Namespace of watched files.", config=True)
    default_uid = Int(None, allow_none=True, help="Owner of environments; None: the worker's user.", config=True)
    default_gid = Int(None, allow_none=True, help="Group of environments; None: the worker's.", config=True)
    default_permissions = Unicode(
        "775", allow_none=True, help="Mode of directories, three octal digits; None: as it comes.", config=True
    )

    lease_seconds = Float(30.0, min=1, help="After so long without a sign a worker is taken to be lost.", config=True)
    max_build_attempts = Int(
        3, min=1, help="Attempts at a build whose worker is lost or that fails transiently.", config=True
    )
    first_retry_delay = Float(
        2.0, min=0, help="Seconds before the second attempt; doubled for each further.", config=True
    )
    default_docker_base_image = Union(
        [Unicode(), Callable()],
        default_value=DEFAULT_BASE_IMAGE,
        help="What lies below environments in images: the name of an image, scratch (nothing), oci:DIRECTORY (an OCI "
        "layout), tar:FILE (a root directory). {architecture} stands for amd64 or arm64. A function, as earlier "
        "configurations had, is not called: there is the default then.",
        config=True,
    )
    image_layer_budget = Int(
        DEFAULT_LAYER_BUDGET, min=3, max=MAX_LAYER_BUDGET, help="Most layers of an image, base included.", config=True
    )
    offer_zstd_images = Bool(
        False,
        help="Whether every tag of an image is there with -zstd at its end too: with layers in zstd, which are "
        "smaller, and which Docker before 23 does not read.",
        config=True,
    )
    registry_auth_file = Unicode(
        None,
        allow_none=True,
        help="File with logins to registries, as `docker login` writes it: for base images, and to push images.",
        config=True,
    )
    push_images_to = List(
        Unicode(),
        [],
        help="Repositories to push images to when a build is complete, as in ghcr.io/team/{namespace}-{name}; for "
        "those whose setting build_artifacts has CONTAINER_REGISTRY.",
        config=True,
    )
    images_on_demand_for = Enum(
        [item.value for item in Audience],
        Audience.PERMITTED.value,
        help="Who may have images made by naming packages: permitted (those who may create environments in "
        "conda-store-dynamic), authenticated, anybody. `conda-store serve` on loopback: anybody.",
        config=True,
    )
    images_on_demand_per_hour = Int(
        60,
        min=0,
        help="Most new images by names of packages within an hour, for those without a permission of their own.",
        config=True,
    )
    unused_layers_kept_seconds = Float(
        86400.0,
        min=600,
        help="Layers that no image has any more are kept for so long after their last use.",
        config=True,
    )
    unused_packages_kept_days = Float(
        30.0,
        min=0.1,
        allow_none=True,
        help="Packages that no environment has are kept in the cache for so many days after their last use; None: for "
        "ever.",
        config=True,
    )
    compile_noarch_pyc = Bool(
        False,
        help="Compile noarch Python packages, once per package and Python version; not for images, which hold what "
        "the packages bring.",
        config=True,
    )
    link_script_packages = Set(
        Unicode(), set(), help="Packages whose post-link scripts may run; `*`: all.", config=True
    )
    download_timeout = Float(60.0, min=1, help="Seconds for a request for repodata.", config=True)
    stall_timeout = Float(120.0, min=1, help="Seconds without any progress that end an installation.", config=True)
    concurrent_downloads = Int(16, min=1, help="Packages that are downloaded at once.", config=True)
    repodata_check_interval = Float(
        5.0, min=0, help="Seconds for which a channel is taken to be unchanged.", config=True
    )
    authentication_file = Unicode(
        None,
        allow_none=True,
        help="File with the credentials of private channels, in rattler's form: host without port -> credentials.",
        config=True,
    )
    allowed_inside = List(
        Unicode(),
        None,
        allow_none=True,
        help="Hosts and networks that are asked although they lie inside (private, loopback, link-local), and "
        "directories of the service's machine that are read, as channels for instance; `*`: all. None: all where only "
        "this machine reaches the server (loopback, no proxy, no other allowed hosts), else none. What code of "
        "packages asks is not covered: pip_only_wheels and link_script_packages say which of it runs.",
        config=True,
    )
    audit_retention_days = Int(
        None, allow_none=True, min=30, help="Days after which the audit log forgets; None: never.", config=True
    )
    credential_keys = List(
        Unicode(),
        [],
        help="Keys that seal credentials of namespaces; the first seals, all open. Instead of credential_key_file.",
        config=True,
    )
    credential_key_file = Unicode(
        help="File with these keys, one a line; made with one key where there is none.", config=True
    )
    pip_index_url = Unicode(None, allow_none=True, help="Python package index of pip parts.", config=True)
    pip_find_links = List(Unicode(), [], help="Further places with Python packages.", config=True)
    pip_only_wheels = Bool(
        False,
        help="Take wheels only for pip parts: source distributions and repositories, which run code of their own on "
        "the service's machine when they are solved and built, are refused.",
        config=True,
    )
    pip_timeout = Float(600.0, min=1, help="Seconds for solving or installing a pip part.", config=True)
    virtual_packages = List(
        Unicode(), [], help="Virtual packages instead of those found, as `__cuda=12.4`.", config=True
    )

    post_update_environment_build_hook = Callable(
        None,
        allow_none=True,
        help="Called by the worker as hook(conda_store, environment) after another build of an environment has become "
        "active and its symlink is set. What it raises is logged.",
        config=True,
    )

    validate_specification = Callable(
        None,
        allow_none=True,
        help="Called as validate_specification(db=, conda_store=, namespace=, specification=) after the policies; it "
        "may change the specification, and refuses by raising ValueError.",
        config=True,
    )
    validate_action = Callable(
        None,
        allow_none=True,
        help="Called as validate_action(db=, conda_store=, namespace=, action=) before a build is queued, action being "
        "the permission; it refuses by raising.",
        config=True,
    )

    # accepted so that older configurations load; they decide nothing
    redis_url = Unicode(None, allow_none=True, help="Accepted; no broker is needed.", config=True)
    celery_broker_url = Unicode(None, allow_none=True, help="Accepted; no broker is needed.", config=True)
    celery_results_backend = Unicode(None, allow_none=True, help="Accepted; no broker is needed.", config=True)
    lock_backend = Unicode(
        "rattler", help="`rattler`; `conda-lock` means the same. Lock plugins are not called.", config=True
    )
    serialize_builds = Bool(False, help="Accepted; builds may always run at once.", config=True)
    win_extended_length_prefix = Bool(False, help="Accepted; Windows is not supported.", config=True)

    def _store_directory_default(self) -> str:
        return str(data_directory() / "state")

    def _credential_key_file_default(self) -> str:
        return str(data_directory() / "credential-keys")

    def _cache_directory_default(self) -> str:
        return str(cache_directory())

    def _database_url_default(self) -> str:
        return f"sqlite:///{data_directory() / 'conda-store.sqlite'}"

    def _default_uid_default(self) -> int | None:
        return os.getuid() if sys.platform != "win32" else None

    def _default_gid_default(self) -> int | None:
        return os.getgid() if sys.platform != "win32" else None

    @validate("build_directory", "environment_directory")
    def _check_template(self, proposal: dict[str, Any]) -> str:
        template = str(proposal["value"])
        try:
            template.format(store_directory="s", namespace="n", name="e")
        except (KeyError, IndexError, ValueError) as error:
            option = f"c.CondaStore.{proposal['trait'].name}"
            raise ConfigurationError(
                f"{option}: the template {template!r} cannot be filled in: {error}",
                hint="Its fields are {store_directory}, {namespace} and, for environments, {name}.",
            ) from error
        return template

    @validate("default_docker_base_image")
    def _check_base_image(self, proposal: dict[str, Any]) -> str:
        value = proposal["value"]
        if not isinstance(value, str):
            self.log.warning("c.CondaStore.default_docker_base_image is a function: %s is taken", DEFAULT_BASE_IMAGE)
            return DEFAULT_BASE_IMAGE
        if problem := base_problem(value):
            raise ConfigurationError(f"c.CondaStore.default_docker_base_image: {problem}")
        return value

    @validate("push_images_to")
    def _check_push_images_to(self, proposal: dict[str, list[str]]) -> list[str]:
        for template in proposal["value"]:
            try:
                reference = image_reference(template, "namespace", "name", "tag")
            except (KeyError, IndexError, ValueError):
                reference = ""
            if parse_reference(reference) is None or "/" not in reference:
                raise ConfigurationError(
                    f"c.CondaStore.push_images_to: {template!r} names no repository in a registry",
                    hint="It looks like registry.example/team/{namespace}-{name}, without a tag.",
                )
        return proposal["value"]

    def settings(self) -> Settings:
        """The layer below all others.

        Raises:
            ConfigurationError: a value is not what a setting may be.
        """
        values: dict[str, Any] = {name: getattr(self, name) for name in Settings.__dataclass_fields__}
        try:
            checked_settings(values, is_global=True)
        except InvalidInput as error:
            raise ConfigurationError(f"c.CondaStore: {error.message}") from error
        return layered_settings(Settings(), values)

    def deployment(self) -> Deployment:
        return Deployment(
            store_directory=Path(self.store_directory).absolute(),
            build_directory=self.build_directory,
            environment_directory=self.environment_directory,
            build_key_version=self.build_key_version,
            settings=self.settings(),
            lease=timedelta(seconds=self.lease_seconds),
            max_attempts=self.max_build_attempts,
            first_retry_delay=timedelta(seconds=self.first_retry_delay),
            is_strict_channel_priority="--strict-channel-priority" in self.conda_flags,
            packs_on_completion=self.pack_on_completion,
            compiles_pyc=self.compile_noarch_pyc,
            link_script_packages=frozenset(self.link_script_packages),
            audit_retention_days=self.audit_retention_days,
            base_image=self.default_docker_base_image,
            layer_budget=self.image_layer_budget,
            offers_zstd_images=self.offer_zstd_images,
            registry_logins=Path(self.registry_auth_file).absolute() if self.registry_auth_file else None,
            push_images_to=tuple(self.push_images_to),
            on_demand_for=Audience(self.images_on_demand_for),
            on_demand_per_hour=self.images_on_demand_per_hour,
            unused_layers_are_kept=timedelta(seconds=self.unused_layers_kept_seconds),
        )

    @validate("storage_class")
    def _check_storage_class(self, proposal: dict[str, type]) -> type:
        if not issubclass(proposal["value"], LocalStorage):
            raise ConfigurationError(
                f"c.CondaStore.storage_class: artifacts cannot be kept by {proposal['value'].__name__} yet",
                hint="Take the line out: they are kept in the directory c.LocalStorage.storage_path.",
            )
        return proposal["value"]

    @validate("lock_backend")
    def _check_lock_backend(self, proposal: dict[str, str]) -> str:
        if proposal["value"] not in {"rattler", "conda-lock"}:
            raise ConfigurationError(
                f"c.CondaStore.lock_backend: {proposal['value']!r} is not called, locks are solved by rattler",
                hint="Take the line out, if that will do.",
            )
        return proposal["value"]

    @validate("allowed_inside")
    def _check_allowed_inside(self, proposal: dict[str, list[str] | None]) -> list[str] | None:
        for text in proposal["value"] or ():
            if problem := address_problem(text):
                raise ConfigurationError(f"c.CondaStore.allowed_inside: {problem}")
        return proposal["value"]

    def addresses(self, *, is_local: bool) -> AddressPolicy:
        """What may be asked on behalf of others."""
        inside = self.allowed_inside if self.allowed_inside is not None else ["*"] if is_local else []
        return AddressPolicy(tuple(text if text.startswith("/") else text.lower() for text in inside))

    def blueprint(self, storage: LocalStorage, *, is_local: bool = True) -> Blueprint:
        """`is_local`: only this machine reaches the server."""
        addresses = self.addresses(is_local=is_local)
        return Blueprint(
            database_url=self.database_url,
            storage_path=Path(storage.storage_path).absolute(),
            cache_directory=Path(self.cache_directory).absolute(),
            deployment=replace(self.deployment(), addresses=addresses),
            builder_options=BuilderOptions(
                download_timeout=self.download_timeout,
                channel_check_timeout=min(BuilderOptions.channel_check_timeout, self.download_timeout),
                stall_timeout=self.stall_timeout,
                concurrent_downloads=self.concurrent_downloads,
                unused_packages_kept=(
                    None if self.unused_packages_kept_days is None else self.unused_packages_kept_days * 86400
                ),
                repodata_check_interval=self.repodata_check_interval,
                authentication_file=Path(self.authentication_file).absolute() if self.authentication_file else None,
                default_index_url=self.pip_index_url,
                find_links=tuple(self.pip_find_links),
                pip_timeout=self.pip_timeout,
                only_wheels=self.pip_only_wheels,
                virtual_packages=tuple(self.virtual_packages),
                addresses=addresses,
            ),
            upgrades_database=self.upgrade_db,
            credential_keys=tuple(self.credential_keys),
            credential_key_file=Path(self.credential_key_file).absolute(),
        )
