"""The worker that `serve` keeps running."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence

import structlog

_RESTART_DELAYS = (0.2, 1.0, 5.0)
_STOP_SECONDS = 10


class Supervisor:
    """Keeps a worker running: started anew when it ends, a little later each time."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        # the kernel ends the worker with the thread that started it, so that this one has to live as long as we do
        self._thread = threading.Thread(target=self._run, daemon=True, name="worker-supervisor")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the worker, by force if it takes too long."""
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()
            self._thread.join(_STOP_SECONDS)
            self._process.kill()
        self._thread.join(1)

    def _run(self) -> None:
        logger = structlog.get_logger()
        failures = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            status: int | str
            try:
                self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, start_new_session=True)
                status = self._process.wait()
            except OSError as error:  # too many processes, too little memory: that may pass
                status = str(error)
            if self._stopping.is_set():
                return
            failures = 0 if time.monotonic() - started > 60 else failures + 1
            delay = _RESTART_DELAYS[min(failures, len(_RESTART_DELAYS)) - 1] if failures else 0.0
            logger.warning("worker ended, starting another", exit_status=status, delay=delay)
            self._stopping.wait(delay)
