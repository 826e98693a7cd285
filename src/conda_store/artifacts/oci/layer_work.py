"""A layer of packages to be written to a file, and the process that does so: it imports no more than it needs."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from conda_store.artifacts.oci.package_layer import PackageLayer, write_package_layer
from conda_store.domain.image import ImagePython, LayerPlan
from conda_store.errors import CondaStoreError


class LayerWork(NamedTuple):
    """A layer to be written to `file`; `directories` are the extracted packages by name."""

    plan: LayerPlan
    directories: Mapping[str, Path]
    python: ImagePython | None
    file: Path

    def write(self) -> PackageLayer:
        """
        Raises:
            ArtifactFailed: a package is damaged.
        """
        with self.file.open("wb", buffering=0) as file:
            return write_package_layer(self.plan, self.directories, self.python, file)


def serve(descriptor: int) -> None:
    """Write the layers that come through a connection; each is answered with what became known of it, or the error that
    it ended with. Ends when the connection is closed: also by the end of whoever is at the other end."""
    gc.disable()  # there are no cycles in what is made here, and a process lives for seconds
    pipe = Connection(descriptor)
    while True:
        try:
            work: LayerWork = pipe.recv()
        except EOFError:
            return
        try:
            answer: object = work.write()
        except (CondaStoreError, OSError) as error:
            answer = error
        try:
            pipe.send(answer)
        except BrokenPipeError:
            return
