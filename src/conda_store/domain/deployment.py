"""What the operator decided once for the whole deployment and cannot be changed while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from conda_store.domain.addresses import AddressPolicy
from conda_store.domain.image import DEFAULT_LAYER_BUDGET
from conda_store.domain.on_demand import Audience
from conda_store.domain.roles import BUILT_IN_ROLES, Roles
from conda_store.domain.settings import Settings


@dataclass(frozen=True)
class Deployment:
    """Paths, limits and defaults.

    `build_directory` and `environment_directory` are templates with the fields store_directory, namespace
    and, for the latter, name. `link_script_packages` are the packages whose post-link scripts may run.
    `role_mappings_version` says which of both kinds of role mappings give roles.
    `base_image` is what lies below environments in images, `layer_budget` the most layers of an image, base included.
    `offers_zstd_images`: images are there with layers in zstd too, under tags of their own.
    `on_demand_for` are those who may ask for images of packages, `on_demand_per_hour` of how many new ones together
    those of them may who have no permission of their own.
    `registry_logins` is a file with logins to registries that base images come from and images are pushed to,
    `push_images_to` are templates of the latter (see `image_reference`).
    `unused_layers_are_kept` is how long after their last use layers stay that no image has.
    `addresses` says which registries may be asked.
    """

    store_directory: Path
    build_directory: str = "{store_directory}/{namespace}"
    environment_directory: str = "{store_directory}/{namespace}/envs/{name}"
    build_key_version: int = 2
    settings: Settings = field(default_factory=Settings)
    lease: timedelta = timedelta(seconds=30)
    max_attempts: int = 3
    first_retry_delay: timedelta = timedelta(seconds=2)
    is_strict_channel_priority: bool = True
    packs_on_completion: bool = False
    compiles_pyc: bool = False
    link_script_packages: frozenset[str] = frozenset()
    audit_retention_days: int | None = None
    base_image: str = "scratch"
    roles: Roles = BUILT_IN_ROLES
    role_mappings_version: int = 1
    layer_budget: int = DEFAULT_LAYER_BUDGET
    offers_zstd_images: bool = False
    on_demand_for: Audience = Audience.PERMITTED
    on_demand_per_hour: int = 60
    registry_logins: Path | None = None
    push_images_to: tuple[str, ...] = ()
    unused_layers_are_kept: timedelta = timedelta(days=1)
    addresses: AddressPolicy = field(default_factory=AddressPolicy)

    @property
    def trash_directory(self) -> Path:
        """Where prefixes are set aside until there is time to delete them; `%` is in no name of a namespace."""
        return self.store_directory / "%trash"

    @property
    def temporary_directory(self) -> Path:
        """Below it each process has a directory for temporary files."""
        return self.store_directory / "%temporary"

    @property
    def base_image_directory(self) -> Path:
        """Where base images are kept that were pulled."""
        return self.store_directory / "%base-images"

    def prefix(self, namespace: str, key: str) -> Path:
        """Where the build with this key is laid out. Keys of version 3 know no namespace directory."""
        if self.build_key_version == 3:
            return self.store_directory / key
        directory = self.build_directory.format(store_directory=self.store_directory, namespace=namespace)
        return Path(directory) / key

    def staging(self, prefix: Path, attempt: int) -> Path:
        """Where an attempt works before it is renamed to the prefix: beside it, under a name of its own."""
        return prefix.with_name(f"%{attempt}-{prefix.name}"[:255])

    def environment_link(self, namespace: str, name: str) -> Path | None:
        """The symlink to the active build; none with build keys of version 3."""
        if self.build_key_version == 3:
            return None
        return Path(
            self.environment_directory.format(store_directory=self.store_directory, namespace=namespace, name=name)
        )
