"""Container images of environments: what a layer is, what identifies it, and how packages are spread over layers.

Sizes are in bytes, digests are sha256 in hex without their `sha256:`.
"""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from conda_store.domain.lock import CondaPackage, PlatformLock
from conda_store.domain.noarch import python_version, site_packages

# where every image has its environment, so that a package's layer is the same in all of them
IMAGE_PREFIX = "/opt/conda"
DEFAULT_LAYER_BUDGET = 94
# Docker's limit on this kind of file system
MAX_LAYER_BUDGET = 125
# counts up when the same package would be laid out otherwise
_FORMAT = 1


class Compression(StrEnum):
    """How the layers of an image are compressed. Not all clients read zstd."""

    GZIP = "gzip"
    ZSTD = "zstd"


@dataclass(frozen=True)
class Activation:
    """What packages of a layer do when their environment is activated: shell scripts, and variables that they set."""

    has_scripts: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, other: Activation) -> Activation:
        return Activation(self.has_scripts or other.has_scripts, {**self.variables, **other.variables})


@dataclass(frozen=True)
class Layer:
    """A compressed tar in the storage: `digest` and `size` of the blob, `diff_id` and `content_size` of the tar.

    `comment` says what is in it, `path_marks` which paths its packages bring (see `path_marks`).
    """

    digest: str
    diff_id: str
    size: int
    content_size: int
    comment: str
    activation: Activation = field(default_factory=Activation)
    path_marks: bytes = b""


def path_marks(paths: Iterable[str]) -> bytes:
    """Eight bytes for each path, the same for the same one: by them packages are compared without reading them."""
    return b"".join(hashlib.blake2b(path.encode(), digest_size=8).digest() for path in paths)


def do_packages_collide(layers: Sequence[Layer]) -> bool:
    """Whether packages of these layers bring the same path: then the installer's choice counts."""
    marks = array("Q", b"".join(layer.path_marks for layer in layers))
    return len(set(marks)) < len(marks)


def image_reference(template: str, namespace: str, environment: str, build_key: str) -> str:
    """Where a build's image is pushed to: the filled template, and the build key as its tag as far as a tag may be so.

    Fields of the template are `namespace` and `name`.
    """
    tag = re.sub(r"[^\w.-]", "-", build_key, flags=re.ASCII).lstrip(".-")[:128]
    return f"{template.format(namespace=namespace, name=environment)}:{tag}"


@dataclass(frozen=True)
class ImagePython:
    """The Python of an image: `version` as in `python3.11`, `site_packages` relative to the prefix."""

    version: str
    site_packages: str


def image_python(lock: PlatformLock) -> ImagePython | None:
    """What the lock's python record says; None where there is none."""
    python = lock.package("python")
    if python is None:
        return None
    return ImagePython(python_version(python), site_packages(python))


@dataclass(frozen=True)
class LayerPlan:
    """The packages that share a layer, in the order in which they are written."""

    packages: tuple[CondaPackage, ...]

    @property
    def size(self) -> int:
        """Bytes of its packages, as they are downloaded."""
        return sum(package.size or 0 for package in self.packages)

    def key(self, python: ImagePython | None) -> str:
        """sha256 (hex) over all that the tar depends on: the *layer key*."""
        return _digest([package_key(package, python) for package in self.packages])


def package_key(package: CondaPackage, python: ImagePython | None) -> str:
    """sha256 (hex) over all that the files of a package in an image depend on.

    The whole record counts, since it becomes the package's file in `conda-meta`; for noarch packages so does Python.
    """
    site = asdict(python) if python is not None and package.subdir == "noarch" else None
    return _digest({"format": _FORMAT, "prefix": IMAGE_PREFIX, "record": asdict(package), "python": site})


def zstd_layer_key(diff_id: str) -> str:
    """The key of the layer in zstd whose tar has this digest."""
    return _digest({"compression": Compression.ZSTD, "diff_id": diff_id})


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def plan_layers(lock: PlatformLock, budget: int) -> tuple[LayerPlan, ...]:
    """The packages spread over at most `budget` layers: where they do not suffice the largest have one each, and the
    rest share the last one.

    The order is the same in all environments as far as they have the same packages: first Python and what it needs,
    then the rest, each by name. Runtimes unpack a layer again when one below it differs.
    """
    ordered = _ordered(lock)
    if len(ordered) <= budget:
        return tuple(LayerPlan((package,)) for package in ordered)
    by_size = sorted(ordered, key=lambda package: (-(package.size or 0), package.name))
    alone = {package.name for package in by_size[: max(budget - 1, 0)]}
    return (
        *(LayerPlan((package,)) for package in ordered if package.name in alone),
        LayerPlan(tuple(package for package in ordered if package.name not in alone)),
    )


def _ordered(lock: PlatformLock) -> Sequence[CondaPackage]:
    packages = {package.name: package for package in lock.conda}
    below: set[str] = set()
    waiting = ["python"]
    while waiting:
        name = waiting.pop()
        if name in packages and name not in below:
            below.add(name)
            waiting += [dependency.split(" ", 1)[0] for dependency in packages[name].depends]
    return sorted(lock.conda, key=lambda package: (package.name not in below, package.name))
