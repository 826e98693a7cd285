"""How the server ends: whoever waits is answered before the requests that are left are cut off."""

from __future__ import annotations

import socket

import uvicorn

from conda_store.server.parts import Parts


class Server(uvicorn.Server):
    """One that serves what `create_app` has made."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        parts: Parts = self.config.app.state.parts  # type: ignore[union-attr]
        parts.watcher.end()
        await super().shutdown(sockets)
