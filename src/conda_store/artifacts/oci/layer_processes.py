"""Processes that write layers of packages, as many as there are processors.

In threads, Python's work on tens of thousands of files would hold up the compressing of other layers.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import Pipe
from queue import SimpleQueue
from types import TracebackType

from conda_store.artifacts.oci.layer_work import LayerWork
from conda_store.artifacts.oci.package_layer import PackageLayer
from conda_store.domain.image import LayerPlan
from conda_store.errors import ArtifactFailed

# bytes of packages; less than that is made sooner than a process has started
_WORTH_A_PROCESS = 8 << 20
_SERVE = "from conda_store.artifacts.oci.layer_work import serve; serve({})"


class LayerProcesses:
    """The processes for the layers of `plans`, none where these are small: a context. They begin to start when it is
    made, and end with it at once, whatever they are at."""

    def __init__(self, plans: Sequence[LayerPlan]) -> None:
        worth = sum(plan.size for plan in plans) // _WORTH_A_PROCESS
        count = min(os.cpu_count() or 1, len(plans), worth)
        self._processes = [_LayerProcess() for _ in range(count)]

    def __enter__(self) -> LayerProcesses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def written(self, works: Iterable[LayerWork]) -> Generator[tuple[LayerWork, PackageLayer], None, None]:
        """Write them, the largest first, and tell of each as they come in that order. Closed before its end, it stops
        at once.

        Raises:
            ArtifactFailed: a package is damaged, or a process was ended.
        """
        largest_first = sorted(works, key=lambda work: -work.plan.size)
        if not self._processes:
            yield from ((work, work.write()) for work in largest_first)
            return
        idle: SimpleQueue[_LayerProcess] = SimpleQueue()
        for process in self._processes:
            idle.put(process)

        def write(work: LayerWork) -> PackageLayer:
            process = idle.get()
            try:
                return process.write(work)
            finally:
                idle.put(process)

        threads = ThreadPoolExecutor(len(self._processes), thread_name_prefix="layers")
        try:
            yield from zip(largest_first, threads.map(write, largest_first), strict=True)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
            self._end()
            threads.shutdown()

    def _end(self) -> None:
        for process in self._processes:
            process.end()


class _LayerProcess:
    def __init__(self) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            # -P: nothing is imported from the directory where we happen to be
            command = [sys.executable, "-P", "-c", _SERVE.format(theirs.fileno())]
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
