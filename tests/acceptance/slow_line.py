"""A line between a client and a server: it can be held in the middle of an answer, and be down for a while."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from tests.waiting import PATIENCE

_PIECE = 1 << 16


class Line:
    """Listens on a port of its own, and passes everything on to the port that `target` names at that moment.

    `received` are the bytes that came back from there. `hold_at` has everything stop that comes back on a connection
    on which so many have come back; `held` is set then.
    """

    def __init__(self, target: Callable[[], int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._up = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._hold_at: int | None = None
        self.port: int = self._listener.getsockname()[1]
        self.received = 0
        self.held = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def open(self) -> None:
        self._up.set()

    def hold_at(self, size: int) -> None:
        self.held.clear()
        self._going.clear()
        self._hold_at = size

    def cut(self) -> None:
        """Whoever is connected is so no more, and who connects waits until it is open again."""
        self._up.clear()
        with self._lock:
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        self._hold_at = None
        self._going.set()

    def close(self) -> None:
        self.cut()
        self._listener.shutdown(socket.SHUT_RDWR)  # closing alone would leave it to the thread that accepts
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        self._up.wait(PATIENCE)
        with client, suppress(OSError), socket.create_connection(("127.0.0.1", self._target())) as server:
            with self._lock:
                self._open |= {client, server}
            forth = threading.Thread(target=self._pump, args=(client, server, False), daemon=True)
            forth.start()
            self._pump(server, client, True)
            forth.join()
        with self._lock:
            self._open -= {client, server}

    def _pump(self, source: socket.socket, sink: socket.socket, comes_back: bool) -> None:
        passed = 0
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                if comes_back:
                    passed += len(piece)
                    with self._lock:
                        self.received += len(piece)
                    if self._hold_at is not None and passed >= self._hold_at:
                        self.held.set()
                        self._going.wait(PATIENCE)
                sink.sendall(piece)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
