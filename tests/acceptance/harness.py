"""A conda-store of real processes in a directory of its own, seen from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from conda_store.config.blueprint import Blueprint
from conda_store.config.core import CondaStore, LocalStorage
from conda_store.db import artifacts, builds, logs, migrate
from conda_store.db.records import ArtifactRecord, BuildRecord
from conda_store.db.tables import build
from conda_store.domain.access import SYSTEM
from conda_store.domain.artifact import ArtifactType
from conda_store.domain.build import BuildStatus
from conda_store.services.context import Context
from conda_store.services.specifications import Submission, submit
from tests.waiting import PATIENCE, wait_for
from tools.channel.tiny import index, write_package


def write_wheel(directory: Path, name: str) -> None:
    """Version 1.0 of a package for Python, of one module with a `VALUE`."""
    directory.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(directory / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}/__init__.py", "VALUE = 1\n")
        archive.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any")
        archive.writestr(f"{name}-1.0.dist-info/RECORD", "")


@dataclass
class Store:
    """The directories and options of one conda-store; workers are started and killed at will."""

    directory: Path
    options: dict[str, object] = field(default_factory=dict)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context = Context.assemble(self.blueprint())
        migrate.upgrade(self.context.database)

    def blueprint(self) -> Blueprint:
        given: dict[str, object] = {
            "store_directory": str(self.state),
            "database_url": f"sqlite:///{self.directory}/conda-store.sqlite",
            "cache_directory": str(self.directory / "cache"),
            "storage_threshold": 0,
            "allowed_inside": ["*"],
            **self.options,
        }
        core = CondaStore(**given)
        return core.blueprint(LocalStorage(storage_path=str(self.directory / "storage")))

    @property
    def state(self) -> Path:
        return self.directory / "state"

    # --- workers -------------------------------------------------------------------------------------------

    def start_worker(self, *further: str) -> subprocess.Popen[bytes]:
        command = [
            sys.executable,
            "-m",
            "conda_store",
            "worker",
            "--concurrency=2",
            f"--die-with-parent={os.getpid()}",
            *self.arguments(),
            *further,
        ]
        with (self.directory / "worker.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self.processes.append(process)
        return process

    def arguments(self) -> list[str]:
        given = {
            "store_directory": self.state,
            "database_url": f"sqlite:///{self.directory}/conda-store.sqlite",
            "cache_directory": self.directory / "cache",
            "storage_threshold": 0,
            "allowed_inside": ["*"],
            **self.options,
        }
        listed = [
            f"--CondaStore.{name}={item}"
            for name, value in given.items()
            for item in (value if isinstance(value, list) else [value])
        ]
        return [
            *listed,
            f"--LocalStorage.storage_path={self.directory}/storage",
            "--CondaStoreWorker.index_channels=False",
        ]

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """As the kernel does it when memory runs out."""
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
        self.processes.remove(process)

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        process.wait(PATIENCE)
        self.processes.remove(process)

    def close(self) -> None:
        for process in list(self.processes):
            self.stop(process)
        self.context.database.close()

    # --- builds --------------------------------------------------------------------------------------------

    def submit(self, text: str, namespace: str = "default") -> int:
        return submit(self.context, SYSTEM, Submission(text.encode(), namespace=namespace))

    def build(self, build_id: int) -> BuildRecord:
        with self.context.database.read() as connection:
            found = builds.get(connection, build_id)
        assert found is not None
        return found

    def ended(self, build_id: int, seconds: float = PATIENCE) -> BuildRecord:
        """The build once it has ended and its log has become a blob."""

        def look() -> BuildRecord | None:
            build = self.build(build_id)
            return build if build.status.has_ended and self.artifact(build_id, ArtifactType.LOGS) else None

        return wait_for(f"build {build_id} ends", look, seconds)

    def in_phase(self, build_id: int, phase: str) -> BuildRecord:
        def look() -> BuildRecord | None:
            build = self.build(build_id)
            assert not build.status.has_ended, f"build {build_id} was {build.status} before it was {phase}"
            return build if (build.progress or {}).get("phase") == phase and build.status == "BUILDING" else None

        return wait_for(f"build {build_id} is {phase}", look)

    def artifact(self, build_id: int, kind: ArtifactType) -> ArtifactRecord | None:
        with self.context.database.read() as connection:
            return artifacts.find(connection, build_id, kind)

    def log(self, build_id: int) -> str:
        with self.context.database.read() as connection:
            text = logs.whole(connection, build_id)
        kept = self.artifact(build_id, ArtifactType.LOGS)
        return self.context.blobs.get(kept.key).decode() if kept else text

    def link(self, name: str, namespace: str = "default") -> Path:
        return self.state / namespace / "envs" / name

    def active(self, name: str, namespace: str = "default") -> Path | None:
        link = self.link(name, namespace)
        return link.readlink() if link.is_symlink() else None

    def linked_to(self, build_id: int, name: str) -> None:
        prefix = self.build(build_id).prefix
        assert prefix is not None
        wait_for(f"{name} is linked to build {build_id}", lambda: self.active(name) == Path(prefix))

    # --- what must never be --------------------------------------------------------------------------------

    def debris(self) -> list[Path]:
        """What lies in the namespaces' directories and belongs to no completed build."""
        with self.context.database.read() as connection:
            query = select(build.c.prefix).where(build.c.status == BuildStatus.COMPLETED, build.c.purged_on.is_(None))
            kept = set(connection.execute(query).scalars())
        found = []
        for namespace in self.state.iterdir() if self.state.exists() else ():
            if namespace.name.startswith("%"):
                continue
            found += [path for path in namespace.iterdir() if path.name != "envs" and str(path) not in kept]
        return found

    def is_clean(self) -> None:
        """Wait until there is no debris."""
        deadline = time.monotonic() + PATIENCE
        while found := self.debris():
            assert time.monotonic() < deadline, found
            time.sleep(0.02)

    def trash(self) -> list[Path]:
        directory = self.context.deployment.trash_directory
        return list(directory.iterdir()) if directory.exists() else []


@contextmanager
def store(directory: Path, **options: object) -> Iterator[Store]:
    directory.mkdir(parents=True, exist_ok=True)
    opened = Store(
        directory, {"lease_seconds": 12.0, "first_retry_delay": 0.1, "repodata_check_interval": 0.0, **options}
    )
    try:
        yield opened
    finally:
        opened.close()


def tiny_channel(directory: Path, *, files: int = 3) -> Path:
    """A channel of a few small packages: `one`, `two` (needs one), `three`; each holds so many files."""
    for number, name in enumerate(("one", "two", "three"), 1):
        content = {f"share/{name}/{item}.txt": f"{name} {item}\n" for item in range(files)}
        depends = ["one"] if name == "two" else []
        write_package(directory, name, f"{number}.0", files=content, depends=depends)
    index(directory)
    return directory
