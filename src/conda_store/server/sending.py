"""Files sent by the kernel (`sendfile`): a blob of gigabytes costs neither memory nor the processor's time.

uvicorn has no way to do that, so its protocol offers one more: an extension in the scope, which `serving` uses where it
is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

EXTENSION = "conda_store.send_file"
SendFile = Callable[[BinaryIO, int, int], Awaitable[None]]
"""Sends so many bytes of a file from a position on, after the headers, which have to say the length."""


@dataclass(frozen=True)
class _Elsewhere:
    """Stands for bytes that do not pass through here."""

    size: int

    def __len__(self) -> int:
        return self.size


class FileSendingProtocol(H11Protocol):
    """Give it to uvicorn as `http`."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        answer = self.app

        async def with_extension(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[EXTENSION] = self._send_file
            await answer(scope, receive, send)

        self.app = with_extension

    async def _send_file(self, file: BinaryIO, start: int, size: int) -> None:
        transport = self.transport
        if size == 0 or transport.is_closing():
            return
        # counts them as sent, so that what follows on the connection is right
        self.conn.send_with_data_passthrough(h11.Data(data=_Elsewhere(size)))  # type: ignore[arg-type]
        try:
            sent = await asyncio.get_running_loop().sendfile(transport, file, start, size)
        except (ConnectionError, RuntimeError):
            # the client has gone
            transport.abort()
            return
        if sent != size:
            transport.abort()
