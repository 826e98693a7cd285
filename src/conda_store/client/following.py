"""A build's events while they happen, over interruptions of the connection and restarts of the server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from conda_store.client.answers import no_answer
from conda_store.client.models import parsed
from conda_store.client.server_sent import EventParser, ServerSentEvent
from conda_store.client.transport import UNREADY, Transport
from conda_store.domain.build import BuildStatus, Phase, Progress
from conda_store.errors import ServerError

RECONNECTIONS = 10


@dataclass(frozen=True)
class ProgressMade:
    status: BuildStatus
    progress: Progress
    status_info: str = ""


@dataclass(frozen=True)
class LogWritten:
    """`text` is one or more lines with their line ends; `sequence` numbers the pieces of the build's log."""

    text: str
    sequence: str = ""


@dataclass(frozen=True)
class BuildEnded:
    status: BuildStatus
    status_info: str = ""


Event = ProgressMade | LogWritten | BuildEnded


def follow(transport: Transport, build_id: int, *, logs: bool = True, last_id: str = "") -> Iterator[Event]:
    """The events of a build from its beginning, or after `last_id`; the last one is BuildEnded.

    Where the connection breaks, it goes on after the last event received; after ten failures in a row it gives up.

    Raises:
        ServerError: refused, not reached, or no conda-store.
    """
    failures = 0
    parser = EventParser(last_id)
    while True:
        parser = EventParser(parser.last_id)
        problem: ServerError | None = None
        try:
            for event in _connection(transport, build_id, logs, parser):
                failures = 0
                yield event
                if isinstance(event, BuildEnded):
                    return
        except httpx.TransportError as error:
            problem = no_answer(error, transport.url)
        except ServerError as error:
            if error.status not in UNREADY:
                raise
            problem = error
        failures += 1
        if failures > RECONNECTIONS:
            raise problem or ServerError(
                f"the events of build {build_id} break off", hint="Is a proxy between that ends long answers?"
            )
        pause = parser.retry
        transport.sleep(pause if pause is not None else transport.patience.delay(failures))


def _connection(transport: Transport, build_id: int, logs: bool, parser: EventParser) -> Iterator[Event]:
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
    if parser.last_id:
        headers["Last-Event-ID"] = parser.last_id
    parameters = {} if logs else {"logs": "false"}
    with transport.stream(f"/api/v1/build/{build_id}/events/", parameters=parameters, headers=headers) as response:
        for piece in response.iter_bytes():
            for sent in parser.feed(piece):
                event = parsed_event(sent)
                if event is not None:
                    yield event


def parsed_event(sent: ServerSentEvent) -> Event | None:
    """None for a kind of event that this client does not know.

    Raises:
        ServerError: the data is not what the kind promises.
    """
    if sent.event not in {"progress", "log", "end"}:
        return None
    try:
        data = json.loads(sent.data)
    except ValueError as error:
        raise ServerError(f"an event of the build cannot be read: {sent.data[:200]}") from error
    if sent.event == "log":
        return parsed(lambda row: LogWritten(str(row["text"]), sent.id), data)
    if sent.event == "end":
        return parsed(_ended, data)
    return parsed(_progress, data)


def _ended(row: Any) -> BuildEnded:
    return BuildEnded(BuildStatus(row["status"]), row.get("status_info") or "")


def _progress(row: Any) -> ProgressMade:
    progress = Progress(
        Phase(row["phase"]),
        int(row.get("packages_done") or 0),
        int(row.get("packages_total") or 0),
        int(row.get("bytes_done") or 0),
        int(row.get("bytes_total") or 0),
    )
    return ProgressMade(BuildStatus(row["status"]), progress, row.get("status_info") or "")
