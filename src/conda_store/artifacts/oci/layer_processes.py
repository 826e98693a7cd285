"""Layers of packages, made by processes of their own, as many as there are processors.

In threads, Python's work on tens of thousands of files would hold up the compressing of other layers.

A process is started as `python -m conda_store.artifacts.oci.layer_processes DESCRIPTOR`, reads what to do from the
connection that it is given, and ends when that is closed: also by the end of whoever started it.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from conda_store.artifacts.oci.package_layer import PackageLayer, write_package_layer
from conda_store.domain.image import ImagePython, LayerPlan
from conda_store.errors import ArtifactFailed, CondaStoreError

# bytes of packages; less than that is made sooner than a process has started
_WORTH_A_PROCESS = 8 << 20


class LayerWork(NamedTuple):
    """A layer to be written to `file`; `directories` are the extracted packages by name."""

    plan: LayerPlan
    directories: Mapping[str, Path]
    python: ImagePython | None
    file: Path

    @property
    def size(self) -> int:
        """Bytes of its packages, as they are downloaded."""
        return sum(package.size or 0 for package in self.plan.packages)

    def write(self) -> PackageLayer:
        """
        Raises:
            ArtifactFailed: a package is damaged.
        """
        with self.file.open("wb", buffering=0) as file:
            return write_package_layer(self.plan, self.directories, self.python, file)


def written_layers(works: Iterable[LayerWork]) -> Generator[tuple[LayerWork, PackageLayer], None, None]:
    """Write them, the largest first. Closed before its end, it stops at once.

    Raises:
        ArtifactFailed: a package is damaged, or a process was ended.
    """
    largest_first = sorted(works, key=lambda work: -work.size)
    worth = sum(work.size for work in largest_first) // _WORTH_A_PROCESS
    count = min(os.cpu_count() or 1, len(largest_first), worth)
    if not count:
        yield from ((work, work.write()) for work in largest_first)
        return
    processes = [_LayerProcess() for _ in range(count)]
    idle: SimpleQueue[_LayerProcess] = SimpleQueue()
    for process in processes:
        idle.put(process)

    def write(work: LayerWork) -> PackageLayer:
        process = idle.get()
        try:
            return process.write(work)
        finally:
            idle.put(process)

    threads = ThreadPoolExecutor(count, thread_name_prefix="layers")
    try:
        yield from zip(largest_first, threads.map(write, largest_first), strict=True)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.end()
        threads.shutdown()


class _LayerProcess:
    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            # -P: nothing is imported from the directory where we happen to be
            command = [sys.executable, "-P", "-m", __name__, str(theirs.fileno())]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])

    def write(self, work: LayerWork) -> PackageLayer:
        try:
            self._pipe.send(work)
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise ArtifactFailed(
                f"the process that wrote the layer of {work.plan.packages[0].name} was ended",
                hint="Ask for the image again; where memory is short, give the worker more.",
            ) from error
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, PackageLayer)
        return answer

    def end(self) -> None:
        """At once: what it has written is in its file, and whoever waits for the rest is told that there is none."""
        self._process.kill()
        self._process.wait()


def _serve(pipe: Connection) -> None:
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


if __name__ == "__main__":
    gc.disable()  # there are no cycles in what is made here, and a process lives for seconds
    _serve(Connection(int(sys.argv[1])))
