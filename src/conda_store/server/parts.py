"""What routes work with: the parts of the app, and the actor who asks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from conda_store.domain.access import Actor
from conda_store.server.attempts import Attempts
from conda_store.server.authentication import Authenticator
from conda_store.server.background import BackgroundLoop
from conda_store.server.options import ServerOptions
from conda_store.server.watching import BuildWatch, Looks, Watcher
from conda_store.services.context import Context
from conda_store.services.metrics import KeptFigures

# how far back the figures of the whole reach
FIGURE_DAYS = timedelta(days=30)
FIGURE_HOURS = timedelta(hours=24)


@dataclass(frozen=True)
class Parts:
    context: Context
    options: ServerOptions
    authenticator: Authenticator
    watcher: Watcher
    builds: BuildWatch
    background: BackgroundLoop
    attempts: Attempts
    figures: KeptFigures
    looks: Looks


@dataclass(frozen=True)
class Call:
    """One request: who asks, and what answers it."""

    parts: Parts
    actor: Actor

    @property
    def context(self) -> Context:
        return self.parts.context

    @property
    def options(self) -> ServerOptions:
        return self.parts.options


def parts_of(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


async def _call(request: Request) -> Call:
    parts = parts_of(request)
    known: Actor | None = getattr(request.state, "actor", None)
    if known is None:
        known = await run_in_threadpool(parts.authenticator.actor, request)
    return Call(parts, known)


Caller = Annotated[Call, Depends(_call)]
