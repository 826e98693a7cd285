"""Ports of loopback for programs that are to be told theirs."""

from __future__ import annotations

import socket


class Port:
    """The number of a port that is nobody else's as long as the object is open, whether a program listens there or not:
    the system gives it neither to who asks for any, nor to who connects to somebody."""

    def __init__(self) -> None:
        self._held = socket.socket()
        # so that whoever is told the number may listen, as servers do who come back soon after their end
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._held.bind(("127.0.0.1", 0))
        self.number: int = self._held.getsockname()[1]

    def __enter__(self) -> int:
        return self.number

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._held.close()
