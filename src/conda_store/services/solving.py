"""Solving each question once: results are kept by question and state of the channels, and shared in the making."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import time
import uuid
from dataclasses import replace
from datetime import timedelta

import structlog

from conda_store.builder.ports import Reporter, SolveRequest
from conda_store.db import locks
from conda_store.domain.build import Progress
from conda_store.domain.credential import NO_CREDENTIALS, Credentials
from conda_store.domain.lock import Lock
from conda_store.domain.platform import Platform
from conda_store.domain.policy import package_policy
from conda_store.domain.settings import InForce
from conda_store.domain.specification import Specification
from conda_store.errors import SolveTimedOut, Unavailable, Unsolvable
from conda_store.services.context import Context

logger = structlog.get_logger()

_LEASE = timedelta(seconds=15)
_RENEWAL = 5.0
_LOOK_AGAIN = 0.05
# what a Python package index holds can change without a channel changing
_PIP_SECONDS = 60


class Silent:
    """A reporter for work that nobody watches."""

    def log(self, text: str) -> None:
        pass

    def progress(self, progress: Progress) -> None:
        pass


def solve_request(
    context: Context,
    specification: Specification,
    rules: InForce,
    platforms: tuple[Platform, ...] = (),
    credentials: Credentials = NO_CREDENTIALS,
) -> SolveRequest:
    """What to ask the builder under these settings, with these credentials.

    No platforms: those of the specification, else of the settings.
    """
    settings = rules.settings
    names = platforms or specification.platforms or settings.conda_solve_platforms
    return SolveRequest(
        specification,
        tuple(Platform(name) for name in names),
        settings.conda_channel_alias,
        context.deployment.is_strict_channel_priority,
        settings.conda_max_solve_time,
        replace(package_policy(rules), until=specification.until),
        credentials=credentials,
    )


def solve_key(request: SolveRequest, channel_state: str) -> str:
    """sha256 (hex) over everything that the result depends on."""
    model = request.specification.model()
    variables = {
        name: value for name, value in (model["variables"] or {}).items() if name.startswith("CONDA_OVERRIDE_")
    }
    moment = int(time.time() // _PIP_SECONDS) if request.specification.pip_requirements else None
    question = {
        "channels": model["channels"],
        "dependencies": model["dependencies"],
        "variables": variables,
        "platforms": sorted(request.platforms),
        "alias": request.channel_alias,
        "strict": request.is_strict_channel_priority,
        "channel_state": channel_state,
        "moment": moment,
        "policy": request.policy.question(),
        "credentials": request.credentials.identity,
        # what was too new is old enough some time later
        "hour": int(time.time() // 3600) if request.policy.cooldown else None,
    }
    return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()


async def solve_once(context: Context, request: SolveRequest, reporter: Reporter | None = None) -> Lock:
    """The lock for a request; at most one process solves it at a time, the others wait for its result.

    Raises:
        Unsolvable: also when somebody else found that out while the channels were as they are now.
    """
    reporter = reporter or Silent()
    key = solve_key(request, await context.builder.channel_state(request))
    owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    has_waited = False
    while True:
        # result and lock in one view: an old one may be forgotten at any moment
        with context.database.read() as connection:
            ticket = locks.find_solve(connection, key)
            known = locks.load(connection, ticket.lock_digest) if ticket and ticket.lock_digest else None
        if known is not None:
            reporter.log("solve: taken from the cache\n")
            return known
        if ticket is None:
            with context.database.write(is_act=False) as connection:
                ticket = locks.begin_solve(connection, key, owner, _LEASE)
        if ticket.lock_digest:
            continue  # somebody was quicker
        if ticket.error:
            raise Unsolvable(ticket.error)
        if ticket.is_mine:
            return await _solve(context, request, reporter, key, owner)
        if not has_waited:
            reporter.log("solve: the same specification is being solved already, waiting for it\n")
            has_waited = True
        await asyncio.sleep(_LOOK_AGAIN)


async def _solve(context: Context, request: SolveRequest, reporter: Reporter, key: str, owner: str) -> Lock:
    renewal = asyncio.create_task(_renew(context, key, owner))
    digest: str | None = None
    error: str | None = None
    try:
        lock = await context.builder.solve(request, reporter)
        with context.database.write(is_act=False) as connection:
            digest = locks.store(connection, lock)
        return lock
    except SolveTimedOut:
        raise  # says nothing of the specification
    except Unsolvable as unsolvable:
        error = str(unsolvable)
        raise
    finally:
        renewal.cancel()
        with context.database.write(is_act=False) as connection:
            locks.end_solve(connection, key, owner, lock_digest=digest, error=error)


async def _renew(context: Context, key: str, owner: str) -> None:
    while True:
        await asyncio.sleep(_RENEWAL)
        try:
            with context.database.write(is_own=True) as connection:
                locks.renew_solve(connection, key, owner, _LEASE)
        except Unavailable as error:
            logger.warning("lease of a solve cannot be renewed", error=error.message)
